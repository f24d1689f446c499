"""Pages: a vendor's price list is looked at, every price change shown, then taken over."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse

from counterfoil.catalog import price_lists, queries
from counterfoil.platform.imports import sample_csv
from counterfoil.web.actions import actor_of, attempt, today
from counterfoil.web.forms import ChoiceOf, CompanyField, PageForm, PriceField, may, require
from counterfoil.web.views.imports import uploaded

TEMPLATE: Final = "web/catalog/price_list.html"
#: So many changes are shown; the rest is counted.
SHOWN: Final = 300


class PriceListForm(PageForm):
    """Whose list it is, and what to do with what is new and what is gone."""

    vendor_id = CompanyField(label="Vendor", kind="vendors")
    create_products = forms.BooleanField(label="Make products that are not there", required=False)
    category_id = ChoiceOf(
        label="Their category", required=False, empty="Choose …", help_text="GL accounts are mapped to it."
    )
    markup = PriceField(
        label="Markup", unit="%", required=False, help_text="On cost, for new offers without a price in the list."
    )
    end_missing = forms.BooleanField(label="End the vendor's offers that the list does not have", required=False)

    def given(self) -> dict[str, Any]:
        """What was entered; an empty markup is none."""
        return {name: value for name, value in super().given().items() if value is not None}


def price_list(request: HttpRequest) -> HttpResponse:
    """Choose a vendor and upload its list, look at what it would do, confirm."""
    if request.GET.get("sample"):
        answer = HttpResponse(sample_csv(price_lists.columns()), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="price-list.csv"'
        return answer
    form = PriceListForm(request.POST if request.method == "POST" else None)
    form.fields["category_id"].offer(list(queries.categories()))  # type: ignore[attr-defined]
    context: dict[str, Any] = {
        "form": form,
        "columns": price_lists.columns(),
        "may": may(request, run=price_lists.import_price_list),
    }
    if request.method != "POST":
        return render(request, TEMPLATE, context)
    require(request, price_lists.import_price_list)
    if not form.is_valid():
        return render(request, TEMPLATE, context, status=422)
    made, refusal = attempt(form, lambda: _run(request, form))
    if made is None:
        return render(request, TEMPLATE, {**context, "refusal": refusal}, status=422)
    if isinstance(made, str):
        messages.success(request, made)
        return redirect(reverse("web:offers"))
    return render(request, TEMPLATE, {**context, **made}, status=422 if made["preview"].errors else 200)


def _run(request: HttpRequest, form: PriceListForm) -> str | dict[str, Any]:
    """What was done, once it is confirmed; until then what would be.

    Raises:
        DomainError: what the file or the import is refused for.
    """
    filename, content = uploaded(request)
    asked: dict[str, Any] = {"content": content, "on": today(), **form.given()}
    if "confirmed" in request.POST:
        result = price_lists.import_price_list(actor=actor_of(request), filename=filename, **asked)
        return f"{result.created} offers new, {result.updated} changed, {result.unchanged} unchanged."
    preview = price_lists.preview_price_list(**asked)
    changes = [line for line in preview.lines if line.deed != "unchanged"]
    return {
        "preview": preview,
        "changes": changes[:SHOWN],
        "more": max(len(changes) - SHOWN, 0),
        "counts": Counter(line.deed for line in preview.lines),
        "filename": filename,
        "content": base64.b64encode(content).decode(),
    }


urlpatterns = [path("price-lists/", price_list, name="price_lists")]
