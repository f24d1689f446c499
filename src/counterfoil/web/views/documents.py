"""Pages: invoices and statements as PDF, mailing them, and how the MSP's documents look."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse

from counterfoil.billing import delivery, documents, queries
from counterfoil.billing.example import example_invoice
from counterfoil.billing.models import Invoice
from counterfoil.billing.paper import invoice_pages
from counterfoil.billing.printing import sender
from counterfoil.companies import commands as company_commands
from counterfoil.companies.models import MspSettings, Paper, split_addresses
from counterfoil.companies.queries import msp_settings
from counterfoil.core.errors import DomainError
from counterfoil.platform import mail
from counterfoil.platform.documents import MIME
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import Deed, PageForm, form_page, parse_day, posted, require

#: A PDF is shown by the browser itself: it may style its own viewer, and nothing else.
PDF_POLICY: Final = (
    "default-src 'none'; object-src 'self'; img-src 'self' data: blob:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: More than the largest logo; so much is read of what is sent.
MOST_READ: Final = 600_000


# -- PDF ---------------------------------------------------------------------------------------------------------------


def _shown(document: documents.Document) -> HttpResponse:
    answer = HttpResponse(document.content, content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="{document.name}"'
    answer["Content-Security-Policy"] = PDF_POLICY
    answer["Cache-Control"] = "private, no-cache"
    return answer


def invoice_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    """The invoice as the customer gets it; with ``?copy=1``, a copy with what was paid through today."""
    if request.GET.get("copy"):
        return _shown(documents.invoice_copy(pk, settled_on=today(), now=now()))
    return _shown(documents.invoice_document(pk, now=now()))


def statement_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    """What a customer owes at the end of a day (``?as_of=``), today unless it is given."""
    as_of = parse_day(request.GET.get("as_of")) or today()
    return _shown(documents.statement_document(pk, as_of=as_of, now=now()))


# -- mail --------------------------------------------------------------------------------------------------------------


class SendForm(PageForm):
    """To whom an invoice is mailed."""

    rows = (("to", "cc"),)

    to = forms.CharField(label="To", max_length=1000, help_text="Several addresses with commas between them.")
    cc = forms.CharField(label="Copies to", max_length=1000, required=False)
    message = forms.CharField(
        label="Message", max_length=6000, required=False, widget=forms.Textarea(attrs={"rows": 6}),
        help_text="Stands above number, amount, due date and how to pay. Left empty, a short sentence does.",
    )  # fmt: skip
    request_key = forms.CharField(max_length=100, widget=forms.HiddenInput)

    def given(self) -> dict[str, Any]:
        """The addresses apart."""
        given = super().given()
        return given | {"to": split_addresses(given["to"]), "cc": split_addresses(given["cc"])}


def invoice_send(request: HttpRequest, pk: int) -> HttpResponse:
    """Mail an invoice."""
    found = Invoice.objects.select_related("bill_to").filter(pk=pk).first()
    if found is None:
        raise Http404
    to, cc = delivery.addresses_of(found.bill_to)
    first = {"to": ", ".join(to), "cc": ", ".join(cc), "request_key": uuid4().hex}
    form = SendForm(posted(request), initial=first)
    here = reverse("web:invoice", args=[pk])
    return form_page(
        request,
        delivery.deliver_invoice,
        form,
        lambda: delivery.deliver_invoice(actor=actor_of(request), invoice_id=pk, now=now(), **form.given()),
        Deed(
            title=f"Mail {found}",
            button="Send",
            back=here,
            then=lambda _: here,
            said=lambda row: f"{found} goes to {', '.join(row.to)}.",
            crumbs=(("Invoices", reverse("web:invoices")), (str(found), here)),
        ),
        template="web/bill/send.html",
        context={"invoice": found, "is_configured": mail.is_configured(), "earlier": list(found.deliveries.all())},
    )


def invoices_send(request: HttpRequest) -> HttpResponse:
    """Closed invoices that were not mailed yet; mail those that are ticked, each to its own customer."""
    require(request, delivery.deliver_invoices)
    done, refusal = None, None
    if request.method == "POST":
        chosen = [int(pk) for pk in request.POST.getlist("invoice") if pk.isascii() and pk.isdecimal()]
        message = request.POST.get("message", "")
        try:
            done = delivery.deliver_invoices(actor=actor_of(request), invoice_ids=chosen, now=now(), message=message)
        except DomainError as error:
            refusal = error
        else:
            if done.queued:
                count = len(done.queued)
                messages.success(request, f"{count} invoice{'s are' if count > 1 else ' is'} on the way.")
            if not done.left_out:
                return redirect("web:invoices_send")
    rows = list(queries.not_mailed()[: SHOWN + 1])
    context = {
        "rows": rows[:SHOWN],
        "has_more": len(rows) > SHOWN,
        "done": done,
        "refusal": refusal,
        "is_configured": mail.is_configured(),
    }
    status = 422 if refusal or (done and done.left_out) else 200
    return render(request, "web/bill/send_many.html", context, status=status)


#: Invoices on the page that mails many.
SHOWN: Final = 200


# -- how documents look ------------------------------------------------------------------------------------------------


class DocumentsForm(PageForm):
    """How the MSP shows itself on paper."""

    rows = (("legal_name", "reply_to"), ("brand_colour", "paper", "time_zone"))

    legal_name = forms.CharField(
        label="Legal name", max_length=100, required=False, help_text="Left empty, My Company's name."
    )
    reply_to = forms.EmailField(
        label="Answers go to", required=False, help_text="Your billing address; it also stands under your address."
    )
    logo = forms.FileField(
        label="Logo", required=False, help_text="PNG, JPEG or plain SVG, at most 500 kB. It is printed 16 mm high.",
        widget=forms.FileInput(attrs={"accept": ".png,.jpg,.jpeg,.svg"}),
    )  # fmt: skip
    no_logo = forms.BooleanField(label="Take the logo off", required=False)
    brand_colour = forms.CharField(label="Colour", widget=forms.TextInput(attrs={"type": "color"}))
    paper = forms.ChoiceField(label="Paper", choices=Paper.choices)
    time_zone = forms.ChoiceField(label="Time zone", help_text="It decides what day it is.")
    remit_to = forms.CharField(
        label="How to pay", max_length=600, required=False, widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Bank account, address for checks, a link. Stands below the total of what is to be paid.",
    )  # fmt: skip
    invoice_footer = forms.CharField(
        label="Foot", max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Stands at the foot of every page: tax ID, registration, thanks.",
    )  # fmt: skip


def document_settings(request: HttpRequest) -> HttpResponse:
    """Logo, colour and words of invoices and statements, with a preview."""
    found = msp_settings()
    initial = {name: getattr(found, name) for name in DocumentsForm.base_fields if name not in ("logo", "no_logo")}
    form = DocumentsForm(posted(request), request.FILES or None, initial=initial)
    form.fields["time_zone"].choices = [(zone, zone.replace("_", " ")) for zone in sorted(available_timezones())]  # type: ignore[attr-defined]
    if not found.logo:
        del form.fields["no_logo"]
    here = reverse("web:document_settings")
    return form_page(
        request,
        company_commands.update_msp_settings,
        form,
        lambda: _save(request, form),
        Deed(
            title="Documents",
            button="Save",
            back=here,
            then=lambda _: here,
            said=lambda _: "Invoices and statements look like this now.",
            intro="How invoices and statements look. Those that were sent already stay as they are.",
        ),
        template="web/setup/documents.html",
        context={"logo_size": len(found.logo)},
    )


@transaction.atomic
def _save(request: HttpRequest, form: DocumentsForm) -> MspSettings:
    """Everything that the form holds, or nothing."""
    given, actor = form.given(), actor_of(request)
    upload, no_logo = given.pop("logo"), given.pop("no_logo", False)
    if isinstance(upload, UploadedFile):
        name = (upload.name or "")[:100]
        company_commands.set_msp_logo(actor=actor, content=upload.read(MOST_READ), filename=name)
    elif no_logo:
        company_commands.remove_msp_logo(actor=actor)
    return company_commands.update_msp_settings(actor=actor, **given)


def logo(request: HttpRequest) -> HttpResponse:
    """The MSP's logo."""
    found = msp_settings()
    if not found.logo:
        raise Http404
    answer = HttpResponse(bytes(found.logo), content_type=f"image/{MIME[found.logo_type]}")
    answer["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    answer["Cache-Control"] = "private, no-cache"
    return answer


def preview(request: HttpRequest) -> HttpResponse:
    """An invented invoice as the documents look now, as a picture."""
    page = invoice_pages(example_invoice(sender(), on=today()), timestamp=now(), ppi=110)[0]
    answer = HttpResponse(page, content_type="image/png")
    answer["Cache-Control"] = "private, no-cache"
    return answer


urlpatterns = [
    path("invoices/<int:pk>/pdf/", invoice_pdf, name="invoice_pdf"),
    path("invoices/<int:pk>/send/", invoice_send, name="invoice_send"),
    path("invoices/send/", invoices_send, name="invoices_send"),
    path("companies/<int:pk>/statement/", statement_pdf, name="statement_pdf"),
    path("documents/", document_settings, name="document_settings"),
    path("documents/logo/", logo, name="logo"),
    path("documents/preview/", preview, name="document_preview"),
]
