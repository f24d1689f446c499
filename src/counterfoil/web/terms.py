"""Fields of what is bought or sold for a term: how long, how often billed, from when until when."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.terms import length_words
from counterfoil.web.forms import DayField

TERMS: Final = ("", "month:1", "year:1", "year:2", "year:3", "year:5")
BILLINGS: Final = ("", "month:1", "month:3", "month:6", "year:1", "year:3")


class TermField(forms.ChoiceField):
    """A term or a billing cycle; whatever else a record has is offered as well."""

    def __init__(self, codes: tuple[str, ...], *, length: bool, **options: Any) -> None:
        self.codes, self.length = codes, length
        super().__init__(required=False, choices=[(code, self.words(code)) for code in codes], **options)

    def words(self, code: str) -> str:
        """``3 years`` of a term, ``Quarterly`` of a billing cycle."""
        if not code:
            return "No term" if self.length else "Once"
        return length_words(code) if self.length else Cycle.parse(code).label

    def keep(self, code: str | None) -> None:
        """Offer a code that a record has already."""
        if code and code not in self.codes:
            self.choices = [(each, self.words(each)) for each in (*self.codes, code)]

    def valid_value(self, value: Any) -> bool:
        """Any code of a cycle, whether it is offered or not."""
        try:
            return not value or bool(Cycle.parse(value))
        except DomainError:
            return False


class TermFields(forms.Form):
    """Term, billing and days, for a form of its own or a line of an editor."""

    term = TermField(TERMS, length=True, label="Term")
    billing_cycle = TermField(BILLINGS, length=False, label="Billed", help_text="As often as the term: prepaid.")
    start_date = DayField(label="From", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in ("term", "billing_cycle"):
            self.fields[name].keep(self.initial.get(name))  # type: ignore[attr-defined]


class PurchaseTermFields(TermFields):
    """What a purchase has besides: the last day of a term that ends with another."""

    end_date = DayField(label="To", required=False)
