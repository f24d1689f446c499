"""Pages: quotes, their versions, approval, and how they go to the customer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.companies.models import Company
from counterfoil.companies.queries import billing_terms
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.core.states import words
from counterfoil.platform.identity import Actor
from counterfoil.platform.records import plain_number
from counterfoil.quotes import acceptance, commands, links, queries
from counterfoil.quotes.approvals import may_answer, who_of
from counterfoil.quotes.models import (
    CHANGEABLE,
    Acceptance,
    Approval,
    ApprovalStatus,
    DepositKind,
    DiscountKind,
    Quote,
    QuoteKind,
    QuoteLine,
    QuoteVersion,
    VersionStatus,
)
from counterfoil.tax.queries import tax_codes
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    PageForm,
    PriceField,
    asked_id,
    form_page,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.quote_rows import discount_text
from counterfoil.web.sent import once, token
from counterfoil.web.threads import side_of
from counterfoil.web.views.quote_editor import editor_context

CRUMBS = (("Sell", "/quotes/"), ("Quotes", "/quotes/"))


def _with_amounts(rows: list[Any]) -> None:
    """What the newest version of each quote comes to."""
    for row in queries.quote_rows(rows):
        row.quote.one_time, row.quote.monthly = row.one_time, row.monthly  # type: ignore[attr-defined]


QUOTES = ListSpec(
    name="Quotes",
    columns=(
        Column("number", "Number", kind="key"),
        Column("name", "Name", sort="name", card="title"),
        Column("company", "Company", "opportunity.company.name", sort="opportunity__company__name", card="note"),
        Column("kind", "For", lambda quote: QuoteKind(quote.kind).label, sort="kind"),
        Column("version", "Version", "version_number", kind="quantity", sort="version_number"),
        Column("status", "State", kind="state", sort="status", card="note"),
        Column("expires_on", "Until", kind="date", sort="expires_on"),
        Column("monthly", "A month", kind="money", card="figure"),
        Column("one_time", "Once", kind="money", card="figure"),
    ),
    chips=(Chips("status", VersionStatus.choices), Chips("kind", QuoteKind.choices)),
    sort="-number",
    prepare=_with_amounts,
    url=lambda quote: reverse("web:quote", args=[quote.pk]),
    placeholder="Number, name or company",
)

TEMPLATES = ListSpec(
    name="Quote templates",
    columns=(Column("number", "Number", kind="key"), Column("name", "Name", sort="name", card="title")),
    sort="name",
    url=lambda quote: reverse("web:quote", args=[quote.pk]),
    placeholder="Name",
    noun="templates",
)


@navigation.waiting
def quotes_wait() -> navigation.Waits:
    """Quotes that wait for somebody's approval."""
    return {"quotes_in_approval": queries.waiting_approvals()}


def quotes(request: HttpRequest) -> HttpResponse:
    """All quotes."""
    rows = queries.quotes(search=search_of(request))
    return show_list(request, QUOTES, rows, "web/quotes/quotes.html", {"may": may(request, add=commands.create_quote)})


def templates(request: HttpRequest) -> HttpResponse:
    """Quotes that others begin as copies of."""
    rows = queries.quotes(search=search_of(request), templates=True)
    return show_list(request, TEMPLATES, rows, "web/quotes/templates.html")


class NewQuoteForm(PageForm):
    """For whom a quote is, and what it begins as."""

    rows = (("company_id", "name"), ("template_id",))

    company_id = CompanyField(label="Company")
    name = forms.CharField(label="What it is about", max_length=100, help_text="Such as “Microsoft 365 for 25 people”.")
    template_id = ChoiceOf(label="Begin with", required=False, empty="An empty quote")


def new(request: HttpRequest) -> HttpResponse:
    """A new quote, with an opportunity behind it."""
    opportunity_id = asked_id(request, "opportunity")
    form = NewQuoteForm(
        posted(request),
        initial={"company_id": asked_id(request, "company"), "template_id": asked_id(request, "template")},
    )
    form.fields["template_id"].offer(list(queries.quotes(templates=True)), lambda quote: quote.name)  # type: ignore[attr-defined]
    if opportunity_id is not None:
        del form.fields["company_id"]
    return form_page(
        request,
        commands.create_quote,
        form,
        lambda: commands.create_quote(
            actor=actor_of(request), on=today(), opportunity_id=opportunity_id, **form.given()
        ),
        Deed(
            title="New quote",
            button="Make the quote",
            back=reverse("web:quotes"),
            then=lambda made: reverse("web:quote", args=[made.pk]),
            said=lambda made: f"{made.number} was made.",
            crumbs=CRUMBS,
        ),
    )


# -- a quote -----------------------------------------------------------------------------------------------------------


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The version that counts, in the editor while it is a draft."""
    version = queries.newest_version(pk)
    if version is None:
        raise Http404
    return _shown(request, version)


@require_GET
def version_page(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """One version as it stands."""
    found = queries.versions(quote_id=pk).filter(number=number).first()
    version = queries.version(found.pk) if found else None
    if version is None:
        raise Http404
    return _shown(request, version)


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """A request for approval, and whether the signed-in person may answer it."""

    approval: Approval
    who: str
    may_decide: bool


def _shown(request: HttpRequest, version: QuoteVersion) -> HttpResponse:
    context = editor_context(request, version)
    quote, actor = version.quote, actor_of(request)
    approvals = [each for each in context["approvals"] if each.status != ApprovalStatus.VOID]
    record = Acceptance.objects.filter(pk=version.pk).defer("record", "pdf").first()
    context |= {
        "subtitle": " · ".join([quote.name, f"version {version.number}", _customer(quote)]).strip(" ·"),
        "approvals": [ApprovalView(each, who_of(each.rule), _may_decide(actor, each)) for each in approvals],
        "stands_still": _stands_still(version),
        "first_section": version.sections.values_list("pk", flat=True).first() or "",
        "version_discount": discount_text(version.discount_kind, version.discount_value),
        "deposit_words": discount_text(version.deposit_kind, version.deposit_value),
        "visits": list(version.visits.all()[:8]),
        "questions": list(version.messages.all()),
        "sent": token(),
        "acceptance": record,
        **(side_of(quote, version, *([quote.opportunity] if quote.opportunity else []))),
    }
    return render(request, "web/quotes/quote.html", context)


def _customer(quote: Quote) -> str:
    return quote.opportunity.company.name if quote.opportunity else ""


def _may_decide(actor: Actor, approval: Approval) -> bool:
    return approval.status == ApprovalStatus.WAITING and may_answer(actor, approval)


def _stands_still(version: QuoteVersion) -> str:
    if version.status in CHANGEABLE:
        return "You may look at it, not change it."
    what = {
        VersionStatus.SENT: "It is with the customer, so it stands still. Make a new version to change it.",
        VersionStatus.VIEWED: "The customer has looked at it, so it stands still. Make a new version to change it.",
        VersionStatus.ACCEPTED: "It is accepted: the legal record. Quote a change to what it became.",
    }
    return what.get(VersionStatus(version.status), f"It is {words(version.status)}. Make a new version to go on.")


class VersionForm(PageForm):
    """Words and terms of a version."""

    rows = (
        ("name", "comment"),
        ("site_id", "contact_id"),
        ("expires_on", "terms_id", "tax_code_id"),
        ("discount_kind", "discount_value"),
        ("deposit_kind", "deposit_value"),
        ("ask_code",),
        ("introduction",),
        ("terms_and_conditions",),
    )

    name = forms.CharField(label="What it is about", max_length=100)
    comment = forms.CharField(label="What is different", required=False, max_length=200, help_text="Staff only.")
    site_id = ChoiceOf(label="Site", required=False, empty="The customer's default site")
    contact_id = ChoiceOf(label="To", required=False, empty="Nobody in particular")
    expires_on = DayField(label="Can be accepted until", required=False)
    terms_id = ChoiceOf(label="Payment terms", required=False, empty="Those of the customer")
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="That of the site or customer")
    discount_kind = forms.ChoiceField(
        label="Discount on everything", choices=DiscountKind.choices, required=False,
        help_text="Per cent of every line, or an amount off the one-time lines.",
    )  # fmt: skip
    discount_value = PriceField(label="How much", required=False)
    deposit_kind = forms.ChoiceField(label="Deposit", choices=DepositKind.choices, required=False)
    deposit_value = PriceField(label="How much", required=False)
    ask_code = forms.BooleanField(label="Accepting takes a one-time code sent by mail", required=False)
    introduction = forms.CharField(label="Introduction", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    terms_and_conditions = forms.CharField(
        label="Terms and conditions", required=False, widget=forms.Textarea(attrs={"rows": 8})
    )


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change words and terms of the draft."""
    version = queries.newest_version(pk)
    if version is None:
        raise Http404
    quote = version.quote
    form = VersionForm(
        posted(request),
        initial={name: getattr(version, name) for name in VersionForm.base_fields if name != "name"}
        | {"name": quote.name},
    )
    company: Company | None = quote.opportunity.company if quote.opportunity else None
    choices: dict[str, list[Any]] = {
        "site_id": list(company.sites.all()) if company else [],
        "contact_id": list(company.contacts.all()) if company else [],
        "terms_id": list(billing_terms()),
        "tax_code_id": list(tax_codes(active=True)),
    }
    for name, records in choices.items():
        form.fields[name].offer(records)  # type: ignore[attr-defined]

    def change() -> QuoteVersion:
        given = form.given()
        for name in ("discount_value", "deposit_value"):
            given[name] = given.get(name) or Decimal(0)
        return commands.update_version(actor=actor_of(request), version_id=version.pk, **given)

    return form_page(
        request, commands.update_version, form, change, _deed(quote, "Words and terms", "Save", "was changed")
    )


def _deed(quote: Quote, title: str, button: str, said: str) -> Deed:
    here = reverse("web:quote", args=[quote.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: f"{quote.number} {said}.",
        crumbs=(*CRUMBS, (quote.number, here)),
    )


@require_GET
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Two versions side by side."""
    latest = queries.newest_version(pk)
    if latest is None:
        raise Http404
    versions = list(latest.quote.versions.order_by("number"))
    by_number = {str(each.number): each for each in versions}
    b = by_number.get(request.GET.get("b", ""), versions[-1])
    a = by_number.get(request.GET.get("a", ""), versions[max(versions.index(b) - 1, 0)])
    found = queries.compare_versions(a, b)
    context = {"quote": latest.quote, "versions": versions, "a": a, "b": b, "rows": _beside(found), "found": found}
    return render(request, "web/quotes/compare.html", context)


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A row of two versions side by side; ``kind`` is ``new``, ``gone``, ``changed`` or empty."""

    label: str
    before: str = ""
    after: str = ""
    kind: str = ""
    is_group: bool = False


def _beside(found: queries.Comparison) -> list[ComparedRow]:
    rows = [
        ComparedRow(each.name, each.old, each.new, "changed" if each.old != each.new else "") for each in found.totals
    ]
    rows = [ComparedRow("Totals", is_group=True), *rows]
    if found.differences:
        rows.append(ComparedRow("Words and terms", is_group=True))
        rows += [ComparedRow(each.name, each.old, each.new, "changed") for each in found.differences]
    for line in found.removed:
        rows += [ComparedRow("Taken off", is_group=True), ComparedRow(line.description, _line_words(line), "", "gone")]
    for line in found.added:
        rows += [ComparedRow("Added", is_group=True), ComparedRow(line.description, "", _line_words(line), "new")]
    for pair in found.changed:
        rows.append(ComparedRow(pair.new.description, is_group=True))
        rows += [ComparedRow(each.name, each.old, each.new, "changed") for each in pair.differences]
    return rows


def _line_words(line: QuoteLine) -> str:
    return f"{plain_number(line.quantity)} × {format_money(line.unit_price)}"


# -- deeds -------------------------------------------------------------------------------------------------------------


@require_POST
def new_version(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on with a copy; the former version cannot be accepted any more."""
    version = _latest(pk)
    if request.POST.get("of", str(version.number)) != str(version.number):
        raise DomainError(
            "conflict",
            f"There is a version {version.number} of {version.quote.number} by now.",
            hint="Look at it first.",
        )
    return run_deed(
        request,
        lambda: commands.new_version(actor=actor_of(request), version_id=version.pk, on=today(), now=now()),
        then=reverse("web:quote", args=[pk]),
        said=lambda made: f"Version {made.number} of {version.quote.number} is a draft.",
    )


def _latest(pk: int) -> QuoteVersion:
    version = queries.newest_version(pk)
    if version is None:
        raise Http404
    return version


@require_POST
def duplicate(request: HttpRequest, pk: int) -> HttpResponse:
    """Another quote with the same content."""
    version = _latest(pk)
    opportunity_id = version.quote.opportunity_id
    made = commands.duplicate_quote(
        actor=actor_of(request), version_id=version.pk, on=today(), opportunity_id=opportunity_id
    )
    messages.success(request, f"{made.number} is a copy of {version.quote.number}.")
    return redirect("web:quote", made.pk)


@require_POST
def make_template(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep the content for quotes to come."""
    version = _latest(pk)
    made = commands.make_template(actor=actor_of(request), version_id=version.pk, name=version.quote.name)
    messages.success(request, f"“{made.name}” is a template now.")
    return redirect("web:quote", made.pk)


@require_POST
def submit(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for approval."""
    version = _latest(pk)
    return run_deed(
        request,
        lambda: commands.submit_for_approval(actor=actor_of(request), version_id=version.pk, now=now()),
        then=reverse("web:quote", args=[pk]),
        said=f"Approval of {version.quote.number} was asked for.",
    )


@require_POST
def decide(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Approve or reject exactly this content."""
    deed = commands.approve_quote if request.POST.get("decision") == "approve" else commands.reject_quote
    decided = deed(
        actor=actor_of(request), approval_id=approval_id, now=now(), comment=request.POST.get("comment", "").strip()
    )
    quote = decided.version.quote
    messages.success(request, f"{quote.number} is {words(decided.status)}.")
    return redirect("web:quote", quote.pk)


class SendForm(PageForm):
    """Who gets the link."""

    rows = (("name", "email"), ("by_mail",), ("message",))

    name = forms.CharField(label="Name", required=False, max_length=100)
    email = forms.EmailField(label="E-mail address", required=False)
    by_mail = forms.BooleanField(label="Mail the link", required=False)
    message = forms.CharField(label="Message", required=False, widget=forms.Textarea(attrs={"rows": 4}))


def send(request: HttpRequest, pk: int) -> HttpResponse:
    """Freeze the version and give the customer a link to it."""
    version = _latest(pk)
    quote = version.quote
    contact = version.contact or (quote.opportunity.contact if quote.opportunity else None)
    given = {"name": contact.name, "email": contact.email, "by_mail": bool(contact.email)} if contact else {}
    form = SendForm(posted(request), initial=given)

    def deed() -> QuoteVersion:
        return _send(request, version, form.cleaned_data)

    words_ = Deed(
        title=f"Send {quote.number}, version {version.number}",
        button="Send",
        back=reverse("web:quote", args=[pk]),
        then=lambda _: reverse("web:quote", args=[pk]),
        said=lambda _: f"{quote.number} is sent.",
        crumbs=(*CRUMBS, (quote.number, reverse("web:quote", args=[pk]))),
        intro="From now on it stands still. Whoever has the link can accept it until "
        + (format_date(version.expires_on) if version.expires_on else "you withdraw it")
        + "; without mail you copy the link from the quote's page.",
    )
    return form_page(request, commands.send_quote, form, deed, words_)


def _send(request: HttpRequest, version: QuoteVersion, given: dict[str, Any]) -> QuoteVersion:
    actor, moment = actor_of(request), now()
    sent = commands.send_quote(actor=actor, version_id=version.pk, on=today(), now=moment)
    link = links.create_link(
        actor=actor, quote_id=version.quote_id, now=moment, name=given["name"], email=given["email"]
    )
    if given["by_mail"]:
        origin = f"{request.scheme}://{request.get_host()}"
        try:
            links.send_link(actor=actor, link_id=link.pk, now=moment, message=given["message"], origin=origin)
        except DomainError as refusal:
            messages.warning(request, f"It is sent, but the mail is not: {refusal.message} Copy the link instead.")
    return sent


class WithdrawForm(PageForm):
    """Why a quote is withdrawn."""

    reason = forms.CharField(label="Reason", required=False, max_length=200)


def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a quote back."""
    version = _latest(pk)
    form = WithdrawForm(posted(request))
    return form_page(
        request,
        commands.withdraw_quote,
        form,
        lambda: commands.withdraw_quote(actor=actor_of(request), version_id=version.pk, now=now(), **form.given()),
        _deed(version.quote, f"Withdraw {version.quote.number}", "Withdraw", "is withdrawn"),
    )


@require_POST
def link_revoke(request: HttpRequest, link_id: int) -> HttpResponse:
    """Close a customer's link."""
    link = links.revoke_link(actor=actor_of(request), link_id=link_id, now=now())
    messages.success(request, "The link no longer opens.")
    return redirect("web:quote", link.quote_id)


@require_POST
def answer(request: HttpRequest, version_id: int) -> HttpResponse:
    """Answer the customer's question."""

    def tell() -> str:
        said = acceptance.answer_question(
            actor=actor_of(request), version_id=version_id, text=request.POST.get("text", ""), now=now()
        )
        messages.success(request, "The customer sees the answer by the link.")
        return reverse("web:quote", args=[said.version.quote_id])

    return redirect(once(request, tell))


@require_GET
def record(request: HttpRequest, pk: int) -> HttpResponse:
    """The signed PDF."""
    found = Acceptance.objects.filter(version__quote_id=pk).select_related("version__quote").first()
    if found is None:
        raise Http404
    response = HttpResponse(bytes(found.pdf), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{found.version.quote.number}-accepted.pdf"'
    return response


urlpatterns = [
    path("quotes/", quotes, name="quotes"),
    path("quotes/templates/", templates, name="quote_templates"),
    path("quotes/new/", new, name="quote_new"),
    path("quotes/<int:pk>/", detail, name="quote"),
    path("quotes/<int:pk>/versions/<int:number>/", version_page, name="quote_version"),
    path("quotes/<int:pk>/versions/new/", new_version, name="quote_new_version"),
    path("quotes/<int:pk>/compare/", compare, name="quote_compare"),
    path("quotes/<int:pk>/edit/", edit, name="quote_edit"),
    path("quotes/<int:pk>/duplicate/", duplicate, name="quote_duplicate"),
    path("quotes/<int:pk>/template/", make_template, name="quote_make_template"),
    path("quotes/<int:pk>/submit/", submit, name="quote_submit"),
    path("quotes/<int:pk>/send/", send, name="quote_send"),
    path("quotes/<int:pk>/withdraw/", withdraw, name="quote_withdraw"),
    path("quotes/<int:pk>/record/", record, name="quote_record"),
    path("quotes/approvals/<int:approval_id>/", decide, name="quote_decide"),
    path("quotes/links/<int:link_id>/revoke/", link_revoke, name="quote_link_revoke"),
    path("quotes/versions/<int:version_id>/answer/", answer, name="quote_answer"),
]
