"""Pages: what vendors say that customers have, held against what is billed."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

from counterfoil.matching import statements
from counterfoil.matching.models import VendorStatement
from counterfoil.web.forms import may
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.templatetags.counterfoil import period


def _state(statement: VendorStatement) -> str:
    return "reconciled" if statement.reconciled_at else "imported"


def _period(statement: VendorStatement) -> str:
    return period(statement.period_start, statement.period_end)


STATEMENTS: Final = ListSpec(
    name="Vendor statements",
    columns=(
        Column("number", "Number", kind="key"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", card="note"),
        Column("reference", "Reference", sort="reference"),
        Column("period", "Period", _period, sort="period_start", card="note"),
        Column("state", "State", _state, kind="state", card="note"),
        Column("lines", "Lines", "line_count", kind="quantity", sort="line_count"),
        Column("unknown", "Unknown names on", lambda each: getattr(each, "unknown_lines", 0) or None, kind="quantity"),
        Column("total", "Cost", "total", kind="money", sort="total", total="total", card="figure"),
        Column("imported", "Imported", "imported_at", kind="moment", sort="imported_at", note="imported_by"),
        Column("reconciled", "Reconciled", "reconciled_at", kind="moment", sort="reconciled_at"),
    ),
    chips=(
        Chips(
            "state", (("open", "Not reconciled"), ("reconciled", "Reconciled")),
            where={"open": Q(reconciled_at=None), "reconciled": Q(reconciled_at__isnull=False)},
        ),
    ),
    sort="-number",
    placeholder="Number, reference or vendor",
)  # fmt: skip


@require_GET
def statement_list(request: HttpRequest) -> HttpResponse:
    """Every statement of a vendor that was imported."""
    context: dict[str, Any] = {"may": may(request, run=statements.import_statement)}
    rows = statements.statements(search=search_of(request))
    return show_list(request, STATEMENTS, rows, "web/match/statements.html", context)


urlpatterns = [
    path("match/statements/", statement_list, name="vendor_statements"),
]
