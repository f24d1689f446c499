"""Jobs of quotes, done by ``counterfoil worker``."""

from __future__ import annotations

from datetime import UTC, datetime

from procrastinate.contrib.django import app


@app.periodic(cron="7 * * * *")
@app.task(queueing_lock="expire_quotes")
def expire_quotes(timestamp: int) -> None:
    """Every hour, since days begin at another hour in every time zone: close quotes whose last day is over."""
    from counterfoil.companies.queries import local_date
    from counterfoil.platform.identity import SYSTEM
    from counterfoil.quotes import versions
    from counterfoil.quotes.models import WITH_CUSTOMER, QuoteVersion

    now = datetime.now(UTC)
    today = local_date(now)
    if QuoteVersion.objects.filter(status__in=WITH_CUSTOMER, expires_on__lt=today).exists():
        versions.expire_quotes(actor=SYSTEM, on=today, now=now)
