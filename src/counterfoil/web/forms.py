"""Fields and pages of forms: amounts as people write them, names one types, one way from a form to a command.

A form's fields are named as the command's arguments, so that a refusal finds its field; those of lines come back as
``lines[2].unit_price`` and are shown in the third line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

from django import forms
from django.contrib import messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.dateparse import parse_date
from django.utils.safestring import SafeString

from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company, CompanyKind
from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_money, parse_quantity, parse_unit_price
from counterfoil.platform.commands import check_role
from counterfoil.platform.records import plain_number
from counterfoil.web import sent
from counterfoil.web.actions import actor_of, mend_of

T = TypeVar("T")
Command = Callable[..., Any]

CYCLES: Final = (
    ("month:1", "Monthly"),
    ("month:3", "Quarterly"),
    ("month:6", "Half-yearly"),
    ("year:1", "Yearly"),
    ("week:1", "Weekly"),
)


# -- fields ------------------------------------------------------------------------------------------------------------


class NumberField(forms.CharField):
    """A number as people write it: ``1,234.50``. Empty is ``None``."""

    parse: Callable[[str, str], Decimal]

    def __init__(self, *, unit: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.unit = unit
        self.widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def prepare_value(self, value: Any) -> Any:
        """A stored number without idle zeros; what was typed as it is."""
        return plain_number(value) if isinstance(value, Decimal) else value

    def clean(self, value: Any) -> Any:
        """The Decimal, or the refusal in words."""
        text = super().clean(value)
        if not text:
            return None
        try:
            return type(self).parse(text, "")
        except DomainError as refusal:
            raise forms.ValidationError(_in_words(refusal)) from refusal


class MoneyField(NumberField):
    """An amount to the cent."""

    parse = staticmethod(parse_money)


class PriceField(NumberField):
    """A unit price or cost, up to eight decimals."""

    parse = staticmethod(parse_unit_price)


class QuantityField(NumberField):
    """A quantity, up to six decimals."""

    parse = staticmethod(parse_quantity)


class DayField(forms.DateField):
    """A date."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)


class ChoiceOf(forms.TypedChoiceField):
    """One of a few records, by id; the choices are given when the form is made."""

    def __init__(self, *, empty: str | None = None, **options: Any) -> None:
        super().__init__(coerce=int, empty_value=None, **options)
        self.empty = empty

    def offer(self, records: QuerySet[Any] | Sequence[Any], label: Callable[[Any], str] = str) -> None:
        """Let one choose among ``records``."""
        blank = [("", self.empty if self.empty is not None else "Choose …")]
        self.choices = [
            *(blank if self.empty is not None or not self.required or len(records) != 1 else []),
            *((record.pk, label(record)) for record in records),
        ]


class _Picker(forms.TextInput):
    """A text input that offers what matches while one types (``pickers.js``)."""

    def __init__(self, source: Any, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"autocomplete": "off", "class": "is-name", "data-pick": source, **(attrs or {})})


class RecordField(forms.CharField):
    """A record one names by typing; its id when cleaned."""

    noun = "record"
    source: Any = ""

    def __init__(self, **options: Any) -> None:
        options.setdefault("widget", _Picker(self.source))
        super().__init__(**options)

    def among(self) -> QuerySet[Any]:
        """What can be named."""
        raise NotImplementedError

    def matching(self, text: str) -> Q:
        """Which records are named ``text``."""
        raise NotImplementedError

    def label_of(self, record: Any) -> str:
        """What stands in the input for ``record``."""
        return str(record)

    def prepare_value(self, value: Any) -> Any:
        """The record's name for an id; what was typed as it is."""
        if isinstance(value, Model):
            return self.label_of(value)
        if isinstance(value, int):
            record = self.among().model._default_manager.filter(pk=value).first()
            return self.label_of(record) if record else ""
        return value

    def clean(self, value: Any) -> Any:
        """The id of the one record that is named so."""
        text = super().clean(value)
        if not text:
            return None
        found = list(self.among().filter(self.matching(text))[:2])
        if len(found) == 1:
            return found[0].pk
        exact = [record for record in found if record.identifier.lower() == text.lower()]
        if exact:
            return exact[0].pk
        if found:
            raise forms.ValidationError(f"Several {self.noun} are called “{text}”: write the identifier.")
        raise forms.ValidationError(f"There is no such {self.noun}: “{text}”. Choose one of those offered.")


class CompanyField(RecordField):
    """A company by name or identifier. ``kind`` limits it to customers, vendors, or whom something can be sold to."""

    noun = "company"

    def __init__(self, *, kind: str = "customers", **options: Any) -> None:
        self.kind = kind
        self.source = reverse_lazy("web:pick", args=[kind])
        super().__init__(**options)

    def among(self) -> QuerySet[Company]:
        """Active companies of the kind."""
        return companies_to_pick(self.kind)

    def matching(self, text: str) -> Q:
        """By name or identifier."""
        return Q(name__iexact=text) | Q(identifier__iexact=text)

    def label_of(self, record: Company) -> str:
        """Its name."""
        return record.name


class ProductField(RecordField):
    """A product by identifier."""

    noun = "product"
    source = reverse_lazy("web:pick", args=["products"])

    def among(self) -> QuerySet[Product]:
        """What is on the catalog."""
        return Product.objects.filter(active=True)

    def matching(self, text: str) -> Q:
        """By identifier."""
        return Q(identifier__iexact=text)

    def label_of(self, record: Product) -> str:
        """Its identifier."""
        return record.identifier


def companies_to_pick(kind: str) -> QuerySet[Company]:
    """Active companies: ``customers`` (internal companies included), ``vendors``, or ``companies``."""
    kinds = {
        "customers": (CompanyKind.CUSTOMER, CompanyKind.BOTH, CompanyKind.INTERNAL),
        "vendors": (CompanyKind.VENDOR, CompanyKind.BOTH),
    }.get(kind, tuple(CompanyKind))
    return Company.objects.filter(active=True, kind__in=kinds)


class SerialsField(forms.CharField):
    """Serial numbers, one a line (commas do as well)."""

    def __init__(self, **options: Any) -> None:
        attrs = {"rows": 2, "spellcheck": "false", "autocapitalize": "off", "placeholder": "One a line"}
        super().__init__(required=False, widget=forms.Textarea(attrs=attrs), **options)

    def clean(self, value: Any) -> Any:
        """The serial numbers as a tuple."""
        return tuple(part.strip() for part in re.split(r"[\n,;]+", super().clean(value)) if part.strip())


# -- forms -------------------------------------------------------------------------------------------------------------


class PageForm(forms.Form):
    """A form laid out in rows; fields that ``rows`` does not name stand alone, in their order."""

    rows: tuple[tuple[str, ...], ...] = ()

    def layout(self) -> list[list[forms.BoundField]]:
        """The fields row by row."""
        beside = {name: row for row in self.rows for name in row}
        laid: list[list[forms.BoundField]] = []
        seen: set[str] = set()
        for name in self.fields:
            if name in seen:
                continue
            row = [other for other in beside.get(name, (name,)) if other in self.fields]
            seen.update(row)
            laid.append([self[other] for other in row])
        return laid

    def given(self) -> dict[str, Any]:
        """What was entered, by argument of the command."""
        return dict(self.cleaned_data)


class LineForm(forms.Form):
    """A line of an editor. A line that nothing was entered in is left out."""

    def given(self) -> dict[str, Any]:
        """What was entered; what was left empty stays the command's default."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}

    def is_wanted(self) -> bool:
        """Whether the line counts; one that nothing was entered in does not."""
        return bool(self.given())


class LineEditor:
    """Lines to enter below one another (a formset), and what of them was entered."""

    def __init__(
        self, request: HttpRequest, form: type[LineForm], *, title: str = "Lines", add: str = "Add a line",
        initial: Sequence[dict[str, Any]] = (), blank: int = 1, note: str = "", required: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.title, self.add, self.note, self.required = title, add, note, required
        factory = forms.formset_factory(form, extra=blank)
        data = request.POST if request.method == "POST" else None
        self.formset: Any = factory(data, prefix="lines", initial=initial or None, form_kwargs=options)
        self.error = ""

    @property
    def has_errors(self) -> bool:
        """Whether something in the lines has to be mended."""
        return bool(self.error) or (self.formset.is_bound and any(form.errors for form in self.formset))

    @property
    def filled(self) -> list[LineForm]:
        """The lines that count, in order: a refusal of ``lines[1]`` is about the second of them."""
        return [form for form in self.formset if form.is_valid() and form.is_wanted()]

    def is_valid(self) -> bool:
        """Whether every line can be read (and there is one, where one is needed)."""
        if not self.formset.is_valid():
            return False
        if self.required and not self.given():
            self.error = "Enter at least one line."
            return False
        return True

    def given(self) -> list[dict[str, Any]]:
        """What was entered, line by line."""
        return [form.given() for form in self.filled]

    def place(self, refusal: DomainError) -> bool:
        """Show a refusal in its line; whether it is about one."""
        found = re.fullmatch(r"lines\[(\d+)\]\.?(\w*)", refusal.field or "")
        filled = self.filled
        if not found or int(found[1]) >= len(filled):
            return False
        line, name = filled[int(found[1])], found[2]
        named = [field for field in (name, f"{name}_id") if field in line.fields]
        shown = [field.name for field in line.visible_fields()]
        line.add_error(named[0] if named else shown[0], _in_words(refusal))
        return True


#: How commands are called whose form shows what there is, to be made something else. Other forms propose values.
_CHANGES: Final = ("update_", "set_", "change_quote_settings", "change_user")


@dataclass(frozen=True, slots=True)
class Deed:
    """How a form page is worded and what it leads to.

    Attributes:
        title: head of the page.
        button: what the deed is called.
        back: where Cancel goes.
        then: where the result is shown.
        said: what the toast says of the result.
        crumbs: (label, address) of the pages above.
        intro: a sentence above the form.
    """

    title: str
    button: str
    back: str
    then: Callable[[Any], str]
    said: Callable[[Any], str]
    crumbs: tuple[tuple[str, str], ...] = ()
    intro: str = ""


def form_page(
    request: HttpRequest,
    command: Command,
    form: PageForm,
    run: Callable[[], Any],
    deed: Deed,
    *,
    lines: LineEditor | None = None,
    template: str = "web/form.html",
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """Show a form; when it is sent, run the command. What cannot be done is said beside the field, and nothing is lost.

    Args:
        request: GET shows, POST runs.
        command: whose roles are required, also to see the form.
        form: bound when the request is a POST.
        run: runs the command with what was entered.
        deed: words and ways.
        lines: an editor of lines, if there is one.
        template: extends ``web/form.html``.
        context: more for the template.
    """
    require(request, command)
    refusal: DomainError | None = None
    changes = command.__name__.startswith(_CHANGES)
    if request.method == "POST":
        if before := sent.came_of(request):
            return redirect(before)
        is_valid = _is_valid(request, form, lines) if changes else form.is_valid()
        if (lines is None or lines.is_valid()) and is_valid:

            def do() -> str:
                result = run()
                messages.success(request, deed.said(result))
                return deed.then(result)

            try:
                return redirect(sent.once(request, do))
            except DomainError as error:
                refusal = None if _placed(error, form, lines) else error
    seen = sent.seen_fields(form, lines.formset.initial if lines else None) if changes else SafeString("")
    shown = {
        "form": form, "lines": lines, "deed": deed, "refusal": refusal, "sent": sent.token() + seen,
        **mend_of(refusal), **(context or {}),
    }  # fmt: skip
    return render(request, template, shown, status=422 if request.method == "POST" else 200)


def _is_valid(request: HttpRequest, form: PageForm, lines: LineEditor | None) -> bool:
    """Whether a record can be changed to what the form says, as far as others have left it as it was shown."""
    both = sent.keep_others_changes(form)
    is_valid = form.is_valid()
    sent.say_who_was_faster(form, both)
    seen = request.POST.get(sent.SEEN_LINES)
    if lines is not None and seen and seen != sent.lines_print(lines.formset.initial):
        lines.error = "These lines were changed meanwhile. Save once more if they are to be as they stand here."
        return False
    return is_valid and not both


def run_deed(request: HttpRequest, deed: Callable[[], T], *, then: str, said: str | Callable[[T], str]) -> HttpResponse:
    """Run a command that needs no form (a confirmed button). Its refusal has a page of its own."""
    result = deed()
    messages.success(request, said if isinstance(said, str) else said(result))
    return redirect(then)


def is_to_be_put_away(request: HttpRequest, active: bool) -> bool:
    """Whether a button asks to put a record away, not to take it up again: pressed twice, it asks the same twice."""
    return request.POST.get("active", "no" if active else "yes") == "no"


def require(request: HttpRequest, command: Command) -> None:
    """Refuse who may not run ``command``.

    Raises:
        DomainError: ``role_required``.
    """
    check_role(actor_of(request), command.roles, command.__name__)  # type: ignore[attr-defined]


def may(request: HttpRequest, **commands: Command) -> dict[str, bool]:
    """Which of the commands the signed-in person may run, by the name given to each."""
    actor = actor_of(request)
    return {name: actor.may(*command.roles) for name, command in commands.items()}  # type: ignore[attr-defined]


def asked_id(request: HttpRequest, name: str) -> int | None:
    """The id that the address asks for (``?company=3``), if it is one."""
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 19 else None


def parse_day(text: str | None) -> date | None:
    """The date in an address, if it is one."""
    try:
        return parse_date(text or "")
    except ValueError:
        return None


def posted(request: HttpRequest) -> Any:
    """What a form is bound to: the sent data, or nothing yet."""
    return request.POST if request.method == "POST" else None


def _placed(refusal: DomainError, form: forms.Form, lines: LineEditor | None) -> bool:
    """Whether the refusal is shown beside its field; on a page of one line, ``lines[0].quantity`` is its quantity."""
    field = refusal.field or ""
    if lines is None:
        field = re.sub(r"^lines\[0\]\.", "", field)
    for name in (field, f"{field}_id"):
        if name in form.fields:
            form.add_error(name, _in_words(refusal))
            return True
    return lines.place(refusal) if lines is not None else False


def _in_words(refusal: DomainError) -> str:
    return " ".join(part for part in (refusal.message, refusal.hint) if part)
