"""The addresses of the staff pages, one module of views for each stretch of the way."""

from __future__ import annotations

from importlib import import_module

from django.urls import URLPattern

app_name = "web"

#: Modules of :mod:`counterfoil.web.views`; each has its ``urlpatterns``.
VIEWS = (
    "home",
    "sell",
    "quotes",
    "quote_editor",
    "agreement_types",
    "agreement_rates",
    "agreement_edit",
    "agreement_status",
    "renewals",
    "waiting",
    "agreement_changes",
    "agreement_quotes",
    "agreements",
    "coverage",
    "usage",
    "work_setup",
    "routing",
    "orders",
    "buy",
    "vendor_bills",
    "stock",
    "documents",
    "invoices",
    "invoice_edit",
    "credits",
    "payments",
    "remittances",
    "to_bill",
    "statements",
    "prepaid",
    "billing_runs",
    "match",
    "reconciliation",
    "vendor_files",
    "vendor_names",
    "match_rules",
    "books",
    "journal",
    "assets",
    "capitalise",
    "reports",
    "ledger_setup",
    "setup",
    "tax",
    "catalog",
    "offers",
    "pricing",
    "price_lists",
    "imports",
    "lease",
    "people",
    "audit",
    "search",
    "customer",
    "verify",
    "quote_settings",
    "approval_rules",
)

urlpatterns: list[URLPattern] = [
    pattern for name in VIEWS for pattern in import_module(f"counterfoil.web.views.{name}").urlpatterns
]
