"""The first period of a quoted line that joins an agreement: by the agreement's periods, as it will be billed."""

from __future__ import annotations

from dataclasses import replace

from counterfoil.agreements.models import Agreement
from counterfoil.agreements.terms import terms_of
from counterfoil.core.coterm import align
from counterfoil.platform.records import fetch
from counterfoil.quotes.joining import FirstPeriod, first_periods
from counterfoil.quotes.models import QuoteLine


@first_periods
def by_its_periods(agreement_id: int, line: QuoteLine) -> FirstPeriod | None:
    """``None`` for a line that is billed in another cycle than the agreement."""
    agreement = fetch(Agreement, agreement_id, field="agreement_id")
    if agreement.billing_cycle != line.billing_cycle or line.start_date is None or line.align_to is None:
        return None
    terms = replace(terms_of(agreement), last_day=None)
    aligned = align(
        start=line.start_date,
        end=line.align_to,
        cycle=terms.cycle,
        quantity=line.quantity,
        unit_price=line.unit_price,
        terms=terms,
    )
    if not aligned.is_shortened:
        return FirstPeriod(None, aligned.cycles, "")
    return FirstPeriod(aligned.share.fraction, aligned.cycles, aligned.explanation)
