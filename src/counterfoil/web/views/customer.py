"""The customer's pages of a quote: see it, pick, ask, decline, accept, and look the acceptance up. No account needed.

Nothing is shown here but :class:`counterfoil.quotes.customer.CustomerQuote` and the record of the acceptance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import QueryDict
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.companies.queries import msp_settings
from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_decimal
from counterfoil.flows.acceptance import accept_quote, enter_code
from counterfoil.platform import mail
from counterfoil.platform.documents import MIME
from counterfoil.quotes.acceptance import Seen, Signature, ask_question, decline_quote, quote_settings
from counterfoil.quotes.codes import send_code
from counterfoil.quotes.customer import CustomerLine, CustomerQuote, customer_view
from counterfoil.quotes.links import customer_of, note_visit, resolve_link, shown_version
from counterfoil.quotes.models import (
    WITH_CUSTOMER,
    QuoteLink,
    QuoteVersion,
    SignatureKind,
    VersionStatus,
    VisitKind,
)
from counterfoil.quotes.paper import quote_pdf
from counterfoil.quotes.pricing import Picks
from counterfoil.quotes.record import offer_of
from counterfoil.quotes.versions import mark_viewed
from counterfoil.web.actions import now, today
from counterfoil.web.views.documents import PDF_POLICY
from counterfoil.web.visitors import for_visitors, page, shown, visitor_of

PAGE: Final = "web/customer/quote.html"
OUR_MAIL: Final = "The code could not be sent; that is on our side. Please tell us."

#: What the page of a version says that cannot be accepted any more: title, text.
CLOSED: Final = {
    VersionStatus.SUPERSEDED: ("A new version is on its way", "This version is no longer valid. We will let you know."),
    VersionStatus.WITHDRAWN: ("This quote has been withdrawn", "It cannot be accepted any more."),
    VersionStatus.EXPIRED: ("This quote has expired", "It can no longer be accepted. Ask us to send it again."),
    VersionStatus.DECLINED: (
        "You have declined this quote",
        "Thank you for telling us. If that was a mistake, ask us.",
    ),
}


@dataclass(frozen=True, slots=True)
class Block:
    """What stands together: a line that is sold as it is, an option, or the lines of a choice group."""

    kind: str
    name: str
    lines: tuple[CustomerLine, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A section, as its blocks."""

    title: str
    text: str
    blocks: tuple[Block, ...]


# -- what is shown -----------------------------------------------------------------------------------------------------


def _open(request: HttpRequest, token: str) -> tuple[QuoteLink, QuoteVersion]:
    link = resolve_link(token, now=now())
    version = shown_version(link.quote)
    if version is None:
        raise DomainError("not_found", "Nothing has been sent yet.", hint="Come back later, or ask us.")
    return link, version


def _parts(view: CustomerQuote) -> list[Part]:
    return [
        Part(section.title, section.text, tuple(_blocks(section.lines))) for section in view.sections if section.lines
    ]


def _blocks(lines: Iterable[CustomerLine]) -> list[Block]:
    """The lines in order, those of a choice group together where its first one stands."""
    blocks: dict[str, Block] = {}
    for line in lines:
        if not line.choice_group:
            blocks[str(line.key)] = Block("option" if line.optional else "line", "", (line,))
            continue
        key = f"group {line.choice_group}"
        before = blocks[key].lines if key in blocks else ()
        blocks[key] = Block("group", line.choice_group, (*before, line))
    return list(blocks.values())


def _picks(sent: QueryDict, view: CustomerQuote) -> Picks:
    """What was picked on the page.

    Raises:
        DomainError: ``invalid``, ``required`` for a quantity that is no number.
    """
    options = [name for name in sent if name == "take" or name.startswith("choose-")]
    selected = {_key(value) for name in options for value in sent.getlist(name)} - {None}
    quantities = {}
    for section in view.sections:
        for line in section.lines:
            name = f"quantity-{line.key}"
            if line.quantity_min is not None and name in sent:
                quantities[line.key] = parse_decimal(str(sent[name]), name, places=6, digits=9)
    return Picks(frozenset(cast(set[int], selected)), quantities)


def _key(text: str) -> int | None:
    """The key of a record, out of what a form says."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _base(request: HttpRequest) -> str:
    """The address of the quote, whichever of its pages is asked for."""
    return "/".join(request.path.split("/")[:3]) + "/"


def _context(
    request: HttpRequest, link: QuoteLink, version: QuoteVersion, view: CustomerQuote, **more: Any
) -> dict[str, Any]:
    return {
        "quote": view,
        "parts": _parts(view),
        "totals": view.totals,
        "seen": str(Seen.of(view.totals)),
        "settings": quote_settings(),
        "talk": list(version.messages.all()),
        "base": _base(request),
        "given": {"name": link.name, "email": link.email},
        "code_goes_to": link.email,
        "can_mail": mail.is_configured(),
        "title": f"Quote {view.quote}",
        **more,
    }


@require_GET
@for_visitors(a_minute=120)
def quote(request: HttpRequest, token: str) -> HttpResponse:
    """The quote, its receipt once it is accepted, or what became of it."""
    link, version = _open(request, token)
    if version.status == VersionStatus.ACCEPTED:
        return _receipt(request, version)
    if closed := _closed(version):
        return shown(request, *closed, status=410)
    if not request.user.is_authenticated:  # staff who look at it are no visit
        if version.status == VersionStatus.SENT:
            version = mark_viewed(actor=customer_of(link), version_id=version.pk, now=now())
        note_visit(link, version, VisitKind.VIEWED, visitor_of(request), now=now())
    return page(request, PAGE, _context(request, link, version, customer_view(version, on=today())))


def _closed(version: QuoteVersion) -> tuple[str, str] | None:
    if version.status in WITH_CUSTOMER:
        over = version.expires_on is not None and version.expires_on < today()
        return CLOSED[VersionStatus.EXPIRED] if over else None
    return CLOSED.get(VersionStatus(version.status))


def _receipt(request: HttpRequest, version: QuoteVersion, note: str = "") -> HttpResponse:
    made = version.acceptance
    context = {
        "quote": customer_view(version),
        "acceptance": made,
        "note": note,
        "title": f"Quote {version.quote.number}: accepted",
        "base": _base(request),
    }
    return page(request, "web/customer/receipt.html", context)


@require_POST
@for_visitors(a_minute=240)
def totals(request: HttpRequest, token: str) -> HttpResponse:
    """What the picks come to: the totals and the amounts of the lines, while they are being picked."""
    _, version = _open(request, token)
    if closed := _closed(version):
        return shown(request, *closed, status=410)
    _ensure_open(version)
    plain = customer_view(version)
    try:
        view, problem = customer_view(version, _picks(request.POST, plain), on=today()), ""
    except DomainError as refusal:
        view, problem = plain, refusal.message
    seen = "" if problem else str(Seen.of(view.totals))
    context = {"quote": view, "totals": view.totals, "seen": seen, "problem": problem, "live": True}
    return render(request, "web/customer/totals.html", context)


def _ensure_open(version: QuoteVersion) -> None:
    if version.status not in WITH_CUSTOMER:
        raise DomainError("quote_changed", "This quote is no longer open.", hint="Load the page again.")


# -- what is done ------------------------------------------------------------------------------------------------------


@require_POST
@for_visitors(a_minute=20)
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Accept what is on the page. Refused, it is shown again as it was filled in; repeated, its receipt."""
    link, version = _open(request, token)
    sent, actor = request.POST, customer_of(link, request.POST.get("name", ""))
    version_id = _key(sent.get("version", "")) or version.pk
    picks = None
    try:
        if version.status in WITH_CUSTOMER:
            picks = _picks(sent, customer_view(version))
            if version.ask_code:
                _enter_code(request, link, version_id, sent.get("code", ""))
        accept_quote(
            actor=actor, link_id=link.pk, version_id=version_id, picks=picks or Picks(),
            seen=Seen.parse(sent.get("seen", "")), signature=_signature(sent), visitor=visitor_of(request),
            now=now(), on=today(),
        )  # fmt: skip
    except DomainError as refusal:
        return _again(request, link, picks, refusal)
    return redirect(f"{reverse('web:customer_quote', args=[token])}#accepted")


def _enter_code(request: HttpRequest, link: QuoteLink, version_id: int, code: str) -> None:
    visitor, actor = visitor_of(request), customer_of(link)
    enter_code(actor=actor, link_id=link.pk, version_id=version_id, code=code, visitor=visitor, now=now())


def _signature(sent: QueryDict) -> Signature:
    kind = sent.get("signature_kind", SignatureKind.TYPED)
    return Signature(
        name=sent.get("name", ""),
        title=sent.get("title", ""),
        email=sent.get("email", ""),
        consent=sent.get("consent") == "yes",
        kind=kind,
        value=sent.get("drawn" if kind == SignatureKind.DRAWN else "typed", ""),
        customer_po=sent.get("customer_po", ""),
    )


def _again(request: HttpRequest, link: QuoteLink, picks: Picks | None, refusal: DomainError) -> HttpResponse:
    """The page with the refusal; what it shows is how things stand now."""
    version = shown_version(QuoteLink.objects.select_related("quote").get(pk=link.pk).quote)
    if version is None:
        raise Http404
    if version.status == VersionStatus.ACCEPTED:
        return _receipt(request, version, note=refusal.message)
    if closed := _closed(version):
        return shown(request, *closed, status=410)
    try:
        view = customer_view(version, picks, on=today())
    except DomainError:
        view = customer_view(version, on=today())
    context = _context(request, link, version, view, refusal=refusal)
    context["given"] = request.POST.dict()
    return page(request, PAGE, context, status=422)


@require_POST
@for_visitors(a_minute=10)
def code(request: HttpRequest, token: str) -> HttpResponse:
    """Send a one-time code by mail; the answer is a line beside the button."""
    link, version = _open(request, token)
    email = request.POST.get("email", "")
    try:
        row = send_code(
            actor=customer_of(link), link_id=link.pk, version_id=version.pk, email=email, visitor=visitor_of(request),
            now=now(),
        )  # fmt: skip
        said = {"text": f"A code is on its way to {_masked(row.email)}. It holds for 15 minutes.", "good": True}
    except DomainError as refusal:
        text = OUR_MAIL if refusal.code.startswith("mail_") else f"{refusal.message} {refusal.hint or ''}"
        said = {"text": text, "good": False}
    if request.headers.get("HX-Request"):
        return render(request, "web/customer/code.html", {"said": said})
    return shown(request, "One-time code", str(said["text"]), "Go back to the quote to enter it.")


def _masked(email: str) -> str:
    """``j…@acme.example``: enough to recognise one's own address."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}…@{domain}"


@require_POST
@for_visitors(a_minute=10)
def question(request: HttpRequest, token: str) -> HttpResponse:
    """Ask something."""
    link, version = _open(request, token)
    sent = request.POST
    ask_question(
        actor=customer_of(link, sent.get("name", "")), link_id=link.pk, version_id=version.pk,
        text=sent.get("text", ""), visitor=visitor_of(request), now=now(), name=sent.get("name", ""),
    )  # fmt: skip
    return redirect(f"{reverse('web:customer_quote', args=[token])}#talk")


@require_POST
@for_visitors(a_minute=10)
def decline(request: HttpRequest, token: str) -> HttpResponse:
    """Decline, with a reason."""
    link, version = _open(request, token)
    decline_quote(
        actor=customer_of(link), link_id=link.pk, version_id=version.pk, reason=request.POST.get("reason", ""),
        visitor=visitor_of(request), now=now(),
    )  # fmt: skip
    return redirect("web:customer_quote", token)


# -- files -------------------------------------------------------------------------------------------------------------


@require_GET
@for_visitors(a_minute=30)
def pdf(request: HttpRequest, token: str) -> HttpResponse:
    """The signed PDF of what was accepted; before that, the offer to read on paper."""
    link, version = _open(request, token)
    if version.status == VersionStatus.ACCEPTED:
        content, name = bytes(version.acceptance.pdf), f"{version.quote.number}-accepted.pdf"
    else:
        if closed := _closed(version):
            return shown(request, *closed, status=410)
        view = customer_view(version, on=today())
        content, name = quote_pdf(offer_of(version, view), timestamp=version.sent_at or now()), f"{view.quote}.pdf"
    note_visit(link, version, VisitKind.DOWNLOADED, visitor_of(request), now=now())
    return _file(content, name, "application/pdf", PDF_POLICY)


@require_GET
@for_visitors(a_minute=30)
def record(request: HttpRequest, token: str) -> HttpResponse:
    """The record of the acceptance, byte for byte."""
    _, version = _open(request, token)
    if version.status != VersionStatus.ACCEPTED:
        raise DomainError("not_found", "It has not been accepted yet.")
    return _file(bytes(version.acceptance.record), f"{version.quote.number}-record.json", "application/json")


def _file(content: bytes, name: str, kind: str, policy: str = "default-src 'none'") -> HttpResponse:
    answer = HttpResponse(content, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Content-Security-Policy"] = policy
    return answer


@require_GET
@login_not_required
def brand(request: HttpRequest) -> HttpResponse:
    """The MSP's colour, as a stylesheet: pages may carry no style of their own."""
    answer = HttpResponse(f":root{{--brand:{msp_settings().brand_colour}}}\n", content_type="text/css")
    answer["Cache-Control"] = "public, max-age=60"
    return answer


@require_GET
@login_not_required
def logo(request: HttpRequest) -> HttpResponse:
    """The MSP's logo, as its documents show it."""
    settings = msp_settings()
    if not settings.logo:
        raise Http404
    answer = HttpResponse(bytes(settings.logo), content_type=f"image/{MIME[settings.logo_type]}")
    answer["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    answer["Cache-Control"] = "public, max-age=60"
    return answer


urlpatterns = [
    path("q/brand.css", brand, name="customer_brand"),
    path("q/logo", logo, name="customer_logo"),
    path("q/<str:token>/", quote, name="customer_quote"),
    path("q/<str:token>/totals/", totals, name="customer_totals"),
    path("q/<str:token>/accept/", accept, name="customer_accept"),
    path("q/<str:token>/code/", code, name="customer_code"),
    path("q/<str:token>/question/", question, name="customer_question"),
    path("q/<str:token>/decline/", decline, name="customer_decline"),
    path("q/<str:token>/quote.pdf", pdf, name="customer_pdf"),
    path("q/<str:token>/record.json", record, name="customer_record"),
]
