"""What is asked of the rating of agreements, and what is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.db import connection

from counterfoil.billing.columns import OVERAGES_DUE, StateRow, overages_due
from counterfoil.billing.models import BillingSettings
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


#: Settings, and whether there are overruns, beside each of the terms of payment; also where there are none.
_REFERENCE: Final = f"""
    SELECT t.id, t.name, t.due_days, s.absurd_factor, s.most_bills, s.default_terms_id, EXISTS ({OVERAGES_DUE})
    FROM (VALUES (1)) one(id) LEFT JOIN billing_billingsettings s USING (id) LEFT JOIN companies_billingterms t ON true
"""  # noqa: S608 - our own


class Reference:
    """What is the same for every agreement, loaded once: settings, terms, the sales tax of each invoice date.

    Args:
        through: the last due date that will be asked for, where it is known: what is asked for it comes along.
    """

    def __init__(self, through: date | None = None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_REFERENCE, [through and through + timedelta(days=1)])
            rows = cursor.fetchall()
        *_, absurd_factor, most_bills, usual, overages = rows[0]
        self.terms = {pk: (name, days) for pk, name, days, *_ in rows if pk is not None}
        self.settings = BillingSettings(default_terms_id=usual)
        if absurd_factor is not None:  # somebody has set them
            self.settings.absurd_factor, self.settings.most_bills = absurd_factor, most_bills
        self._tables: dict[date, TaxTable] = {}
        self._overages: dict[date, bool] = {through: overages} if through else {}

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
