"""The demo MSP: Northwind IT, its customers and vendors, three leases run month by month, and work that waits.

Everything is made by the same commands that people use, so the demo's audit trail, numbers and books are real. It is
deterministic but for the passwords: the same day gives the same books.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Agreement, AgreementType
from counterfoil.assets.commands import post_depreciation
from counterfoil.assets.models import AssetCategory
from counterfoil.billing.commands import close_invoice, invoice_agreements_through, invoice_sales_order
from counterfoil.billing.models import Invoice
from counterfoil.catalog.commands import create_product
from counterfoil.catalog.models import Category, Product
from counterfoil.companies.commands import ContactInput, SiteInput, create_company
from counterfoil.companies.models import BillingTerms, Company
from counterfoil.core.calendar import add_months, month_end, month_start
from counterfoil.core.errors import DomainError
from counterfoil.flows.conversion import convert_to_sales_order
from counterfoil.flows.demo_quotes import sell
from counterfoil.flows.demo_statement import reconcile_last_month
from counterfoil.flows.demo_work import Work, add_users, bill_work, start_work, work_month
from counterfoil.flows.haas_lease import (
    Lease,
    LeaseOption,
    LeasePlan,
    People,
    bill_month,
    book_purchase,
    collect_and_remit,
    start_lease,
    transfer_unposted,
)
from counterfoil.flows.setup import set_up_msp
from counterfoil.inventory.commands import (
    ReceiveLine,
    ShipLine,
    create_bin,
    create_warehouse,
    receive_purchase_order,
    ship_order,
)
from counterfoil.inventory.models import Bin
from counterfoil.ledger.models import JournalEntry
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.models import AuditEntry, User
from counterfoil.platform.users import create_first_owner, create_user
from counterfoil.procurement.commands import PurchaseLine, create_purchase_order, pay_vendor_bill, send_purchase_order
from counterfoil.procurement.models import PurchaseOrder
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity
from counterfoil.tax.commands import TaxLevelInput, create_tax_code
from counterfoil.tax.models import TaxCode

OWNER_EMAIL = "olivia@northwind.example"
FIRST_MONTH = date(2026, 1, 1)

#: The customer that owes the last months.
LATE_PAYER, LATE_MONTHS = "Hooli", 2

#: (e-mail, name, role)
COLLEAGUES = (
    ("sam@northwind.example", "Sam Seller", Role.SALES),
    ("petra@northwind.example", "Petra Buyer", Role.PROCUREMENT),
    ("finn@northwind.example", "Finn Books", Role.FINANCE),
    ("vic@northwind.example", "Vic Viewer", Role.VIEWER),
)

#: (identifier, name, kind, terms, street, city, state, postal code, contact)
COMPANIES = (
    ("AcmeCorp", "Acme Corp", "customer", "Net 30", "1 Main St", "Detroit", "MI", "48226", "Ada Moore"),
    ("Globex", "Globex Manufacturing", "customer", "Net 30", "80 River Rd", "Dearborn", "MI", "48120", "Bo Singh"),
    ("Initech", "Initech Legal", "customer", "Net 15", "4120 Freidrich Ln", "Ann Arbor", "MI", "48104", "Cy Ortiz"),
    ("Umbra", "Umbra Dental Group", "customer", "Net 30", "12 Elm Ave", "Lansing", "MI", "48933", "Dee Novak"),
    ("Hooli", "Hooli Logistics", "customer", "Net 45", "77 Harbor Dr", "Toledo", "OH", "43604", "Eli Baum"),
    (
        "NorthwindHaaS",
        "Northwind HaaS",
        "internal",
        "Net 30",
        "500 Tech Park",
        "Detroit",
        "MI",
        "48226",
        "Olivia Owner",
    ),
    ("Ingram", "Ingram Micro", "vendor", "Net 30", "3351 Michelson Dr", "Irvine", "CA", "92612", "Partner Desk"),
    ("DellDirect", "Dell Direct", "vendor", "Net 30", "1 Dell Way", "Round Rock", "TX", "78682", "Partner Desk"),
    ("Pax8", "Pax8", "vendor", "Net 15", "5500 S Quebec St", "Greenwood Village", "CO", "80111", "Partner Desk"),
)

#: (identifier, description, class, category, cost, price, vendor, vendor SKU, serialized, billing cycle)
PRODUCTS = (
    ("SRV-R450-NI", "Rack server R450 (expensed)", "NonInventory", "Hardware", "3600", "4680", "DellDirect", "R450",
     False, ""),
    ("SRV-R450", "Rack server R450", "Inventory", "Hardware", "3600", "4680", "DellDirect", "R450", True, ""),
    ("FW-M270", "Firewall M270", "Inventory", "Hardware", "1800", "2340", "Ingram", "WGM270", True, ""),
    ("SW-48P", "Switch, 48 ports, PoE", "Inventory", "Hardware", "890", "1180", "Ingram", "S48P", True, ""),
    ("AP-WIFI7", "Access point, Wi-Fi 7", "Inventory", "Hardware", "210", "289", "Ingram", "AP7", False, ""),
    ("LAP-14", "Laptop 14 inch", "NonInventory", "Hardware", "940", "1190", "DellDirect", "LAT5450", False, ""),
    ("CAB-C6A", "Patch cable C6A, 2 m", "NonInventory", "Hardware", "4.15", "9.50", "Ingram", "C6A2", False, ""),
    ("HAAS-SRV", "Server as a service", "Agreement", "HaaS", "0", "150", "", "", False, "month:1"),
    ("HAAS-FW", "Firewall as a service", "Agreement", "HaaS", "0", "75", "", "", False, "month:1"),
    ("M365-BP", "Microsoft 365 Business Premium", "Agreement", "SaaS", "18.70", "22.00", "Pax8", "CFQ7TTC0LCHC",
     False, "month:1"),
    ("MS-USER", "Managed services, per user", "Agreement", "Managed services", "0", "85", "", "", False, "month:1"),
    ("BKP-TB", "Backup, per TB", "Agreement", "SaaS", "11", "29", "Pax8", "BKP1", False, "month:1"),
    ("LAB-ENG", "Engineer, per hour", "Service", "Labor", "0", "145", "", "", False, ""),
)  # fmt: skip

#: (customer, agreement, product, quantity): recurring business beside the leases
MANAGED = (
    ("Umbra", "Managed services", (("MS-USER", 24), ("M365-BP", 26), ("BKP-TB", 4))),
    ("Hooli", "Managed services", (("MS-USER", 41), ("M365-BP", 45), ("BKP-TB", 9))),
    ("AcmeCorp", "Microsoft 365", (("M365-BP", 18),)),
)


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What the demo holds."""

    company: str
    sign_in: str
    through: date
    companies: int
    products: int
    agreements: int
    sales_orders: int
    purchase_orders: int
    invoices: int
    journal_entries: int
    audit_entries: int


@dataclass(frozen=True, slots=True)
class _Cast:
    """The people and records the demo plays with."""

    owner: Actor
    people: People
    companies: dict[str, Company]
    products: dict[str, Product]
    bins: dict[str, Bin]


def is_loaded() -> bool:
    """Whether the demo MSP is in this database."""
    return User.objects.filter(email=OWNER_EMAIL).exists()


def load_demo(
    *, on: date, now: datetime, password: str, progress: Callable[[str], None] = lambda step: None
) -> DemoSummary:
    """Build the demo MSP in an empty database and run its months from January 2026 through the month of ``on``.

    Args:
        on: today, where the MSP is; at least two months are run whatever the day.
        now: this instant.
        password: of every demo person.
        progress: told about each step, in words.

    Raises:
        DomainError: ``conflict`` when the database holds another MSP, or the demo already.
    """
    if User.objects.exists():
        raise DomainError(
            "conflict",
            "This database is in use already; the demo is loaded into an empty one only.",
            hint="Give the demo a data folder of its own with COUNTERFOIL_DATA.",
        )
    progress("People, chart of accounts, companies, products")
    cast = _set_the_stage(password)
    leases = [_start(plan, cast, now, progress) for plan in _plans(cast)]
    _start_managed_services(cast)
    work = start_work(cast.people, cast.companies, FIRST_MONTH)
    last = max(month_start(on), add_months(FIRST_MONTH, 2))
    month = FIRST_MONTH
    while month < last:
        progress(f"{month:%B %Y}: invoices, batch, payments, depreciation")
        work_month(work, cast.people, month, month_end(month))
        _run_month(leases, work, cast, month, last, now)
        month = add_months(month, 1)
    progress("Work that waits")
    _leave_work(leases, cast, last, now)
    progress("Quotes, a deal that leaks, a renewal")
    sell(cast.people, cast.companies, cast.products, on=on, now=now)
    progress("A distributor's file to reconcile")
    reconcile_last_month(cast.people, cast.companies, cast.products, on=on, now=now)
    work_month(work, cast.people, last, on)
    return summary(on)


def summary(on: date) -> DemoSummary:
    """What is in the demo database now."""
    return DemoSummary(
        company="Northwind IT",
        sign_in=OWNER_EMAIL,
        through=on,
        companies=Company.objects.count(),
        products=Product.objects.count(),
        agreements=Agreement.objects.count(),
        sales_orders=SalesOrder.objects.count(),
        purchase_orders=PurchaseOrder.objects.count(),
        invoices=Invoice.objects.count(),
        journal_entries=JournalEntry.objects.count(),
        audit_entries=AuditEntry.objects.count(),
    )


def _set_the_stage(password: str) -> _Cast:
    """People, My Company, tax, companies, products, warehouses."""
    owner = create_first_owner(email=OWNER_EMAIL, name="Olivia Owner", password=password).actor("cli")
    actors = {
        role: create_user(actor=owner, email=email, name=name, roles=(role,), password=password).actor("cli")
        for email, name, role in COLLEAGUES
    }
    people = People(actors[Role.SALES], actors[Role.PROCUREMENT], actors[Role.FINANCE])
    set_up_msp(actor=owner, name="Northwind IT", identifier="NorthwindIT", on=FIRST_MONTH)
    michigan = create_tax_code(
        actor=people.finance,
        identifier="MI",
        description="Michigan 6 %",
        levels=(TaxLevelInput("Michigan", Decimal("0.06"), "Michigan Treasury"),),
    )
    ohio = create_tax_code(
        actor=people.finance,
        identifier="OH-LUCAS",
        description="Ohio 5.75 %, Lucas County 2 %",
        levels=(
            TaxLevelInput("Ohio", Decimal("0.0575"), "Ohio Taxation"),
            TaxLevelInput("Lucas County", Decimal("0.02"), "Ohio Taxation"),
        ),
    )
    companies = _create_companies(owner, {"MI": michigan, "OH": ohio})
    products = _create_products(people.procurement, companies)
    return _Cast(owner, people, companies, products, _create_bins(people.procurement, companies))


def _create_companies(owner: Actor, tax_codes: dict[str, TaxCode]) -> dict[str, Company]:
    terms = {t.name: t.pk for t in BillingTerms.objects.all()}
    made = {}
    for identifier, name, kind, term, street, city, state, postal_code, contact in COMPANIES:
        tax_code = tax_codes.get(state) if kind == "customer" else None
        domain = identifier.lower() + ".example"
        made[identifier] = create_company(
            actor=owner,
            identifier=identifier,
            name=name,
            kind=kind,
            account_number=identifier.upper(),
            terms_id=terms[term],
            tax_code_id=tax_code.pk if tax_code else None,
            invoice_email=f"ap@{domain}",
            site=SiteInput(line1=street, city=city, state=state, postal_code=postal_code),
            contact=ContactInput(name=contact, email=f"{contact.split()[0].lower()}@{domain}", is_billing=True),
        )
    return made


def _create_products(actor: Actor, companies: dict[str, Company]) -> dict[str, Product]:
    categories = {category.name: category.pk for category in Category.objects.all()}
    return {
        identifier: create_product(
            actor=actor,
            identifier=identifier,
            description=description,
            product_class=product_class,
            category_id=categories[category],
            cost=Decimal(cost),
            price=Decimal(price),
            vendor_id=companies[vendor].pk if vendor else None,
            vendor_sku=sku,
            serialized=serialized,
            billing_cycle=cycle,
        )
        for identifier, description, product_class, category, cost, price, vendor, sku, serialized, cycle in PRODUCTS
    }


def _create_bins(actor: Actor, companies: dict[str, Company]) -> dict[str, Bin]:
    """A main warehouse, and a customer warehouse with its bin for each customer that leases through stock."""
    main = create_warehouse(actor=actor, name="Main warehouse")
    bins = {"main": create_bin(actor=actor, warehouse_id=main.pk, name="Shelf A")}
    for customer in ("Globex", "Initech"):
        company = companies[customer]
        warehouse = create_warehouse(actor=actor, name=company.name, company_id=company.pk)
        bins[customer] = create_bin(actor=actor, warehouse_id=warehouse.pk, name=f"{company.name} rack")
    return bins


def _plans(cast: _Cast) -> list[LeasePlan]:
    """The same server expensed at Acme and capitalised at Globex; a firewall capitalised directly at Initech."""
    at_acme = LeasePlan(
        name="Server as a service",
        option=LeaseOption.NON_INVENTORY,
        customer_id=cast.companies["AcmeCorp"].pk,
        internal_id=cast.companies["NorthwindHaaS"].pk,
        vendor_id=cast.companies["DellDirect"].pk,
        purchasing_product_id=cast.products["SRV-R450-NI"].pk,
        agreement_product_id=cast.products["HAAS-SRV"].pk,
        agreement_type_id=AgreementType.objects.get(name="HaaS").pk,
        asset_category_id=AssetCategory.objects.get(name="Leased hardware").pk,
        cost=Decimal(3600),
        price=Decimal(150),
        months=36,
        start=FIRST_MONTH,
        vendor_invoice_number="D-88213",
    )
    at_globex = replace(
        at_acme,
        option=LeaseOption.INVENTORY,
        customer_id=cast.companies["Globex"].pk,
        purchasing_product_id=cast.products["SRV-R450"].pk,
        bin_id=cast.bins["Globex"].pk,
        serials=("7XK2M13",),
        vendor_invoice_number="D-88214",
    )
    at_initech = replace(
        at_globex,
        name="Firewall as a service",
        option=LeaseOption.DIRECT,
        customer_id=cast.companies["Initech"].pk,
        vendor_id=cast.companies["Ingram"].pk,
        purchasing_product_id=cast.products["FW-M270"].pk,
        agreement_product_id=cast.products["HAAS-FW"].pk,
        bin_id=cast.bins["Initech"].pk,
        serials=("WG-270-0417",),
        cost=Decimal(1800),
        price=Decimal(75),
        vendor_invoice_number="IM-551907",
    )
    return [at_acme, at_globex, at_initech]


def _start(plan: LeasePlan, cast: _Cast, now: datetime, progress: Callable[[str], None]) -> Lease:
    lease = start_lease(plan, cast.people)
    progress(f"{lease.opportunity.company}: {plan.name}, {lease.agreement.number}, {lease.purchase_order.number}")
    book_purchase(lease, cast.people, now=now)
    return lease


def _start_managed_services(cast: _Cast) -> None:
    """Agreements without hardware."""
    managed = AgreementType.objects.get(name="Managed service")
    for customer, name, additions in MANAGED:
        create_agreement(
            actor=cast.people.sales,
            company_id=cast.companies[customer].pk,
            agreement_type_id=managed.pk,
            name=name,
            start_date=FIRST_MONTH,
            billing_cycle="month:1",
            additions=tuple(
                AdditionInput(product_id=cast.products[product].pk, quantity=Decimal(quantity))
                for product, quantity in additions
            ),
        )


def _run_month(leases: list[Lease], work: Work, cast: _Cast, month: date, last: date, now: datetime) -> None:
    """One month of everything: invoices, one batch, payments, remittances, depreciation."""
    people, end = cast.people, month_end(month)
    if month == add_months(FIRST_MONTH, 1):
        for lease in leases:
            pay_vendor_bill(actor=people.finance, bill_id=lease.bill.pk, on=month + timedelta(days=9))
    invoices = [bill_month(lease, people, month=month, now=now) for lease in leases]
    invoices += _bill_managed_services(cast, month, now)
    invoices += [invoice for invoice in bill_work(work, people, month, now) if invoice.total]
    if month == add_months(FIRST_MONTH, 1):
        add_users(people, on=month + timedelta(days=16))
    transfer_unposted(through=end, people=people, now=now)
    late = month >= add_months(last, -LATE_MONTHS)
    for invoice in invoices:
        if not (late and invoice.company == cast.companies[LATE_PAYER]):
            collect_and_remit(invoice, people, on=end)
    post_depreciation(actor=people.finance, through=end)


def _bill_managed_services(cast: _Cast, month: date, now: datetime) -> list[Invoice]:
    """Invoice what is due besides the leases, and close it."""
    finance = cast.people.finance
    managed = list(Agreement.objects.filter(type__name="Managed service").order_by("pk").values_list("pk", flat=True))
    run = invoice_agreements_through(actor=finance, through=month, agreement_ids=managed)
    return [close_invoice(actor=finance, invoice_id=invoice.pk, now=now) for invoice in run.invoices]


def _leave_work(leases: list[Lease], cast: _Cast, month: date, now: datetime) -> None:
    """What somebody has to do next: in sales, in procurement, in finance."""
    people = cast.people
    for lease in leases[:2]:
        bill_month(lease, people, month=month, now=now)
    create_opportunity(
        actor=people.sales,
        company_id=cast.companies["Umbra"].pk,
        name="Firewall as a service",
        expected_close=month_end(month),
        lines=(
            QuoteLineInput(product_id=cast.products["FW-M270"].pk, unit_cost=Decimal(1800), unit_price=Decimal(0)),
            QuoteLineInput(
                product_id=cast.products["HAAS-FW"].pk,
                unit_price=Decimal(75),
                cycles=36,
                start_date=add_months(month, 1),
            ),
        ),
    )
    office = create_opportunity(
        actor=people.sales,
        company_id=cast.companies["Hooli"].pk,
        name="Toledo office network",
        lines=(
            QuoteLineInput(product_id=cast.products["SW-48P"].pk, quantity=Decimal(2)),
            QuoteLineInput(product_id=cast.products["AP-WIFI7"].pk, quantity=Decimal(6)),
            QuoteLineInput(product_id=cast.products["CAB-C6A"].pk, quantity=Decimal(60)),
            QuoteLineInput(product_id=cast.products["LAB-ENG"].pk, quantity=Decimal(12)),
        ),
    )
    switches, points, cables, _labor = office.lines.order_by("position")
    order = convert_to_sales_order(
        actor=people.sales, opportunity_id=office.pk, line_ids=[switches.pk, points.pk, cables.pk], on=month
    )
    ordered = {line.product.identifier: line.pk for line in order.lines.select_related("product")}
    purchase = create_purchase_order(
        actor=people.procurement,
        vendor_id=cast.companies["Ingram"].pk,
        order_date=month,
        lines=(
            PurchaseLine(order_line_id=ordered["SW-48P"], bin_id=cast.bins["main"].pk),
            PurchaseLine(order_line_id=ordered["AP-WIFI7"], bin_id=cast.bins["main"].pk),
        ),
    )
    send_purchase_order(actor=people.procurement, purchase_order_id=purchase.pk)
    bought = {line.product.identifier: line.pk for line in purchase.lines.select_related("product")}
    receive_purchase_order(
        actor=people.procurement,
        purchase_order_id=purchase.pk,
        on=month + timedelta(days=1),
        packing_slip="IM-90311",
        lines=(
            ReceiveLine(bought["SW-48P"], bin_id=cast.bins["main"].pk, serials=("S48-20071", "S48-20072")),
            ReceiveLine(bought["AP-WIFI7"], quantity=Decimal(4), bin_id=cast.bins["main"].pk),
        ),
    )
    ship_order(
        actor=people.procurement,
        order_id=order.pk,
        on=month + timedelta(days=1),
        lines=(ShipLine(ordered["SW-48P"], bin_id=cast.bins["main"].pk, serials=("S48-20071", "S48-20072")),),
    )
    invoice_sales_order(actor=people.finance, order_id=order.pk, on=month + timedelta(days=1))
