"""Companies from a CSV file: preview, then all or nothing.

A row is a company with its main site and contact; it is recognised by its identifier (capitals do not matter), its site
by ``site_name``, its contact by ``contact_name``. What is there already is updated. The columns are those of
:func:`columns`; only ``identifier`` and ``name`` must be there:

    identifier          short unique key: letters, digits, spaces and +
    name                as it prints on invoices
    kind                customer, vendor, both, internal or my_company; empty: customer
    account_number      key in the accounting package
    bill_to             identifier of the company that gets the invoices (may be in the same file); empty: the company
    terms               name of billing terms that are there, such as Net 30
    tax_code            identifier of a tax code that is there
    invoice_email       where invoices go
    phone               of the company
    website             of the company
    site_name           empty: Main
    address             street and number
    address_2           second line
    city                of the site
    state               of the site
    postal_code         of the site
    country             two letters; empty: US
    site_tax_code       goes before the company's tax code
    contact_name        a person; needed when another contact column is filled
    contact_title       the person's job
    contact_email       the person's address
    contact_phone       the person's number
    contact_is_billing  yes when the person gets the invoices; empty: no
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, cast

from django.db import models

from counterfoil.companies import policies
from counterfoil.companies.models import BillingTerms, Company, CompanyKind, Contact, Site
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import (
    Cells,
    Column,
    Deed,
    ImportPreview,
    ImportResult,
    PlannedRow,
    RowError,
    plain_key,
    read_table,
    refuse_errors,
    write_over,
)
from counterfoil.platform.records import UNSET, Changes, Unset, change, changes_in_words, field_problems

_COLUMNS: Final = (
    Column("identifier", "Short unique key: letters, digits, spaces and +", required=True, example="AcmeCorp"),
    Column("name", "As it prints on invoices", required=True, example="Acme Corp"),
    Column("kind", "customer, vendor, both, internal or my_company", default="customer", example="customer"),
    Column("account_number", "Key in the accounting package", example="ACME01"),
    Column("bill_to", "Identifier of the company that gets the invoices", default="the company itself"),
    Column("terms", "Name of billing terms that are there", example="Net 30"),
    Column("tax_code", "Identifier of a tax code that is there"),
    Column("invoice_email", "Where invoices go", example="invoices@acme.example"),
    Column("phone", "Of the company", example="+1 313 555 0100"),
    Column("website", "Of the company", example="https://acme.example"),
    Column("site_name", "Name of the site", default="Main", example="Main"),
    Column("address", "Street and number of the site", example="1 Main St"),
    Column("address_2", "Second line of the address", example="Suite 200"),
    Column("city", "Of the site", example="Detroit"),
    Column("state", "Of the site", example="MI"),
    Column("postal_code", "Of the site", example="48226"),
    Column("country", "Two letters", default="US", example="US"),
    Column("site_tax_code", "Tax code of the site; goes before the company's"),
    Column("contact_name", "A person; needed when another contact column is filled", example="Pat Doe"),
    Column("contact_title", "The person's job", example="Office manager"),
    Column("contact_email", "The person's address", example="pat@acme.example"),
    Column("contact_phone", "The person's number", example="+1 313 555 0101"),
    Column("contact_is_billing", "yes when the person gets the invoices", default="no", example="yes"),
)
_SITE: Final = {"site_name", "address", "address_2", "city", "state", "postal_code", "country", "site_tax_code"}
_CONTACT: Final = {"contact_title", "contact_email", "contact_phone", "contact_is_billing"}
_KINDS: Final = {plain_key(word): kind.value for kind in CompanyKind for word in (kind.value, kind.label)}

#: Field of the record -> column of the file, where they differ.
_COMPANY_COLUMNS: Final = {"bill_to_id": "bill_to", "terms_id": "terms", "tax_code_id": "tax_code"}
_SITE_COLUMNS: Final = {"name": "site_name", "line1": "address", "line2": "address_2", "tax_code_id": "site_tax_code"}
_CONTACT_COLUMNS: Final = {name: f"contact_{name}" for name in ("name", "title", "email", "phone", "is_billing")}


def columns() -> tuple[Column, ...]:
    """The columns of the file, for documents, command line and page."""
    return _COLUMNS


def preview_companies(*, content: bytes) -> ImportPreview:
    """What importing the file would do; nothing is written.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read.
    """
    return _plan(content).preview()


@command(roles=(Role.SALES, Role.PROCUREMENT, Role.FINANCE))
def import_companies(*, actor: Actor, content: bytes, filename: str = "") -> ImportResult:
    """Create and update the companies of a file, all or none.

    Raises:
        DomainError: ``import_rows_invalid``, with every mistake in ``details``.
    """
    plan = _plan(content, lock=True)
    refuse_errors(plan.errors, len(plan.rows))
    plan.write()
    result = plan.result()
    for row in plan.rows:
        if row.deed != "unchanged":
            verb = {"create": "imported", "update": "changed by import"}[row.deed]
            said = f"{verb}: {row.company.identifier}, {row.company.name}"
            audit.record(actor, f"companies.company.{row.deed}d", said + row.words(": "), row.company)
    audit.record(
        actor,
        "companies.imported",
        f"imported companies from {filename or 'a file'}: {result.created} created, {result.updated} updated,"
        f" {result.unchanged} unchanged",
        sha256=sha256(content).hexdigest(),
    )
    return result


# -- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """A row with the records it makes or changes."""

    cells: Cells
    company: Company
    changes: Changes = field(default_factory=dict)
    bill_to: str = ""
    site: Site | None = None
    site_changes: Changes = field(default_factory=dict)
    contact: Contact | None = None
    contact_changes: Changes = field(default_factory=dict)
    deed: Deed = "unchanged"

    def decide(self) -> None:
        """Once the row is read: what it does."""
        if self.company._state.adding:
            self.deed = "create"
        elif self.changes or self.site_changes or self.contact_changes:
            self.deed = "update"

    def words(self, before: str = "") -> str:
        """What becomes different, for an update."""
        if self.deed != "update":
            return ""
        parts = [changes_in_words(self.changes)] if self.changes else []
        parts += [f"site {changes_in_words(self.site_changes)}"] if self.site_changes else []
        parts += [f"contact {changes_in_words(self.contact_changes)}"] if self.contact_changes else []
        return before + ", ".join(parts)


@dataclass(slots=True)
class _Plan:
    rows: list[_Row]

    @property
    def errors(self) -> list[RowError]:
        return [error for row in self.rows for error in row.cells.errors]

    def preview(self) -> ImportPreview:
        rows = (
            PlannedRow(row.cells.row, row.deed, row.company.identifier, row.company.name, row.words())
            for row in self.rows
        )
        return ImportPreview(tuple(rows), tuple(self.errors))

    def result(self) -> ImportResult:
        preview = self.preview()
        return ImportResult(preview.count("create"), preview.count("update"), preview.count("unchanged"))

    def write(self) -> None:
        """A few statements however many rows: companies, who is billed for whom, then sites and contacts."""
        new = [row.company for row in self.rows if row.deed == "create"]
        made = {company.identifier.casefold(): company for company in Company.objects.bulk_create(new)}
        rewritten = [row.company for row in self.rows if row.deed == "update" and row.changes]
        for row in self.rows:
            if row.bill_to in made:
                row.company.bill_to = made[row.bill_to]
                rewritten += [row.company] if row.deed == "create" else []
        write_over(rewritten)
        _write_parts([row.site for row in self.rows if row.site is not None and row.site_changes])
        _write_parts([row.contact for row in self.rows if row.contact is not None and row.contact_changes])


def _write_parts(parts: list[Any]) -> None:
    fresh: list[Any] = []
    changed: list[Any] = []
    for part in parts:
        part.company_id = part.company.pk
        (fresh if part._state.adding else changed).append(part)
    if fresh:
        type(fresh[0])._default_manager.bulk_create(fresh)
    write_over(changed)


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What is there already, by casefolded name."""

    companies: dict[str, Company]
    account_numbers: dict[str, Company]
    terms: dict[str, int]
    tax_codes: dict[str, int]
    sites: dict[tuple[int, str], Site]
    contacts: dict[tuple[int, str], Contact]
    with_site: set[int]
    with_contact: set[int]


def _known(*, lock: bool) -> _Known:
    rows = Company.objects.order_by("pk")
    present = list(rows.select_for_update(no_key=True) if lock else rows)
    tax_codes = cast(Any, Company._meta.get_field("tax_code")).related_model  # a higher context's, by its key alone
    sites = list(Site.objects.order_by("pk"))
    contacts = list(Contact.objects.order_by("-pk"))  # of two of one name the older counts
    return _Known(
        companies={company.identifier.casefold(): company for company in present},
        account_numbers={company.account_number: company for company in present if company.account_number},
        terms={name.casefold(): pk for pk, name in BillingTerms.objects.values_list("pk", "name")},
        tax_codes={name.casefold(): pk for pk, name in tax_codes.objects.values_list("pk", "identifier")},
        sites={(site.company_id, site.name.casefold()): site for site in sites},
        contacts={(contact.company_id, contact.name.casefold()): contact for contact in contacts},
        with_site={site.company_id for site in sites if site.is_default},
        with_contact={contact.company_id for contact in contacts if contact.is_default},
    )


def _plan(content: bytes, *, lock: bool = False) -> _Plan:
    table = read_table(content, _COLUMNS)
    known = _known(lock=lock)
    rows: list[_Row] = []
    first_row: dict[str, int] = {}
    for cells in table:
        key = cells.given("identifier").casefold()
        if key and key in first_row:
            cells.wrong(
                "identifier",
                f"“{cells.given('identifier')}” is in row {first_row[key]} already.",
                "Keep one row for each company.",
            )
            company = Company(identifier=cells.given("identifier"))
        else:
            first_row[key] = cells.row
            company = known.companies.get(key) or Company(identifier=cells.given("identifier"))
        rows.append(_read_row(cells, company, known))
    _check_together(rows, known)
    return _Plan(rows)


def _read_row(cells: Cells, company: Company, known: _Known) -> _Row:
    payer = cells.given("bill_to").casefold()
    own = payer == company.identifier.casefold()
    row = _Row(cells, company, bill_to="" if own or payer in known.companies else payer)
    row.changes = change(
        company,
        name=cells.text("name"),
        kind=cells.choice("kind", _KINDS, CompanyKind.CUSTOMER),
        account_number=cells.text("account_number"),
        bill_to_id=_payer_id(cells, known, own=own),
        terms_id=cells.lookup("terms", known.terms, "billing terms"),
        tax_code_id=cells.lookup("tax_code", known.tax_codes, "tax code"),
        invoice_email=cells.text("invoice_email"),
        phone=cells.text("phone"),
        website=cells.text("website"),
    )
    if row.bill_to:
        row.changes["bill_to_id"] = (None, cells.given("bill_to"))
    _note_problems(cells, company, _COMPANY_COLUMNS)
    if any(cells.given(column) for column in _SITE):
        _read_site(row, known)
    if cells.given("contact_name"):
        _read_contact(row, known)
    elif any(cells.given(column) for column in _CONTACT):
        cells.wrong("contact_name", "Whose are the contact's details?", "Fill in contact_name.")
    row.decide()
    return row


def _payer_id(cells: Cells, known: _Known, *, own: bool) -> int | Unset | None:
    """The bill-to where it is there already; one of the same file is found once all rows are read."""
    if "bill_to" not in cells.values:
        return UNSET
    payer = known.companies.get(cells.given("bill_to").casefold())
    return None if own or payer is None else payer.pk


def _read_site(row: _Row, known: _Known) -> None:
    cells, company_id = row.cells, row.company.pk or 0
    name = cells.given("site_name") or "Main"
    site = known.sites.get((company_id, name.casefold()))
    row.site = site or Site(company=row.company, name=name, is_default=company_id not in known.with_site)
    row.site.company = row.company
    row.site_changes = change(
        row.site,
        line1=cells.text("address"),
        line2=cells.text("address_2"),
        city=cells.text("city"),
        state=cells.text("state"),
        postal_code=cells.text("postal_code"),
        country=_upper(cells.text("country", "US")),
        tax_code_id=cells.lookup("site_tax_code", known.tax_codes, "tax code"),
    )
    if site is None:
        row.site_changes["name"] = (None, name)
    _note_problems(cells, row.site, _SITE_COLUMNS)


def _read_contact(row: _Row, known: _Known) -> None:
    cells, company_id = row.cells, row.company.pk or 0
    name = cells.given("contact_name")
    contact = known.contacts.get((company_id, name.casefold()))
    row.contact = contact or Contact(company=row.company, name=name, is_default=company_id not in known.with_contact)
    row.contact.company = row.company
    row.contact_changes = change(
        row.contact,
        title=cells.text("contact_title"),
        email=cells.text("contact_email"),
        phone=cells.text("contact_phone"),
        is_billing=cells.flag("contact_is_billing", default=False),
    )
    if contact is None:
        row.contact_changes["name"] = (None, name)
    _note_problems(cells, row.contact, _CONTACT_COLUMNS)


def _upper(word: Any) -> Any:
    return word.upper() if isinstance(word, str) else word


def _note_problems(cells: Cells, record: models.Model, names: dict[str, str]) -> None:
    for problem in field_problems(record):
        column = problem.field or ""
        cells.wrong(names.get(column, column), problem.message, problem.hint)


# -- what holds among the rows -----------------------------------------------------------------------------------------


def _check_together(rows: list[_Row], known: _Known) -> None:
    final = known.companies | {row.company.identifier.casefold(): row.company for row in rows}
    _check_my_company(rows, final)
    _check_account_numbers(rows, final)
    _check_kinds(rows)
    for row in rows:
        payer = final.get(row.cells.given("bill_to").casefold())
        if not row.cells.given("bill_to") or payer is row.company:
            continue
        if payer is None:
            row.cells.wrong(
                "bill_to",
                f"There is no company “{row.cells.given('bill_to')}”.",
                "Add it to the file, or leave the cell empty.",
            )
        elif payer.is_my_company:
            row.cells.wrong(
                "bill_to", f"{payer.name} is My Company: nothing can be billed to it.", "Name an internal company."
            )
        elif not payer.active:
            row.cells.wrong("bill_to", f"{payer.name} is not active.", "Reactivate it first.")


def _check_my_company(rows: list[_Row], final: dict[str, Company]) -> None:
    mine = [company for company in final.values() if company.is_my_company]
    if len(mine) < 2:
        return
    for row in rows:
        if row.company.is_my_company and "kind" in row.changes:
            row.cells.wrong("kind", "There can be one My Company only.", "Write internal for a bill-to of your own.")


def _check_account_numbers(rows: list[_Row], final: dict[str, Company]) -> None:
    holders: dict[str, Company] = {}
    mine = {id(row.company) for row in rows}
    for company in sorted(final.values(), key=lambda company: id(company) in mine):  # those not in the file come first
        holders.setdefault(company.account_number, company)
    for row in rows:
        number = row.company.account_number
        if number and holders[number] is not row.company:
            row.cells.wrong("account_number", f"{holders[number].name} has the account number {number} already.")


def _check_kinds(rows: list[_Row]) -> None:
    """As :func:`counterfoil.companies.policies.ensure_kind_change`, with one query for each relation."""
    moving = [row for row in rows if "kind" in row.changes and row.company.pk is not None]
    if not moving:
        return
    present = Company.objects.filter(pk__in=[row.company.pk for row in moving])
    in_use = {
        relation: set(present.filter(**{f"{relation}__isnull": False}).values_list("pk", flat=True))
        for relation in policies.AS_CUSTOMER | policies.AS_VENDOR
    }
    for row in moving:
        old = Company(kind=row.changes["kind"][0])
        if old.is_my_company:
            row.cells.wrong("kind", policies.stays_my_company(row.company.name))
        lost = policies.relations_lost(old, row.company)
        if has := [words for relation, words in lost.items() if row.company.pk in in_use[relation]]:
            row.cells.wrong("kind", policies.stays(row.company.name, has, old))
