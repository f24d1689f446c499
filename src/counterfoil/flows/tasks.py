"""Jobs of flows, done by ``counterfoil worker``."""

from __future__ import annotations

from typing import Final

from procrastinate.contrib.django import app
from procrastinate.types import JSONValue

from counterfoil.billing.models import BillingRun, RunStatus

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
