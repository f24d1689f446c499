"""What is asked of the rating of agreements, and what is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import BooleanField, Exists, Subquery, Value

from counterfoil.billing.columns import StateRow, overages_due
from counterfoil.billing.models import BillingSettings
from counterfoil.companies.models import BillingTerms
from counterfoil.tax.queries import TaxTable, tax_table


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be billed.

    Attributes:
        through: the last due date (WE-19).
        invoice_date: of all invoices; ``None`` dates each on the day its period falls due.
        period_start: of one agreement: the only period that is billed.
        earliest: of one agreement: the first period that is not billed yet, due or not.
        bounded: whether absurd amounts are refused.
        run_id: the billing run that asks. What another run has claimed is left alone.
        claimed: only what the run has claimed.
        parked: whether parked agreements are tried as well.
    """

    through: date
    invoice_date: date | None = None
    period_start: date | None = None
    earliest: bool = False
    bounded: bool = True
    run_id: int | None = None
    claimed: bool = False
    parked: bool = False

    def takes(self, state: StateRow) -> bool:
        """Whether an agreement is to be looked at."""
        if self.claimed:
            return state.run_id == self.run_id
        return state.run_id in (None, self.run_id) and (self.parked or state.parked_at is None)


class Reference:
    """What is the same for every agreement, loaded once: settings, terms, the sales tax of each invoice date.

    Args:
        through: the last due date that will be asked for, where it is known: what is asked for it comes along.
    """

    def __init__(self, through: date | None = None) -> None:
        settings = BillingSettings.objects.filter(pk=1)
        terms = BillingTerms.objects.annotate(  # with the settings, in one statement
            absurd_factor=Subquery(settings.values("absurd_factor")),
            most_bills=Subquery(settings.values("most_bills")),
            usual=Subquery(settings.values("default_terms")),
            overages=Exists(overages_due(through)) if through else Value(None, BooleanField()),
        )
        rows = list(terms.values_list("pk", "name", "due_days", "absurd_factor", "most_bills", "usual", "overages"))
        self.terms = {pk: (name, days) for pk, name, days, *_ in rows}
        if not rows:
            self.settings = settings.first() or BillingSettings()
        elif rows[0][3] is None:  # nobody has set any
            self.settings = BillingSettings()
        else:
            self.settings = BillingSettings(
                absurd_factor=rows[0][3], most_bills=rows[0][4], default_terms_id=rows[0][5]
            )
        self._tables: dict[date, TaxTable] = {}
        self._overages: dict[date, bool] = {through: rows[0][6]} if through and rows else {}

    def has_overages(self, through: date) -> bool:
        """Whether there are any overruns to be billed in arrears through a day; most who bill have none."""
        if through not in self._overages:
            self._overages[through] = overages_due(through).exists()
        return self._overages[through]

    def taxes(self, on: date) -> TaxTable:
        """The sales tax of invoices dated ``on``."""
        table = self._tables.get(on)
        if table is None:
            table = self._tables[on] = tax_table(on=on)
        return table
