"""What people do with companies, sites, contacts and billing terms."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from zoneinfo import available_timezones

from counterfoil.companies import policies
from counterfoil.companies.models import BillingTerms, Company, CompanyKind, Contact, MspSettings, Site
from counterfoil.companies.queries import site_of
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.documents import Unprintable, printable_picture
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    fetch,
    record_changes,
    save_checked,
)

OFFICE = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)

refuse_as("one_my_company", "duplicate", "There is a My Company already; there can be one only.")
refuse_as("account_number_once", "duplicate", "Another company has that account number already.")
refuse_as("site_name_once_per_company", "duplicate", "The company has a site of that name already.")
refuse_as("companies_company_identifier_key", "duplicate", "There is a company with that identifier already.")


@dataclass(frozen=True, slots=True)
class SiteInput:
    """A site as it is entered. ``country`` is a two-letter code."""

    name: str = "Main"
    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = "US"
    tax_code_id: int | None = None


@dataclass(frozen=True, slots=True)
class ContactInput:
    """A contact as it is entered."""

    name: str
    title: str = ""
    email: str = ""
    phone: str = ""
    is_billing: bool = False


@command(roles=OFFICE)
def create_company(
    *,
    actor: Actor,
    identifier: str,
    name: str,
    kind: str = CompanyKind.CUSTOMER,
    account_number: str = "",
    bill_to_id: int | None = None,
    terms_id: int | None = None,
    tax_code_id: int | None = None,
    invoice_email: str = "",
    invoice_cc: str = "",
    phone: str = "",
    website: str = "",
    site: SiteInput | None = None,
    contact: ContactInput | None = None,
) -> Company:
    """Add a company, with its main site and contact where they are known.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``; ``duplicate`` for an identifier, an account number or a
            second My Company; ``my_company_not_billable`` for a bill-to that is My Company.
    """
    company = Company(
        identifier=identifier.strip(),
        name=name.strip(),
        kind=kind,
        account_number=account_number.strip(),
        bill_to_id=bill_to_id,
        terms_id=terms_id,
        tax_code_id=tax_code_id,
        invoice_email=invoice_email.strip(),
        invoice_cc=invoice_cc.strip(),
        phone=phone.strip(),
        website=website.strip(),
    )
    _check_company(company)
    save_checked(company)
    audit.record(
        actor, "companies.company.created", f"added {company.get_kind_display()} {company.identifier}, {company.name}",
        company,
    )  # fmt: skip
    if site is not None:
        _create_site(actor, company, site, is_default=True)
    if contact is not None:
        _create_contact(actor, company, contact, site_id=None, is_default=True)
    return company


@command(roles=OFFICE)
def update_company(
    *,
    actor: Actor,
    company_id: int,
    identifier: str | Unset = UNSET,
    name: str | Unset = UNSET,
    kind: str | Unset = UNSET,
    account_number: str | Unset = UNSET,
    bill_to_id: int | Unset | None = UNSET,
    terms_id: int | Unset | None = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    invoice_email: str | Unset = UNSET,
    invoice_cc: str | Unset = UNSET,
    phone: str | Unset = UNSET,
    website: str | Unset = UNSET,
) -> Company:
    """Change what is given of a company. A bill-to of itself means none.

    Raises:
        DomainError: as :func:`create_company`; ``conflict`` when its records contradict the new kind.
    """
    company = fetch(Company, company_id, lock=True)
    if kind is not UNSET:
        policies.ensure_kind_change(company, kind)
    changes = change(
        company,
        identifier=identifier,
        name=name,
        kind=kind,
        account_number=account_number,
        bill_to_id=None if bill_to_id == company_id else bill_to_id,
        terms_id=terms_id,
        tax_code_id=tax_code_id,
        invoice_email=invoice_email,
        invoice_cc=invoice_cc,
        phone=phone,
        website=website,
    )
    _check_company(company)
    save_checked(company)
    record_changes(actor, "companies.company.changed", f"changed {company.identifier}", changes, company)
    return company


def _check_company(company: Company) -> None:
    others = Company.objects.exclude(pk=company.pk)
    if others.filter(identifier__iexact=company.identifier).exists():
        raise DomainError("duplicate", f"There is a company “{company.identifier}” already.", field="identifier")
    if company.account_number and (holder := others.filter(account_number=company.account_number).first()):
        raise DomainError(
            "duplicate", f"{holder.name} has the account number {company.account_number} already.",
            field="account_number",
        )  # fmt: skip
    if company.is_my_company and others.filter(kind=CompanyKind.MY_COMPANY).exists():
        raise DomainError("duplicate", "There is a My Company already; there can be one only.", field="kind")
    if company.bill_to_id is not None:
        payer = fetch(Company, company.bill_to_id, field="bill_to_id")
        policies.ensure_active(payer, "bill_to_id")
        if payer.is_my_company:
            policies.ensure_billable(company, payer)


@command(roles=OFFICE)
def deactivate_company(*, actor: Actor, company_id: int) -> Company:
    """Take a company out of use; its records stay.

    Raises:
        DomainError: ``conflict`` when it has open business, or is My Company.
    """
    company = fetch(Company, company_id, lock=True)
    policies.ensure_no_open_business(company)
    return _set_active(actor, company, active=False)


@command(roles=OFFICE)
def reactivate_company(*, actor: Actor, company_id: int) -> Company:
    """Take a company into use again."""
    return _set_active(actor, fetch(Company, company_id, lock=True), active=True)


def _set_active(actor: Actor, company: Company, *, active: bool) -> Company:
    company.active = active
    company.save(update_fields=["active"])
    deed = "reactivated" if active else "deactivated"
    audit.record(actor, f"companies.company.{deed}", f"{deed} {company.identifier}, {company.name}", company)
    return company


# -- sites -------------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def add_site(*, actor: Actor, company_id: int, site: SiteInput, is_default: bool = False) -> Site:
    """Add a site to a company; its first site is the default.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    return _create_site(actor, fetch(Company, company_id, lock=True), site, is_default=is_default)


def _create_site(actor: Actor, company: Company, given: SiteInput, *, is_default: bool) -> Site:
    first = not company.sites.exists()
    if is_default and not first:
        company.sites.filter(is_default=True).update(is_default=False)
    site = Site(
        company=company,
        name=given.name.strip(),
        line1=given.line1.strip(),
        line2=given.line2.strip(),
        city=given.city.strip(),
        state=given.state.strip(),
        postal_code=given.postal_code.strip(),
        country=given.country.strip().upper(),
        tax_code_id=given.tax_code_id,
        is_default=is_default or first,
    )
    _check_site(site)
    save_checked(site)
    audit.record(actor, "companies.site.added", f"added the site {site.name} to {company.identifier}", company)
    return site


@command(roles=OFFICE)
def update_site(
    *,
    actor: Actor,
    site_id: int,
    name: str | Unset = UNSET,
    line1: str | Unset = UNSET,
    line2: str | Unset = UNSET,
    city: str | Unset = UNSET,
    state: str | Unset = UNSET,
    postal_code: str | Unset = UNSET,
    country: str | Unset = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    is_default: bool | Unset = UNSET,
) -> Site:
    """Change what is given of a site. Another site becomes the default by being made so.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    site = fetch(Site, site_id, lock=True)
    if is_default is False and site.is_default:
        raise DomainError(
            "invalid", f"{site.name} is the default site.", field="is_default", hint="Make another site the default."
        )
    if is_default is True:
        Site.objects.filter(company_id=site.company_id, is_default=True).exclude(pk=site.pk).update(is_default=False)
    changes = change(
        site,
        name=name,
        line1=line1,
        line2=line2,
        city=city,
        state=state,
        postal_code=postal_code,
        country=country,
        tax_code_id=tax_code_id,
        is_default=is_default,
    )
    _check_site(site)
    save_checked(site)
    record_changes(actor, "companies.site.changed", f"changed the site {site.name}", changes, site.company)
    return site


def _check_site(site: Site) -> None:
    if Site.objects.filter(company_id=site.company_id, name=site.name).exclude(pk=site.pk).exists():
        raise DomainError("duplicate", f"The company has a site “{site.name}” already.", field="name")


# -- contacts ----------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def add_contact(
    *, actor: Actor, company_id: int, contact: ContactInput, site_id: int | None = None, is_default: bool = False
) -> Contact:
    """Add a person to a company; the first one is the default contact.

    Raises:
        DomainError: ``required``, ``invalid``; ``not_found`` for a site of another company.
    """
    company = fetch(Company, company_id, lock=True)
    return _create_contact(actor, company, contact, site_id=site_id, is_default=is_default)


def _create_contact(
    actor: Actor, company: Company, given: ContactInput, *, site_id: int | None, is_default: bool
) -> Contact:
    first = not company.contacts.exists()
    if is_default and not first:
        company.contacts.filter(is_default=True).update(is_default=False)
    contact = Contact(
        company=company,
        site_id=site_id,
        name=given.name.strip(),
        title=given.title.strip(),
        email=given.email.strip(),
        phone=given.phone.strip(),
        is_billing=given.is_billing,
        is_default=is_default or first,
    )
    _check_contact(contact)
    save_checked(contact)
    audit.record(actor, "companies.contact.added", f"added {contact.name} to {company.identifier}", company)
    return contact


@command(roles=OFFICE)
def update_contact(
    *,
    actor: Actor,
    contact_id: int,
    name: str | Unset = UNSET,
    title: str | Unset = UNSET,
    email: str | Unset = UNSET,
    phone: str | Unset = UNSET,
    site_id: int | Unset | None = UNSET,
    is_billing: bool | Unset = UNSET,
    is_default: bool | Unset = UNSET,
) -> Contact:
    """Change what is given of a contact.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``.
    """
    contact = fetch(Contact, contact_id, lock=True)
    if is_default is True:
        rivals = Contact.objects.filter(company_id=contact.company_id, is_default=True).exclude(pk=contact.pk)
        rivals.update(is_default=False)
    changes = change(
        contact,
        name=name,
        title=title,
        email=email,
        phone=phone,
        site_id=site_id,
        is_billing=is_billing,
        is_default=is_default,
    )
    _check_contact(contact)
    save_checked(contact)
    record_changes(actor, "companies.contact.changed", f"changed {contact.name}", changes, contact.company)
    return contact


def _check_contact(contact: Contact) -> None:
    if contact.site_id is not None:
        site_of(contact.company, contact.site_id)


# -- billing terms -----------------------------------------------------------------------------------------------------


@command(roles=(Role.FINANCE,))
def create_billing_terms(*, actor: Actor, name: str, due_days: int) -> BillingTerms:
    """Add terms: an invoice falls due ``due_days`` after its date.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``.
    """
    terms = BillingTerms(name=name.strip(), due_days=due_days)
    save_checked(terms)
    audit.record(actor, "companies.terms.created", f"added the terms {terms.name}, due in {due_days} days", terms)
    return terms


@command(roles=(Role.FINANCE,))
def update_billing_terms(
    *, actor: Actor, terms_id: int, name: str | Unset = UNSET, due_days: int | Unset = UNSET
) -> BillingTerms:
    """Change terms; invoices that are there keep their due dates.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    terms = fetch(BillingTerms, terms_id, lock=True)
    changes = change(terms, name=name, due_days=due_days)
    save_checked(terms)
    record_changes(actor, "companies.terms.changed", f"changed the terms {terms.name}", changes, terms)
    return terms


# -- the MSP's documents -----------------------------------------------------------------------------------------------


@command(roles=(Role.FINANCE,))
def update_msp_settings(
    *,
    actor: Actor,
    legal_name: str | Unset = UNSET,
    brand_colour: str | Unset = UNSET,
    paper: str | Unset = UNSET,
    remit_to: str | Unset = UNSET,
    invoice_footer: str | Unset = UNSET,
    reply_to: str | Unset = UNSET,
    time_zone: str | Unset = UNSET,
) -> MspSettings:
    """Change how the MSP shows itself on invoices and statements, and the time zone that decides what day it is.

    Documents of invoices that are stored already stay as they are.

    Args:
        actor: who changes it.
        legal_name: the name on documents; empty is My Company's.
        brand_colour: ``#rrggbb``.
        paper: ``us-letter`` or ``a4``.
        remit_to: how to pay, line by line.
        invoice_footer: stands at the foot of every page.
        reply_to: where a customer's answer to a mailed invoice goes.
        time_zone: its IANA name, such as ``America/New_York``.

    Raises:
        DomainError: ``invalid``.
    """
    settings = _msp_settings()
    if time_zone is not UNSET and time_zone not in available_timezones():
        raise DomainError("invalid", f"There is no time zone “{time_zone}”.", field="time_zone")
    changes = change(
        settings,
        legal_name=legal_name,
        brand_colour=brand_colour,
        paper=paper,
        remit_to=_plain_lines(remit_to),
        invoice_footer=_plain_lines(invoice_footer),
        reply_to=reply_to,
        time_zone=time_zone,
    )
    save_checked(settings)
    record_changes(actor, "companies.msp_settings.changed", "changed the MSP's settings", changes, settings)
    return settings


@command(roles=(Role.FINANCE,))
def set_msp_logo(*, actor: Actor, content: bytes, filename: str = "") -> MspSettings:
    """Put a logo on invoices and statements: PNG, JPEG or plain SVG, at most 500 kB.

    Raises:
        DomainError: ``invalid`` when it is no such picture, too large or broken.
    """
    settings = _msp_settings()
    try:
        settings.logo_type = printable_picture(content)
    except Unprintable as error:
        raise DomainError("invalid", str(error), field="logo") from error
    settings.logo = content
    settings.save(update_fields=["logo", "logo_type"])
    named = f" ({filename})" if filename else ""
    text = f"put a logo on the documents: {settings.logo_type.upper()}, {len(content):,} bytes{named}"
    audit.record(actor, "companies.msp_settings.logo_set", text, settings, sha256=sha256(content).hexdigest())
    return settings


@command(roles=(Role.FINANCE,))
def remove_msp_logo(*, actor: Actor) -> MspSettings:
    """Take the logo off invoices and statements; the MSP's name takes its place.

    Raises:
        DomainError: ``wrong_state`` when there is none.
    """
    settings = _msp_settings()
    if not settings.logo:
        raise DomainError("wrong_state", "There is no logo on the documents.")
    settings.logo, settings.logo_type = b"", ""
    settings.save(update_fields=["logo", "logo_type"])
    audit.record(actor, "companies.msp_settings.logo_removed", "took the logo off the documents", settings)
    return settings


def _msp_settings() -> MspSettings:
    """The one row, locked."""
    MspSettings.objects.get_or_create(pk=1)
    return MspSettings.objects.select_for_update().get(pk=1)


def _plain_lines(text: str | Unset) -> str | Unset:
    """The text with line feeds alone, as it is kept whichever browser sent it."""
    return text if isinstance(text, Unset) else "\n".join(line.rstrip() for line in text.strip().splitlines())
