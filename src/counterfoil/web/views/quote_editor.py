"""The quote editor: every change is decided by a command, and what follows from it is put where it stands.

A line's figures are small answers (``changed``), not the page: a change of one line costs the same on a quote of two
hundred. What adds, removes or moves lines sends the lines anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.catalog.queries import in_effect, offers, offers_for, price_models, products
from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_quantity, parse_unit_price
from counterfoil.core.pricing.terms import term_words
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.states import words
from counterfoil.quotes import commands, links
from counterfoil.quotes.approvals import Finding
from counterfoil.quotes.models import (
    CHANGEABLE,
    WITH_CUSTOMER,
    ApprovalStatus,
    QuoteLine,
    QuoteLink,
    QuoteSection,
    QuoteVersion,
    StartPolicy,
    VersionStatus,
)
from counterfoil.quotes.pricing import lines_of, price_version
from counterfoil.quotes.queries import (
    Editor,
    editor_of,
    is_of_newest,
    newest_version,
    newest_version_id,
)
from counterfoil.quotes.seen import SeenLine, SeenSection
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import ChoiceOf, DayField, PageForm, PriceField, QuantityField, may, posted
from counterfoil.web.lists import search_of
from counterfoil.web.quote_rows import cell_text, section_views
from counterfoil.web.terms import BILLINGS, TERMS, TermField

#: How many products the catalog offers for what was typed.
MOST_FOUND = 12


# -- what is shown -----------------------------------------------------------------------------------------------------


def editor_context(request: HttpRequest, version: QuoteVersion) -> dict[str, Any]:
    """Sections, lines, totals and margin of a version, for the editor and its answers."""
    priced = price_version(version, on=today())
    editor = editor_of(version, priced)
    value = priced.totals.value
    margin = value.margin_percent
    return {
        "quote": version.quote,
        "version": version,
        "sections": section_views(editor),
        "priced": priced,
        "totals": priced.totals,
        "discount": value.discount,
        "margin": margin,
        "profit": value.margin,
        "meter": max(min(margin, Decimal(100)), Decimal(0)) if margin is not None else 0,
        "reasons": [found.reason for found in _unapproved(editor)],
        "approvals": editor.approvals,
        **_actions(request, editor),
    }


def _unapproved(editor: Editor) -> list[Finding]:
    """Which rules ask for approval that nobody has given."""
    approved = {each.rule_id for each in editor.approvals if each.status == ApprovalStatus.APPROVED}
    return [each for each in editor.asks if each.rule.pk not in approved]


def _actions(request: HttpRequest, editor: Editor) -> dict[str, Any]:
    """What the signed-in person can do with the version as it stands."""
    version, quote = editor.version, editor.version.quote
    can = may(request, edit=commands.update_version, send=commands.send_quote)
    versions = list(quote.versions.order_by("-number"))
    is_last = versions[0].pk == version.pk
    is_draft = version.status in CHANGEABLE and not quote.is_template and is_last
    waits = any(each.status == ApprovalStatus.WAITING for each in editor.approvals)
    missing = bool(_unapproved(editor))
    customer_links = list(quote.links.all())
    return {
        "may": can,
        "versions": versions,
        "next_number": versions[0].number + 1,
        "can_edit": can["edit"] and version.status in CHANGEABLE and is_last,
        "can_submit": can["send"] and is_draft and missing and not waits,
        "can_send": can["send"] and is_draft and not missing and bool(lines_of(version)),
        "can_revise": can["edit"] and is_last and version.status != VersionStatus.ACCEPTED and not quote.is_template,
        "can_withdraw": can["edit"] and is_last and version.status in (*CHANGEABLE, *WITH_CUSTOMER),
        "links": [{"link": link, "url": request.build_absolute_uri(links.address_of(link))} for link in customer_links],
        "customer_url": _customer_url(customer_links, version),
    }


def _customer_url(customer_links: list[QuoteLink], version: QuoteVersion) -> str:
    standing = [link for link in customer_links if link.revoked_at is None]
    return links.address_of(standing[-1]) if standing and version.sent_at else ""


def _version(pk: int) -> QuoteVersion:
    version = newest_version(pk)
    if version is None:
        raise Http404
    return version


def _version_id(pk: int) -> int:
    found = newest_version_id(pk)
    if found is None:
        raise Http404
    return found


def _line(version: QuoteVersion, line_id: int) -> QuoteLine:
    line = next((line for line in lines_of(version) if line.pk == line_id), None)
    if line is None:
        raise Http404
    return line


def _all_lines(
    request: HttpRequest, pk: int, *, version: QuoteVersion | None = None, then: dict[str, Any] | None = None
) -> HttpResponse:
    """The lines anew, with the totals beside them; ``then`` are events for the page."""
    context = editor_context(request, version or _version(pk))
    response = render(request, "web/quotes/includes/lines_and_totals.html", context)
    if then is not None:
        response["HX-Trigger-After-Settle"] = json.dumps(then)
    return response


def _changed(request: HttpRequest, version: QuoteVersion, line_id: int | None = None) -> HttpResponse:
    """What a changed value leads to: sums and words of the line and of those with other figures than before, sums of
    sections, totals. All of it is at hand with the version that was changed: nothing is loaded or priced once more."""
    done = version.recalculated
    told = done.moved | done.notes.keys() if done is not None else frozenset()
    context = editor_context(request, version)
    rows = [
        replace(row, note=done.notes.get(row.line.pk, "") if done is not None else "")
        for section in context["sections"]
        for row in section.lines
        if row.line.pk == line_id or row.line.pk in told
    ]
    return render(request, "web/quotes/includes/changed.html", {**context, "rows": rows})


def _refused(request: HttpRequest, place: str, refusal: DomainError, found: QuoteLine | QuoteSection) -> HttpResponse:
    """Said beside the cell; where somebody else was faster, with what stands there by now."""
    there = cell_text(found, refusal.field or "") if refusal.code == "conflict" else None
    context = {"place": place, "refusal": refusal, "there": there}
    return render(request, "web/quotes/includes/refused.html", context, status=422)


# -- catalog -----------------------------------------------------------------------------------------------------------


@require_GET
def catalog(request: HttpRequest, pk: int) -> HttpResponse:
    """Products and their offers for what was typed."""
    typed = search_of(request)
    rows = list(products(search=typed, active=True)[:MOST_FOUND])
    sold_by: dict[int, list[dict[str, Any]]] = {}
    for offer in in_effect(offers(active=True), today()).filter(product__in=rows):
        shown = {"offer": offer, "words": term_words(offer.term, offer.billing_cycle)}
        sold_by.setdefault(offer.product_id, []).append(shown)
    found = [(row, sold_by.get(row.pk, [])) for row in rows]
    add_url = reverse("web:quote_line_add", args=[pk])
    context = {"found": found, "add_url": add_url, "typed": typed}
    return render(request, "web/quotes/includes/catalog.html", context)


@require_POST
def line_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Quote a product of the catalog, at the end of the section that was worked on."""
    line = commands.NewLine(
        product_id=_id(request, "product_id"),
        offer_id=_optional_id(request, "offer_id"),
        section_id=_optional_id(request, "section_id"),
    )
    made = commands.add_version_lines(actor=actor_of(request), version_id=_version_id(pk), lines=[line], on=today())
    return _all_lines(request, pk, version=made[0].version, then={"counterfoil:line-added": {"line": made[0].pk}})


def _id(request: HttpRequest, name: str) -> int:
    found = _optional_id(request, name)
    if found is None:
        raise DomainError("required", f"Name the {name.removesuffix('_id')}.", field=name)
    return found


def _optional_id(request: HttpRequest, name: str) -> int | None:
    value = request.POST.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 19 else None


# -- a line ------------------------------------------------------------------------------------------------------------


def line_cell(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """GET: everything about a line, to be changed. POST: one or more values of it."""
    if request.method != "POST":
        version = _version(pk)
        line = _line(version, line_id)
        form = DetailsForm(initial=_initial(line))
        form.suit(version, line)
        return _details(request, version, line, form)
    if not is_of_newest(QuoteLine, pk, line_id):
        raise Http404
    try:
        line = commands.update_version_line(
            actor=actor_of(request),
            line_id=line_id,
            on=today(),
            seen=SeenLine(**_values(request.POST, "was_")),
            **_values(request.POST),
        )
    except DomainError as refusal:
        return _refused(request, f"error-{line_id}", refusal, QuoteLine.objects.get(pk=line_id))
    assert line.version is not None
    return _changed(request, line.version, line_id)


def _values(sent: Mapping[str, str], prefix: str = "") -> dict[str, Any]:
    """What the cells of a line or a section say; those with the prefix ``was_`` are what stood in them before.

    Raises:
        DomainError: ``invalid``, naming the cell.
    """
    values: dict[str, Any] = {}
    for name in ("description", "title"):
        if prefix + name in sent:
            values[name] = sent[prefix + name]
    if prefix + "quantity" in sent:
        values["quantity"] = parse_quantity(sent[prefix + "quantity"], "quantity")
    if prefix + "list_price" in sent:
        values["list_price"] = parse_unit_price(sent[prefix + "list_price"], "list_price")
    if prefix + "discount" in sent:
        values["discount_kind"], values["discount_value"] = read_discount(sent[prefix + "discount"])
    return values


def read_discount(text: str) -> tuple[str, Decimal]:
    """``10%`` or ``25`` as kind and value; nothing for an empty text.

    Raises:
        DomainError: ``invalid``.
    """
    text = text.strip()
    if not text:
        return "", Decimal(0)
    kind = "percent" if text.endswith("%") else "amount"
    value = parse_unit_price(text.removesuffix("%").strip(), "discount")
    return (kind, value) if value else ("", Decimal(0))


class DetailsForm(PageForm):
    """What else there is to a line: options, bounds, start, cost, words."""

    rows = (
        ("optional", "selected", "hidden"),
        ("choice_group", "quantity_min", "quantity_max"),
        ("unit_cost", "price_model_id", "section_id"),
        ("term", "billing_cycle", "cycles"),
        ("is_usage",),
        ("start_policy", "start_date", "align_to", "proration"),
        ("customer_text",),
    )

    optional = forms.BooleanField(label="The customer may take it or leave it", required=False)
    selected = forms.BooleanField(label="Taken unless the customer says otherwise", required=False)
    hidden = forms.BooleanField(label="Hidden from the customer", required=False)
    choice_group = forms.CharField(
        label="Choose one of", required=False, max_length=40, help_text="Lines of the same name: one is chosen."
    )
    quantity_min = QuantityField(label="At least", required=False)
    quantity_max = QuantityField(label="At most", required=False)
    unit_cost = PriceField(label="Unit cost")
    price_model_id = ChoiceOf(label="Price model", required=False, empty="A plain price")
    section_id = ChoiceOf(label="Section", required=False, empty="None")
    term = TermField(TERMS, length=True, label="Term")
    billing_cycle = TermField(BILLINGS, length=False, label="Billed", help_text="As often as the term: prepaid.")
    cycles = forms.IntegerField(label="Times", required=False, min_value=1, help_text="Empty: open-ended.")
    is_usage = forms.BooleanField(
        label="Billed by what is used",
        required=False,
        help_text="The quantity is an estimate; it stands apart from the totals.",
    )
    start_policy = forms.ChoiceField(label="Begins", choices=StartPolicy.choices)
    start_date = DayField(label="On", required=False)
    align_to = DayField(label="Ends with", required=False, help_text="First day after the shortened term.")
    proration = forms.ChoiceField(
        label="First period by",
        required=False,
        choices=[
            ("", "As the agreement does"),
            *((each.value, words(each.value).capitalize()) for each in ProrationMethod),
        ],
    )
    customer_text = forms.CharField(
        label="Beneath the description", required=False, widget=forms.Textarea(attrs={"rows": 2})
    )

    def suit(self, version: QuoteVersion, line: QuoteLine) -> None:
        """Offer what there is to choose; what makes sense for recurring lines alone is left out of others."""
        choices: dict[str, list[Any]] = {
            "price_model_id": list(price_models(active=True)),
            "section_id": list(version.sections.all()),
        }
        for name, records in choices.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]
        for name in ("term", "billing_cycle"):
            self.fields[name].keep(getattr(line, name))  # type: ignore[attr-defined]
        if not line.billing_cycle:
            for name in ("cycles", "is_usage", "start_policy", "align_to", "proration"):
                del self.fields[name]


_PLAIN = (
    "optional", "selected", "hidden", "choice_group", "quantity_min", "quantity_max", "unit_cost", "price_model_id",
    "section_id", "term", "billing_cycle", "cycles", "is_usage", "start_policy", "start_date", "align_to",
    "proration", "customer_text",
)  # fmt: skip


#: What is said together.
_BEGINNING = {"start_policy", "start_date"}


def _initial(line: QuoteLine) -> dict[str, Any]:
    return {name: getattr(line, name) for name in _PLAIN}


def _details(request: HttpRequest, version: QuoteVersion, line: QuoteLine, form: DetailsForm) -> HttpResponse:
    context = {
        "line": line,
        "form": form,
        "quote": version.quote,
        "offers": [(o, term_words(o.term, o.billing_cycle)) for o in offers_for(line.product, today())],
        "can_edit": may(request, edit=commands.update_version_line)["edit"] and version.status in CHANGEABLE,
        "url": reverse("web:quote_line_details", args=[version.quote_id, line.pk]),
        "seen": request.POST.get("seen") or json.dumps(_initial(line), cls=DjangoJSONEncoder),
    }
    return render(request, "web/quotes/includes/details.html", context, status=422 if form.errors else 200)


@require_POST
def line_details(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Everything about a line at once."""
    version = _version(pk)
    line = _line(version, line_id)
    form = DetailsForm(posted(request))
    form.suit(version, line)
    if form.is_valid():
        try:
            seen, given = _details_seen(request), form.given()
            changes = {name: value for name, value in given.items() if name not in seen or seen[name] != value}
            if changes.keys() & _BEGINNING:
                changes |= {name: given[name] for name in _BEGINNING & given.keys()}
            commands.update_version_line(
                actor=actor_of(request), line_id=line_id, on=today(), seen=SeenLine(**seen), **changes
            )
        except DomainError as refusal:
            said = " ".join(part for part in (refusal.message, refusal.hint) if part)
            form.add_error(refusal.field if refusal.field in form.fields else None, said)
        else:
            response = _all_lines(request, pk)
            response["HX-Retarget"] = "#quote-lines"
            response["HX-Reswap"] = "innerHTML"
            return response
    return _details(request, version, line, form)


def _details_seen(request: HttpRequest) -> dict[str, Any]:
    """What stood in the form when it was opened, by field; nothing where that is not sent along."""
    try:
        sent = json.loads(request.POST.get("seen", "{}"))
        fields: Any = {name: QuoteLine._meta.get_field(name) for name in _PLAIN if name in sent}
        return {name: field.to_python(sent[name]) for name, field in fields.items()}
    except (ValueError, TypeError, ValidationError):
        return {}


@require_POST
def line_offer(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Sell the line by another offer: its term, billing, price and cost."""
    _line(_version(pk), line_id)
    commands.choose_offer(actor=actor_of(request), line_id=line_id, offer_id=_id(request, "offer_id"), on=today())
    return _all_lines(request, pk)


@require_POST
def line_remove(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Take a line off."""
    _line(_version(pk), line_id)
    commands.remove_version_line(actor=actor_of(request), line_id=line_id)
    return _all_lines(request, pk)


@require_POST
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the lines in the order sent, ``5:2,7:2,6:``: each with its section."""
    version_id = _version_id(pk)
    places: dict[int, int | None] = {}
    for part in request.POST.get("order", "").split(","):
        line, _, section = part.partition(":")
        if not line.isdecimal() or (section and not section.isdecimal()):
            raise DomainError("invalid", "The order of the lines could not be read.", field="order")
        places[int(line)] = int(section) if section else None
    try:
        version = commands.reorder_version_lines(
            actor=actor_of(request),
            version_id=version_id,
            line_ids=list(places),
            moved=[commands.Moved(line_id, section_id) for line_id, section_id in places.items()],
        )
    except DomainError as refusal:  # the lines go back to where they were, and it is said why
        said = refusal.message
        if refusal.field == "line_ids":
            said = "Lines were added or taken off meanwhile, so the order stays. This is the quote as it stands now."
        response = _all_lines(request, pk, then={"counterfoil:toast": {"text": said, "level": "error"}})
        response["HX-Retarget"], response["HX-Reswap"] = "#quote-lines", "innerHTML"
        return response
    return _changed(request, version)


# -- sections ----------------------------------------------------------------------------------------------------------


@require_POST
def section_new(request: HttpRequest, pk: int) -> HttpResponse:
    """A section at the end; what is added next goes into it."""
    title = request.POST.get("title", "")
    made = commands.add_section(actor=actor_of(request), version_id=_version_id(pk), title=title)
    return _all_lines(request, pk, then={"counterfoil:section-added": {"section": made.pk}})


@require_POST
def section(request: HttpRequest, pk: int, section_id: int) -> HttpResponse:
    """Title or discount of a section."""
    sent = request.POST
    if not is_of_newest(QuoteSection, pk, section_id):
        raise Http404
    try:
        changed = commands.update_section(
            actor=actor_of(request),
            section_id=section_id,
            seen=SeenSection(**_values(sent, "was_")),
            **_values(sent),
        )
    except DomainError as refusal:
        return _refused(request, f"section-error-{section_id}", refusal, QuoteSection.objects.get(pk=section_id))
    return _changed(request, changed.version)


@require_POST
def section_remove(request: HttpRequest, pk: int, section_id: int) -> HttpResponse:
    """Take a section away; its lines stay."""
    if not _version(pk).sections.filter(pk=section_id).exists():
        raise Http404
    commands.remove_section(actor=actor_of(request), section_id=section_id)
    return _all_lines(request, pk)


urlpatterns = [
    path("quotes/<int:pk>/catalog/", catalog, name="quote_catalog"),
    path("quotes/<int:pk>/lines/add/", line_add, name="quote_line_add"),
    path("quotes/<int:pk>/lines/order/", order, name="quote_order"),
    path("quotes/<int:pk>/lines/<int:line_id>/", line_cell, name="quote_line_cell"),
    path("quotes/<int:pk>/lines/<int:line_id>/details/", line_details, name="quote_line_details"),
    path("quotes/<int:pk>/lines/<int:line_id>/offer/", line_offer, name="quote_line_offer"),
    path("quotes/<int:pk>/lines/<int:line_id>/remove/", line_remove, name="quote_line_take_off"),
    path("quotes/<int:pk>/sections/new/", section_new, name="quote_section_new"),
    path("quotes/<int:pk>/sections/<int:section_id>/", section, name="quote_section"),
    path("quotes/<int:pk>/sections/<int:section_id>/remove/", section_remove, name="quote_section_remove"),
]
