"""Jobs of billing, done by ``counterfoil worker``."""

from __future__ import annotations

from django.utils import timezone
from procrastinate.contrib.django import app

from counterfoil.billing import delivery


@app.task(name=delivery.TASK, queue="mail")
def send_delivery(delivery_id: int) -> None:
    """Mail an invoice; what became of it stands in its delivery."""
    delivery.hand_over(delivery_id, now=timezone.now())


@app.periodic(cron="*/10 * * * *")
@app.task(queueing_lock="look_after_deliveries", queue="mail")
def look_after_deliveries(timestamp: int) -> None:
    """Every ten minutes, take up deliveries whose job has died."""
    delivery.look_after_deliveries(now=timezone.now())
