"""Pages: companies with their sites and contacts."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.companies import commands as company_commands
from counterfoil.companies import queries as companies
from counterfoil.companies.models import Company, CompanyKind, Site
from counterfoil.platform.audit import trail_of
from counterfoil.tax import queries as tax
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    Deed,
    PageForm,
    form_page,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list

# -- companies ---------------------------------------------------------------------------------------------------------

COMPANIES = ListSpec(
    name="Companies",
    columns=(
        Column("name", "Name", kind="key"),
        Column("identifier", "Identifier", sort="identifier", card="note"),
        Column("kind", "Kind", "get_kind_display", sort="kind", card="note"),
        Column("account_number", "Account number", sort="account_number"),
        Column("terms", "Terms", "terms.name", sort="terms__due_days"),
        Column("tax_code", "Tax code", "tax_code.identifier", sort="tax_code__identifier"),
        Column("bill_to", "Bill to", "bill_to.name", sort="bill_to__name"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=(Chips("kind", CompanyKind.choices), Chips("active", (("True", "Active"), ("False", "Inactive")))),
    sort="name",
    url=lambda company: reverse("web:company", args=[company.pk]),
    placeholder="Name or identifier",
)

#: What each kind of company is for, as the form says it.
KINDS: Final = (
    ("Customer", "is sold to and billed."),
    ("Vendor", "is bought from."),
    ("Customer and vendor", "both."),
    (
        "Internal company",
        "takes what you buy for yourself, such as hardware you lease out: billed at cost only, zero price.",
    ),
    ("My Company", "is you. There is one, and it can never be billed."),
)


class CompanyForm(PageForm):
    """A company."""

    rows: tuple[tuple[str, ...], ...] = (
        ("identifier", "name"),
        ("kind", "account_number"),
        ("bill_to_id", "terms_id"),
        ("invoice_email", "invoice_cc"),
        ("tax_code_id", "phone", "website"),
    )

    identifier = forms.CharField(
        label="Identifier", max_length=30, help_text="A short key: letters, digits, spaces and +."
    )
    name = forms.CharField(label="Name", max_length=100)
    kind = forms.ChoiceField(label="Kind", choices=CompanyKind.choices, initial=CompanyKind.CUSTOMER)
    account_number = forms.CharField(
        label="Account number", max_length=40, required=False, help_text="Its key in the accounting package."
    )
    bill_to_id = CompanyField(
        label="Bill to", kind="customers", required=False, help_text="Who gets the invoices; empty means this company."
    )
    terms_id = ChoiceOf(label="Terms", required=False, empty="None")
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="None: no sales tax")
    invoice_email = forms.EmailField(label="E-mail for invoices", required=False)
    invoice_cc = forms.CharField(
        label="Copies of invoices", max_length=500, required=False, help_text="Several addresses with commas between."
    )
    phone = forms.CharField(label="Phone", max_length=40, required=False)
    website = forms.CharField(label="Website", max_length=200, required=False)

    def offer(self) -> None:
        """Fill the choices."""
        self.fields["terms_id"].offer(list(companies.billing_terms()))  # type: ignore[attr-defined]
        self.fields["tax_code_id"].offer(list(tax.tax_codes(active=True)))  # type: ignore[attr-defined]


class NewCompanyForm(CompanyForm):
    """A company with its first site and contact."""

    rows = (
        *CompanyForm.rows,
        ("line1", "city"),
        ("state", "postal_code"),
        ("contact", "contact_email"),
    )

    line1 = forms.CharField(label="Address", max_length=100, required=False)
    city = forms.CharField(label="City", max_length=60, required=False)
    state = forms.CharField(label="State", max_length=40, required=False)
    postal_code = forms.CharField(label="ZIP code", max_length=15, required=False)
    contact = forms.CharField(label="Contact", max_length=100, required=False)
    contact_email = forms.EmailField(label="Contact's e-mail", required=False)

    def given(self) -> dict[str, Any]:
        """The arguments of the command: site and contact where something of them was entered."""
        given = super().given()
        address = {name: given.pop(name) for name in ("line1", "city", "state", "postal_code")}
        contact, email = given.pop("contact"), given.pop("contact_email")
        if any(address.values()):
            given["site"] = company_commands.SiteInput(**address)
        if contact:
            given["contact"] = company_commands.ContactInput(name=contact, email=email)
        return given


def _crumbs(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Companies", reverse("web:companies")), *more)


def company_list(request: HttpRequest) -> HttpResponse:
    """All companies."""
    rows = companies.companies(search=search_of(request))
    can = may(request, add=company_commands.create_company)
    return show_list(request, COMPANIES, rows, "web/setup/companies.html", {"may": can})


def company_new(request: HttpRequest) -> HttpResponse:
    """A new company."""
    form = NewCompanyForm(posted(request))
    form.offer()
    return form_page(
        request,
        company_commands.create_company,
        form,
        lambda: company_commands.create_company(actor=actor_of(request), **form.given()),
        Deed(
            title="New company",
            button="Make the company",
            back=reverse("web:companies"),
            then=lambda made: reverse("web:company", args=[made.pk]),
            said=lambda made: f"{made.name} was made.",
            crumbs=_crumbs(),
        ),
        template="web/setup/company_form.html",
        context={"kinds": KINDS},
    )


def _company(pk: int) -> Company:
    found = companies.company(pk)
    if found is None:
        raise Http404
    return found


def company(request: HttpRequest, pk: int) -> HttpResponse:
    """A company with its sites and contacts."""
    found = _company(pk)
    context = {
        "company": found,
        "sites": list(found.sites.all()),
        "contacts": list(found.contacts.all()),
        "warehouses": list(found.warehouses.all()),
        "may": may(request, edit=company_commands.update_company),
        "trail": trail_of(found)[:12],
    }
    return render(request, "web/setup/company.html", context)


def _company_deed(found: Company, title: str, button: str, said: str) -> Deed:
    here = reverse("web:company", args=[found.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: said,
        crumbs=_crumbs((found.name, here)),
    )


def company_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a company."""
    found = _company(pk)
    form = CompanyForm(posted(request), initial={name: getattr(found, name) for name in CompanyForm.base_fields})
    form.offer()
    return form_page(
        request,
        company_commands.update_company,
        form,
        lambda: company_commands.update_company(actor=actor_of(request), company_id=pk, **form.given()),
        _company_deed(found, f"Change {found.name}", "Save", f"{found.name} was changed."),
        template="web/setup/company_form.html",
        context={"kinds": KINDS},
    )


@require_POST
def company_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Deactivate a company nothing is open with, or take it up again."""
    found = _company(pk)
    command = company_commands.deactivate_company if found.active else company_commands.reactivate_company
    return run_deed(
        request,
        lambda: command(actor=actor_of(request), company_id=pk),
        then=reverse("web:company", args=[pk]),
        said=lambda changed: f"{changed.name} is {'active' if changed.active else 'inactive'} now.",
    )


class SiteForm(PageForm):
    """A place of a company."""

    rows = (("name", "tax_code_id"), ("line1", "line2"), ("city", "state", "postal_code"))

    name = forms.CharField(label="Name", max_length=60)
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="The company's")
    line1 = forms.CharField(label="Address", max_length=100, required=False)
    line2 = forms.CharField(label="Second line", max_length=100, required=False)
    city = forms.CharField(label="City", max_length=60, required=False)
    state = forms.CharField(label="State", max_length=40, required=False)
    postal_code = forms.CharField(label="ZIP code", max_length=15, required=False)
    is_default = forms.BooleanField(label="The usual site", required=False)


def site_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a site."""
    found = _company(pk)
    form = SiteForm(posted(request))
    form.fields["tax_code_id"].offer(list(tax.tax_codes(active=True)))  # type: ignore[attr-defined]

    def add() -> Site:
        given = form.given()
        usual = given.pop("is_default")
        return company_commands.add_site(
            actor=actor_of(request), company_id=pk, site=company_commands.SiteInput(**given), is_default=usual
        )

    deed = _company_deed(found, f"New site of {found.name}", "Add the site", "The site was added.")
    return form_page(request, company_commands.add_site, form, add, deed)


def site(request: HttpRequest, pk: int, site_id: int) -> HttpResponse:
    """Change a site."""
    found = _company(pk)
    place = found.sites.filter(pk=site_id).first()
    if place is None:
        raise Http404
    form = SiteForm(posted(request), initial={name: getattr(place, name) for name in SiteForm.base_fields})
    form.fields["tax_code_id"].offer(list(tax.tax_codes(active=True)))  # type: ignore[attr-defined]
    return form_page(
        request,
        company_commands.update_site,
        form,
        lambda: company_commands.update_site(actor=actor_of(request), site_id=site_id, **form.given()),
        _company_deed(found, f"Change {place.name}", "Save the site", "The site was changed."),
    )


class ContactForm(PageForm):
    """A person at a company."""

    rows = (("name", "title"), ("email", "phone"))

    name = forms.CharField(label="Name", max_length=100)
    title = forms.CharField(label="Title", max_length=60, required=False)
    email = forms.EmailField(label="E-mail", required=False)
    phone = forms.CharField(label="Phone", max_length=40, required=False)
    is_billing = forms.BooleanField(label="Gets the invoices", required=False)


def contact_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a contact."""
    found = _company(pk)
    form = ContactForm(posted(request))
    return form_page(
        request,
        company_commands.add_contact,
        form,
        lambda: company_commands.add_contact(
            actor=actor_of(request), company_id=pk, contact=company_commands.ContactInput(**form.given())
        ),
        _company_deed(found, f"New contact of {found.name}", "Add the contact", "The contact was added."),
    )


def contact(request: HttpRequest, pk: int, contact_id: int) -> HttpResponse:
    """Change a contact."""
    found = _company(pk)
    person = found.contacts.filter(pk=contact_id).first()
    if person is None:
        raise Http404
    form = ContactForm(posted(request), initial={name: getattr(person, name) for name in ContactForm.base_fields})
    return form_page(
        request,
        company_commands.update_contact,
        form,
        lambda: company_commands.update_contact(actor=actor_of(request), contact_id=contact_id, **form.given()),
        _company_deed(found, f"Change {person.name}", "Save the contact", "The contact was changed."),
    )


urlpatterns = [
    path("companies/", company_list, name="companies"),
    path("companies/new/", company_new, name="company_new"),
    path("companies/<int:pk>/", company, name="company"),
    path("companies/<int:pk>/edit/", company_edit, name="company_edit"),
    path("companies/<int:pk>/active/", company_active, name="company_active"),
    path("companies/<int:pk>/sites/new/", site_new, name="site_new"),
    path("companies/<int:pk>/sites/<int:site_id>/", site, name="site"),
    path("companies/<int:pk>/contacts/new/", contact_new, name="contact_new"),
    path("companies/<int:pk>/contacts/<int:contact_id>/", contact, name="contact"),
]
