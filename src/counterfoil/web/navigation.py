"""The left navigation: the way of a dollar, section by section, with counts of what waits.

An item names a URL by its name; one that does not resolve is not shown, and neither is one that the signed-in person's
roles do not reach. The current item is the one whose address is the longest prefix of the page's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from counterfoil.platform.aggregates import count_together
from counterfoil.platform.identity import STAFF, Role
from counterfoil.web.remembered import remembered

Roles = frozenset[Role]
EVERYBODY: Final[Roles] = frozenset(STAFF)
OWNER: Final[Roles] = frozenset({Role.OWNER})
SALES: Final[Roles] = frozenset({Role.SALES})
FINANCE: Final[Roles] = frozenset({Role.FINANCE})


@dataclass(frozen=True, slots=True)
class Item:
    """A place one can go to.

    Attributes:
        label: as shown.
        url_name: name of its URL.
        count: key into the counts of what waits, if something can wait there.
        roles: who sees it (the owner always does).
    """

    label: str
    url_name: str
    count: str = ""
    roles: Roles = EVERYBODY


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the way; its own link is that of its first item.

    Attributes:
        key: the letter that jumps here after ``g``.
    """

    label: str
    icon: str
    key: str
    items: tuple[Item, ...]


SECTIONS: Final = (
    Section("Home", "home", "h", (Item("Home", "web:home"),)),
    Section(
        "Sell",
        "target",
        "s",
        (
            Item("Opportunities", "web:opportunities"),
            Item("Quotes", "web:quotes", "quotes_in_approval"),
            Item("Lease economics", "web:lease_economics"),
        ),
    ),
    Section(
        "Agreements",
        "contract",
        "a",
        (
            Item("Agreements", "web:agreements", "agreements_to_invoice"),
            Item("Limits and renewals", "web:agreement_status", "agreements_parked"),
            Item("Renewal calendar", "web:renewals", "stuck_lines"),
            Item("Time and expenses", "web:usage"),
        ),
    ),
    Section("Orders", "checklist", "o", (Item("Sales orders", "web:sales_orders", "orders_to_invoice"),)),
    Section(
        "Buy",
        "shopping-cart",
        "b",
        (
            Item("Demand", "web:demand", "demand"),
            Item("Purchase orders", "web:purchase_orders"),
            Item("Receiving", "web:receiving", "to_receive"),
            Item("Vendor bills", "web:vendor_bills", "to_bill"),
        ),
    ),
    Section(
        "Stock",
        "building-warehouse",
        "k",
        (
            Item("On hand", "web:stock"),
            Item("Shipping", "web:shipping", "to_ship"),
            Item("Warehouses and bins", "web:warehouses"),
        ),
    ),
    Section(
        "Bill",
        "file-invoice",
        "i",
        (
            Item("Billing runs", "web:billing_runs", "billing_runs"),
            Item("Invoices", "web:invoices", "draft_invoices"),
            Item("Work to bill", "web:invoice_work"),
            Item("Mail invoices", "web:invoices_send", roles=FINANCE),
            Item("Payments", "web:payments"),
            Item("Who owes what", "web:ageing"),
            Item("Prepaid work", "web:prepaid"),
            Item("Sales tax", "web:tax_remittances"),
        ),
    ),
    Section(
        "Match",
        "arrows-exchange",
        "m",
        (
            Item("Exceptions", "web:match_exceptions", "match_exceptions"),
            Item("Reconciliation", "web:vendor_statements"),
            Item("Leak board", "web:leak_board"),
        ),
    ),
    Section(
        "Books",
        "book",
        "l",
        (
            Item("Unposted", "web:unposted", "unposted"),
            Item("Batches", "web:batches", "open_batches"),
            Item("Journal", "web:journal"),
            Item("Assets", "web:assets", "depreciation_due"),
            Item("Reports", "web:reports"),
        ),
    ),
    Section(
        "Setup",
        "settings",
        "u",
        (
            Item("Companies", "web:companies"),
            Item("Products", "web:products"),
            Item("Offers", "web:offers"),
            Item("Price lists", "web:price_lists"),
            Item("Price models", "web:price_models"),
            Item("Pricing schedules", "web:pricing_schedules"),
            Item("Commitment rules", "web:commitment_rules"),
            Item("Agreement types", "web:agreement_types"),
            Item("Conversion rules", "web:conversion_rules"),
            Item("Work roles", "web:work_roles"),
            Item("Work types", "web:work_types"),
            Item("Expense types", "web:expense_types"),
            Item("Import", "web:imports"),
            Item("Chart of accounts", "web:accounts"),
            Item("GL mapping", "web:gl_mappings"),
            Item("Accounting periods", "web:periods"),
            Item("Tax codes", "web:tax_codes"),
            Item("Quotes", "web:quote_settings", roles=SALES),
            Item("Approval rules", "web:approval_rules"),
            Item("Match rules", "web:match_rules"),
            Item("Billing", "web:billing_settings", roles=FINANCE),
            Item("Documents", "web:document_settings", roles=FINANCE),
            Item("People", "web:users", roles=OWNER),
            Item("API tokens", "web:api_tokens"),
            Item("Audit trail", "web:audit"),
        ),
    ),
)


@dataclass(slots=True)
class Link:
    """An item or section as one page shows it."""

    label: str
    url: str
    count: int = 0
    current: bool = False
    icon: str = ""
    key: str = ""
    links: list[Link] = field(default_factory=list)


Waits = Mapping[str, int | QuerySet[Any]]
Counter = Callable[[], Waits]
_counters: list[Counter] = []


def waiting(counter: Counter) -> Counter:
    """Register a function that says what waits: ``{"to_ship": 2}``, or the rows to be counted. Called once a page."""
    if counter not in _counters:
        _counters.append(counter)
    return counter


def counts() -> dict[str, int]:
    """What waits now, by count key."""
    return remembered("what waits", _count)


def _count() -> dict[str, int]:
    """Every count: querysets are counted together, in one statement."""
    found = {key: what for counter in _counters for key, what in counter().items()}
    numbers = {key: what for key, what in found.items() if isinstance(what, int)}
    return numbers | count_together({key: what for key, what in found.items() if not isinstance(what, int)})


def counts_for(request: HttpRequest) -> dict[str, int]:
    """What waits now, counted once a request."""
    counted: dict[str, int] | None = getattr(request, "counterfoil_waits", None)
    if counted is None:
        counted = counts()
        request.counterfoil_waits = counted  # type: ignore[attr-defined]
    return counted


def links_for(path: str, roles: Roles, waits: dict[str, int]) -> list[Link]:
    """The navigation as somebody with ``roles`` sees it on the page at ``path``."""
    sections = [section for section in _visible_sections(roles, waits) if section.links]
    current = max(
        (link for section in sections for link in section.links if _is_under(path, link.url)),
        key=lambda link: len(link.url),
        default=None,
    )
    for section in sections:
        section.current = any(link is current for link in section.links)
        for link in section.links:
            link.current = link is current
    return sections


def context(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``navigation``, ``company_name`` and ``currency`` for every page, worked out when used."""
    return {
        "navigation": SimpleLazyObject(lambda: _navigation(request)),
        "company_name": SimpleLazyObject(_company_name),
        "currency": SimpleLazyObject(_currency),
    }


def _navigation(request: HttpRequest) -> list[Link]:
    if not request.user.is_authenticated:
        return []
    return links_for(request.path, request.user.actor().roles, counts_for(request))


def _company_name() -> str:
    from counterfoil.companies.queries import my_company  # needs the app registry to be ready

    company = my_company()
    return company.name if company else "Counterfoil"


def _currency() -> str:
    from counterfoil.companies.queries import currency  # needs the app registry to be ready

    return currency()


def _visible_sections(roles: Roles, waits: dict[str, int]) -> Iterator[Link]:
    for section in SECTIONS:
        links = [
            Link(item.label, url, waits.get(item.count, 0))
            for item in section.items
            if (url := _address(item.url_name)) and (Role.OWNER in roles or roles & item.roles)
        ]
        total = sum(link.count for link in links)
        address = links[0].url if links else ""
        yield Link(section.label, address, total, icon=section.icon, key=section.key, links=links)


def _address(url_name: str) -> str:
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return ""


def _is_under(path: str, url: str) -> bool:
    return path == url if url == _address("web:home") else path.startswith(url)
