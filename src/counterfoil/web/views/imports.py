"""Pages: importing companies, products, work and sales tax rates from a file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse

from counterfoil.catalog import imports as product_imports
from counterfoil.companies import imports as company_imports
from counterfoil.core.errors import DomainError
from counterfoil.platform.imports import sample_csv
from counterfoil.tax import imports as tax_imports
from counterfoil.usage import imports as usage_imports
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import (
    may,
    require,
)
from counterfoil.web.sent import once, token


@dataclass(frozen=True, slots=True)
class Import:
    """What can be imported: its columns, what a file would do, and doing it."""

    kind: str
    label: str
    columns: Sequence[Any]
    preview: Callable[..., Any]
    run: Callable[..., Any]
    then: str
    has_header: bool = True


IMPORTS: Final = {
    "companies": Import(
        "companies", "Companies", company_imports.columns(), company_imports.preview_companies,
        company_imports.import_companies, "web:companies",
    ),
    "products": Import(
        "products", "Products", product_imports.columns(), product_imports.preview_products,
        product_imports.import_products, "web:products",
    ),
    "usage": Import(
        "usage", "Time, expenses and products", usage_imports.columns(), usage_imports.preview_usage,
        usage_imports.import_usage, "web:usage",
    ),
    "sst-rates": Import(
        "sst-rates", "Sales tax rates", tax_imports.columns(), tax_imports.preview_sst_rates,
        tax_imports.import_sst_rates, "web:tax_codes", has_header=False,
    ),
}  # fmt: skip

#: The largest file that is read, in bytes.
LARGEST_FILE = 5 * 1024 * 1024


def imports(request: HttpRequest) -> HttpResponse:
    """Choose what to import, upload a file, look at what it would do, confirm."""
    chosen = IMPORTS.get(request.GET.get("kind", "companies"))
    if chosen is None:
        raise Http404
    context: dict[str, Any] = {"imports": IMPORTS.values(), "chosen": chosen, "may": may(request, run=chosen.run)}
    if request.GET.get("sample"):
        sample = sample_csv(chosen.columns)
        sample = sample if chosen.has_header else sample.split("\r\n", 1)[1]
        answer = HttpResponse(sample, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{chosen.kind}.csv"'
        return answer
    if request.method != "POST":
        return render(request, "web/setup/imports.html", context)
    require(request, chosen.run)
    try:
        filename, content = uploaded(request)
        if "confirmed" in request.POST:
            return redirect(once(request, lambda: _run(request, chosen, content, filename)))
        context |= {
            "preview": chosen.preview(content=content),
            "filename": filename,
            "content": base64.b64encode(content).decode(),
            "sent": token(),
        }
    except DomainError as refusal:
        return render(request, "web/setup/imports.html", {**context, "refusal": refusal}, status=422)
    return render(request, "web/setup/imports.html", context, status=422 if context["preview"].errors else 200)


def _run(request: HttpRequest, chosen: Import, content: bytes, filename: str) -> str:
    """Import the file; where its records are listed."""
    result = chosen.run(actor=actor_of(request), content=content, filename=filename)
    said = f"{result.created} new, {result.updated} changed, {result.unchanged} unchanged"
    messages.success(request, f"{chosen.label} imported: {said}.")
    return reverse(chosen.then)


def uploaded(request: HttpRequest) -> tuple[str, bytes]:
    """The file's name and bytes: uploaded, or carried along from its preview."""
    if "content" in request.POST and "file" not in request.FILES:
        try:
            return request.POST.get("filename", "")[:200], base64.b64decode(request.POST["content"], validate=True)
        except binascii.Error as error:
            raise DomainError("invalid", "The file was damaged on its way.", hint="Upload it again.") from error
    file = request.FILES.get("file")
    if file is None:
        raise DomainError("required", "Choose a file.", field="file")
    if (file.size or 0) > LARGEST_FILE:
        raise DomainError("invalid", "The file is larger than 5 MB.", field="file", hint="Split it.")
    return file.name or "", file.read()


urlpatterns = [
    path("imports/", imports, name="imports"),
]
