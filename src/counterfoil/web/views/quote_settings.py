"""Page: how quotes are made and accepted here."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

from counterfoil.platform import mail
from counterfoil.quotes.acceptance import change_quote_settings, quote_settings
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import Deed, PageForm, form_page, posted


class QuoteSettingsForm(PageForm):
    """How quotes are made and accepted."""

    rows = (("valid_days", "ask_code"), ("terms_and_conditions",), ("consent",))

    valid_days = forms.IntegerField(
        label="Valid for, days", min_value=1, max_value=730, help_text="A new quote expires after so many days."
    )
    ask_code = forms.BooleanField(
        label="Ask for a one-time code",
        required=False,
        help_text="Whoever accepts enters a code that is sent by mail. New quotes begin with this.",
    )
    terms_and_conditions = forms.CharField(
        label="Terms and conditions", max_length=60000, required=False, widget=forms.Textarea(attrs={"rows": 14}),
        help_text="New quotes begin with them; what was sent stays as it is.",
    )  # fmt: skip
    consent = forms.CharField(
        label="What the customer agrees to",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Stands beside the box that is ticked on accepting, and in the record.",
    )


def settings(request: HttpRequest) -> HttpResponse:
    """How quotes are made and accepted here."""
    now = quote_settings()
    form = QuoteSettingsForm(
        posted(request), initial={name: getattr(now, name) for name in QuoteSettingsForm.base_fields}
    )
    here = reverse("web:quote_settings")
    return form_page(
        request,
        change_quote_settings,
        form,
        lambda: change_quote_settings(actor=actor_of(request), **form.given()),
        Deed(
            title="Quotes",
            button="Save",
            back=here,
            then=lambda _: here,
            said=lambda _: (
                "New quotes begin with that."
                + ("" if mail.is_configured() else " Codes need a mail server, and none is configured.")
            ),
        ),
    )


urlpatterns = [path("quotes/settings/", settings, name="quote_settings")]
