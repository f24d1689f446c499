"""Lease economics: both ways of accounting for leased goods side by side, planned and as booked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse

from counterfoil.core.calendar import Period, format_month
from counterfoil.core.depreciation import Convention, Method
from counterfoil.core.errors import DomainError
from counterfoil.core.lease import (
    EconomicsRow,
    LeaseClassification,
    LeaseEconomics,
    LeaseTerms,
    OptionEconomics,
    lease_classification,
    lease_economics,
)
from counterfoil.core.money import format_money, multiply, parse_decimal, parse_money, round_to, sum_money
from counterfoil.flows.lease_books import LeaseBooks, lease_books, leases, promised_terms
from counterfoil.web.actions import today
from counterfoil.web.lists import EXPORTS, Column, ListSpec

METHODS: Final = (
    (Method.STRAIGHT_LINE, "Straight line"),
    (Method.DECLINING_BALANCE_150, "Declining balance, 150 %"),
    (Method.DECLINING_BALANCE_200, "Declining balance, 200 %"),
    (Method.SUM_OF_YEARS, "Sum of the years' digits"),
    (Method.MACRS_3, "US MACRS, 3-year property"),
    (Method.MACRS_5, "US MACRS, 5-year property"),
    (Method.MACRS_7, "US MACRS, 7-year property"),
    (Method.MACRS_10, "US MACRS, 10-year property"),
    (Method.MACRS_15, "US MACRS, 15-year property"),
    (Method.MACRS_20, "US MACRS, 20-year property"),
)
CONVENTIONS: Final = (
    ("", "As usual"),
    (Convention.FULL_MONTH, "Full month"),
    (Convention.NEXT_MONTH, "From the next month"),
    (Convention.MID_MONTH, "Mid-month"),
    (Convention.DAILY, "By days"),
    (Convention.HALF_YEAR, "Half-year"),
    (Convention.MID_QUARTER, "Mid-quarter (MACRS)"),
)
LONGEST: Final = 240

#: What a refusal of the core is about -> the field of the form.
FIELDS: Final = {
    "price_per_month": "price",
    "life_months": "life",
    "tax_rate": "tax",
    "annual_discount_rate": "rate",
    "economic_life_months": "use",
}


class AmountField(forms.CharField):
    """An amount to the cent."""

    def clean(self, value: Any) -> Decimal:
        """The amount."""
        return _parsed(parse_money, super().clean(value))


class PercentField(forms.CharField):
    """A percentage as people write it, as a fraction of one."""

    def clean(self, value: Any) -> Decimal:
        """The fraction."""
        return multiply(_parsed(_percentage, super().clean(value)), Decimal("0.01"))


def _parsed(parse: Any, text: str) -> Decimal:
    try:
        number: Decimal = parse(text, "")
    except DomainError as error:
        raise ValidationError(" ".join(part for part in (error.message, error.hint) if part)) from error
    return number


def _percentage(text: str, field: str) -> Decimal:
    return parse_decimal(text.strip().removesuffix("%"), field, places=4, digits=3)


class LeaseForm(forms.Form):
    """The terms of a lease; each field has its usual value, so that an empty page already shows one."""

    cost = AmountField(label="Cost of the goods")
    price = AmountField(label="Price a month")
    months = forms.IntegerField(label="Length of the lease", min_value=1, max_value=LONGEST)
    life = forms.IntegerField(label="Depreciated over", min_value=1, max_value=LONGEST)
    method = forms.ChoiceField(label="Depreciation", choices=METHODS)
    convention = forms.ChoiceField(label="Convention", choices=CONVENTIONS, required=False)
    salvage = AmountField(label="Salvage value")
    start = forms.DateField(label="Starts on", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    tax = PercentField(label="Sales tax")
    rate = PercentField(label="Discount rate a year")
    use = forms.IntegerField(label="Economic life", min_value=1, max_value=LONGEST, required=False)

    @classmethod
    def usual(cls) -> dict[str, str]:
        """A server of 3,600.00, leased for 150.00 a month over three years."""
        return {
            "cost": "3600",
            "price": "150",
            "months": "36",
            "life": "36",
            "method": Method.STRAIGHT_LINE.value,
            "convention": "",
            "salvage": "0",
            "start": date(today().year, 1, 1).isoformat(),
            "tax": "6",
            "rate": "8",
            "use": "",
        }

    def terms(self) -> LeaseTerms:
        """The lease.

        Raises:
            DomainError: what :class:`LeaseTerms` refuses.
        """
        given = self.cleaned_data
        method = Method(given["method"])
        usual = Convention.HALF_YEAR if method.macrs_years else Convention.FULL_MONTH
        return LeaseTerms(
            cost=given["cost"],
            price_per_month=given["price"],
            months=given["months"],
            start=given["start"],
            life_months=given["life"],
            method=method,
            convention=Convention(given["convention"]) if given["convention"] else usual,
            salvage=given["salvage"],
            tax_rate=given["tax"],
        )

    def work_out(self) -> Result | None:
        """Both options, or ``None`` with the refusal beside its field."""
        if not self.is_valid():
            return None
        try:
            terms = self.terms()
            facts = lease_classification(terms, self.cleaned_data["rate"], self.cleaned_data["use"])
            return Result(lease_economics(terms), facts, self.cleaned_data["use"] or terms.life_months)
        except DomainError as refusal:
            field = FIELDS.get(refusal.field or "", refusal.field or "")
            self.add_error(field if field in self.fields else None, refusal.message)
            return None


@dataclass(frozen=True, slots=True)
class Pair:
    """A month or a year of both options."""

    period: Period
    one: EconomicsRow
    two: EconomicsRow

    @property
    def difference(self) -> Decimal:
        """By how much option 2 has earned more so far."""
        return sum_money((self.two.cumulative_profit, -self.one.cumulative_profit))


@dataclass(frozen=True, slots=True)
class Even:
    """The month in which an option has earned back what it cost, and the how manieth of the lease it is."""

    month: date
    number: int


@dataclass(frozen=True, slots=True)
class Result:
    """What the page shows of one lease."""

    economics: LeaseEconomics
    facts: LeaseClassification
    economic_life: int

    @property
    def terms(self) -> LeaseTerms:
        """The lease."""
        return self.economics.terms

    @property
    def months(self) -> list[Pair]:
        """Month by month."""
        return _pairs(self.economics.option_1.months, self.economics.option_2.months)

    @property
    def years(self) -> list[Pair]:
        """Year by year."""
        return _pairs(self.economics.option_1.years, self.economics.option_2.years)

    @property
    def total(self) -> Pair:
        """The whole lease."""
        one, two = self.economics.option_1.total, self.economics.option_2.total
        return Pair(one.period, one, two)

    @property
    def margin(self) -> Decimal | None:
        """The whole profit of option 1 as a share of the cost."""
        cost = self.terms.cost
        return round_to(Fraction(self.total.one.profit) / Fraction(cost), 3) if cost else None

    @property
    def monthly_rate(self) -> Decimal | None:
        """The rate implicit in the lease, a month."""
        rate = self.facts.implicit_monthly_rate
        return None if rate is None else round_to(rate, 5)

    @property
    def even_1(self) -> Even | None:
        """When option 1 has earned its cost back."""
        return _even(self.economics.option_1)

    @property
    def even_2(self) -> Even | None:
        """When option 2 shows no loss any more."""
        return _even(self.economics.option_2)

    @property
    def deepest(self) -> EconomicsRow:
        """The month when the least cash is there."""
        return min(self.economics.option_1.months, key=lambda row: row.cash)

    def plot(self) -> dict[str, Any]:
        """The series of the plot."""
        one, two = self.economics.option_1.months, self.economics.option_2.months
        return {
            "labels": [format_month(row.period.start) for row in one],
            "series": [
                _series("option1", "Option 1, profit so far", one, "cumulative_profit", "line", "plot-1"),
                _series("option2", "Option 2, profit so far", two, "cumulative_profit", "line", "plot-2"),
                _series("net_book_value", "Net book value", two, "net_book_value", "area", "plot-2"),
                _series("cash", "Cash so far", one, "cash", "dash", "plot-cash", order=0),
            ],
        }


def _pairs(ones: Sequence[EconomicsRow], twos: Sequence[EconomicsRow]) -> list[Pair]:
    return [Pair(one.period, one, two) for one, two in zip(ones, twos, strict=True)]


def _even(option: OptionEconomics) -> Even | None:
    """The first month from which the option never shows a loss again."""
    since = None
    for number, row in enumerate(option.months, start=1):
        if row.cumulative_profit < 0:
            since = None
        elif since is None:
            since = Even(row.period.start, number)
    return since


def _series(
    key: str, label: str, rows: Iterable[EconomicsRow | None], attribute: str, style: str, colour: str, **more: Any
) -> dict[str, Any]:
    values = [None if row is None else str(getattr(row, attribute)) for row in rows]
    return {"key": key, "label": label, "values": values, "style": style, "colour": colour, **more}


def _column(key: str, label: str, value: str) -> Column:
    return Column(key, label, value, kind="money")


MONTHS: Final = ListSpec(
    name="Lease economics",
    columns=(
        Column("month", "Month", "period.start", kind="date"),
        _column("revenue", "Revenue", "one.revenue"),
        _column("cogs_1", "Option 1: cost of goods", "one.cogs"),
        _column("profit_1", "Option 1: profit", "one.profit"),
        _column("so_far_1", "Option 1: profit so far", "one.cumulative_profit"),
        _column("depreciation_2", "Option 2: depreciation", "two.depreciation"),
        _column("profit_2", "Option 2: profit", "two.profit"),
        _column("so_far_2", "Option 2: profit so far", "two.cumulative_profit"),
        _column("nbv_2", "Option 2: net book value", "two.net_book_value"),
        _column("difference", "Difference of profit so far", "difference"),
        _column("cash", "Cash so far", "one.cash"),
    ),
)


def economics(request: HttpRequest) -> HttpResponse:
    """Any lease: the inputs are in the address, so that it can be passed on."""
    if request.GET.get("agreement", "").isdecimal():
        return redirect("web:lease_books", int(request.GET["agreement"]))
    usual = LeaseForm.usual()
    given = {name: request.GET.get(name, value) for name, value in usual.items()}
    form = LeaseForm(given)
    result = form.work_out()
    export = request.GET.get("export", "")
    if result is not None and export in EXPORTS:
        return EXPORTS[export](MONTHS, result.months)
    is_part = bool(request.headers.get("HX-Request"))
    if result is None and is_part:
        # The figures on the page stay: only the errors are sent, and each lands beside its field.
        answer = render(request, "web/lease/errors.html", {"form": form, "oob": True}, status=422)
        for name, value in KEEP.items():
            answer[name] = value
        return answer
    status = 200
    if result is None:
        status, fallback = 422, LeaseForm(usual)
        result = fallback.work_out()
    assert result is not None  # the usual lease can be worked out
    context = {
        "form": form,
        "given": given,
        "result": result,
        "plot": result.plot(),
        "explained": _in_words(result),
        "is_usual": status == 422,
        "oob": is_part,
    }
    if not is_part:
        context["leases"] = leases()[:8]
    return render(request, "web/lease/result.html" if is_part else "web/lease/economics.html", context, status=status)


#: The result on the page is the last good one, and so is its address.
KEEP: Final = {"HX-Reswap": "none", "HX-Replace-Url": "false"}


def _in_words(result: Result) -> str:
    """What the two lines say, in a sentence."""
    first, terms = result.months[0], result.terms
    return (
        f"In {format_month(first.period.start)} option 1 shows {_gain(first.one.profit)} and option 2"
        f" {_gain(first.two.profit)}, although both earned the same {format_money(first.one.revenue)} and bought the"
        f" same goods for {format_money(terms.cost)}."
    )


def _gain(profit: Decimal) -> str:
    return f"a {'loss' if profit < 0 else 'profit'} of {format_money(abs(profit))}"


# -- a real lease ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """A month of a real lease: as foretold, and as booked. Either may be missing."""

    period: Period
    foretold: EconomicsRow | None
    booked: EconomicsRow | None

    def differs(self, name: str) -> bool:
        """Whether both are there and say different things."""
        if self.foretold is None or self.booked is None:
            return False
        return bool(getattr(self.foretold, name) != getattr(self.booked, name))

    @property
    def figures(self) -> list[tuple[Decimal | None, Decimal | None, bool]]:
        """(foretold, booked, differs) of profit, profit so far, net book value and cash."""
        return [
            (getattr(self.foretold, name, None), getattr(self.booked, name, None), self.differs(name))
            for name in COMPARED
        ]

    @property
    def is_different(self) -> bool:
        """Whether anything differs."""
        return any(differs for _, _, differs in self.figures)


COMPARED: Final = ("profit", "cumulative_profit", "net_book_value", "cash")

BOOKED: Final = ListSpec(
    name="Lease as booked",
    columns=(
        Column("month", "Month", "period.start", kind="date"),
        *(
            Column(f"{side}_{name}", f"{name.replace('_', ' ').capitalize()}, {side}", f"{side}.{name}", kind="money")
            for name in COMPARED
            for side in ("foretold", "booked")
        ),
    ),
)


def books(request: HttpRequest, pk: int) -> HttpResponse:
    """What the books say about a real lease, beside what its terms foretold."""
    agreement = leases().filter(pk=pk).first()
    if agreement is None:
        raise Http404("There is no lease with this number.")
    booked = lease_books(agreement)
    terms = promised_terms(booked)
    plan = lease_economics(terms) if terms else None
    mine = (plan.option_2 if booked.assets else plan.option_1) if plan else None
    months = _compared(booked, mine)
    export = request.GET.get("export", "")
    if export in EXPORTS:
        return EXPORTS[export](BOOKED, months)
    both = [month for month in months if month.booked and month.foretold]
    context = {
        "agreement": agreement,
        "leases": leases()[:8],
        "assets": booked.assets,
        "terms": terms,
        "option": 2 if booked.assets else 1,
        "months": months,
        "booked_months": len(both),
        "different": [month for month in both if month.is_different],
        "last": booked.months[-1] if booked.months else None,
        "plot": _booked_plot(months, plan, is_asset=bool(booked.assets)),
        "try_address": f"{reverse('web:lease_economics')}?{_query_of(terms)}" if terms else "",
    }
    return render(request, "web/lease/books.html", context)


def _compared(booked: LeaseBooks, plan: OptionEconomics | None) -> list[Compared]:
    """Every month of the plan and of the books; a plan's cash is compared while the books go on."""
    foretold = {row.period: row for row in plan.months} if plan else {}
    found = {row.period: row for row in booked.months}
    return [
        Compared(period, foretold.get(period), found.get(period))
        for period in sorted({*foretold, *found}, key=lambda period: period.start)
    ]


def _booked_plot(months: list[Compared], plan: LeaseEconomics | None, *, is_asset: bool) -> dict[str, Any]:
    booked, foretold = [month.booked for month in months], [month.foretold for month in months]
    key, other = ("option2", "option1") if is_asset else ("option1", "option2")
    series = [
        _series(key, "Profit so far, booked", booked, "cumulative_profit", "line", "plot-2" if is_asset else "plot-1"),
        _series("foretold", "Profit so far, foretold", foretold, "cumulative_profit", "dash", "plot-cash", order=2),
        _series("net_book_value", "Net book value, booked", booked, "net_book_value", "area", "plot-2"),
        _series("cash", "Cash so far, booked", booked, "cash", "line", "good", hidden=True),
    ]
    if plan:
        by_period = {row.period: row for row in (plan.option_1 if is_asset else plan.option_2).months}
        rows = [by_period.get(month.period) for month in months]
        label, colour = f"Option {other[-1]} would show", "plot-1" if is_asset else "plot-2"
        series.insert(2, _series(other, label, rows, "cumulative_profit", "dash", colour))
    return {"labels": [format_month(month.period.start) for month in months], "series": series}


def _query_of(terms: LeaseTerms) -> str:
    """The inputs of the page for any lease that show these terms."""
    return (
        f"cost={terms.cost}&price={terms.price_per_month}&months={terms.months}&life={terms.life_months}"
        f"&method={terms.method.value}&convention={terms.convention.value}&salvage={terms.salvage}&start={terms.start}"
    )


urlpatterns: list[URLPattern] = [
    path("lease-economics/", economics, name="lease_economics"),
    path("lease-economics/agreements/<int:pk>/", books, name="lease_books"),
]
