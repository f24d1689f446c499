"""Jobs of flows, done by ``counterfoil worker``."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from procrastinate.contrib.django import app
from procrastinate.types import JSONValue

from counterfoil.billing.models import BillingRun, RunStatus
from counterfoil.companies.queries import local_date
from counterfoil.core.errors import DomainError
from counterfoil.platform.identity import SYSTEM

logger = logging.getLogger(__name__)

#: No more workers than this are called to a run; more may be working on other jobs.
MOST_HELPERS: Final = 8

_TASK: Final = "counterfoil.work_on_billing_run"


def ask_for_help(run_id: int, chunks: int) -> None:
    """Call workers to a run, in the transaction of the caller: each works on as many chunks as it can get."""
    jobs: list[dict[str, JSONValue]] = [{"run_id": run_id}] * min(chunks, MOST_HELPERS)
    app.configure_task(_TASK).batch_defer(*jobs)


@app.task(name=_TASK)
def work_on_billing_run(run_id: int) -> None:
    """Rate and write chunks of a run until there are none left."""
    from counterfoil.flows.billing_work import work

    work(run_id)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="look_after_billing_runs")
def look_after_billing_runs(timestamp: int) -> None:
    """Every minute, go on with runs whose workers may have died. Who comes to one that is worked on just helps."""
    from counterfoil.flows.billing_work import work

    under_way = BillingRun.objects.filter(status__in=(RunStatus.RATING, RunStatus.NUMBERED))
    for run_id in list(under_way.values_list("pk", flat=True)):
        work(run_id)


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="start_what_was_delivered")
def start_what_was_delivered(timestamp: int) -> None:
    """Every hour, begin the recurring lines of quotes whose goods have been delivered meanwhile."""
    from counterfoil.flows.accepted import start_delivered, waiting_lines

    on = local_date(datetime.now(UTC))
    for version_id in sorted({line.version_id for line in waiting_lines() if line.version_id is not None}):
        try:
            start_delivered(actor=SYSTEM, on=on, version_id=version_id)
        except DomainError as refusal:  # the others go on; it stays among what waits
            logger.warning("What waits for its delivery was not begun: %s", refusal.message)
