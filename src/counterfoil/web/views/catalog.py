"""Pages: products and their categories."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.catalog import commands as catalog_commands
from counterfoil.catalog import queries as catalog
from counterfoil.catalog.models import AccountingType, ProductClass
from counterfoil.platform.audit import trail_of
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import (
    CYCLES,
    ChoiceOf,
    CompanyField,
    Deed,
    PageForm,
    PriceField,
    form_page,
    is_to_be_put_away,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.views.offers import selling_context

PRODUCTS = ListSpec(
    name="Products",
    columns=(
        Column("identifier", "Product", kind="key", note="description"),
        Column("description", "Description", hidden=True),
        Column("product_class", "Class", "get_product_class_display", sort="product_class", card="note"),
        Column("category", "Category", lambda p: str(p.subcategory or p.category), sort="category__name", card="note"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", note="vendor_sku"),
        Column(
            "billing_cycle",
            "Billed",
            lambda p: dict(CYCLES).get(p.billing_cycle, p.billing_cycle),
            sort="billing_cycle",
        ),
        Column("serialized", "Serialized", kind="yes", sort="serialized"),
        Column("cost", "Cost", kind="price", sort="cost", card="figure"),
        Column("price", "Price", kind="price", sort="price", card="figure"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=(Chips("product_class", ProductClass.choices), Chips("active", (("True", "Active"), ("False", "Inactive")))),
    sort="identifier",
    url=lambda product: reverse("web:product", args=[product.pk]),
    placeholder="Product or vendor SKU",
)


class ProductForm(PageForm):
    """A product of the catalog."""

    rows = (
        ("identifier", "description"),
        ("product_class", "accounting_type"),
        ("category_id", "subcategory_id"),
        ("cost", "price", "unit_of_measure"),
        ("vendor_id", "vendor_sku"),
    )

    identifier = forms.CharField(label="Identifier", max_length=60)
    description = forms.CharField(label="Description", max_length=100)
    product_class = forms.ChoiceField(
        label="Class", choices=ProductClass.choices,
        help_text="Inventory is kept in stock; non-inventory is expensed when it is bought.",
    )  # fmt: skip
    accounting_type = forms.ChoiceField(
        label="Type", choices=[("", "What goes with the class"), *AccountingType.choices], required=False
    )
    billing_cycle = forms.ChoiceField(
        label="Billed", choices=[("", "Once"), *CYCLES], required=False, help_text="How often, for agreement products."
    )
    category_id = ChoiceOf(label="Category", help_text="GL accounts are mapped to it.")
    subcategory_id = ChoiceOf(label="Subcategory", required=False, empty="None")
    cost = PriceField(label="Cost", required=False)
    price = PriceField(label="Price", required=False)
    unit_of_measure = forms.CharField(label="Unit of measure", max_length=20, initial="each")
    vendor_id = CompanyField(label="Vendor", kind="vendors", required=False)
    vendor_sku = forms.CharField(label="Vendor SKU", max_length=50, required=False)
    customer_description = forms.CharField(
        label="What the customer reads", max_length=6000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    taxable = forms.BooleanField(label="Taxable", required=False, initial=True)
    serialized = forms.BooleanField(label="Every unit has a serial number", required=False)
    special_order = forms.BooleanField(
        label="Special order: buy the full quantity whatever is in stock", required=False
    )
    drop_ship = forms.BooleanField(label="Drop ship: the vendor ships to the customer", required=False)

    def offer(self) -> None:
        """Fill the choices."""
        self.fields["category_id"].offer(list(catalog.categories()))  # type: ignore[attr-defined]
        self.fields["subcategory_id"].offer(list(catalog.subcategories()))  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """What was entered; an empty cost or price is none."""
        return {
            name: value for name, value in super().given().items() if not (name in {"cost", "price"} and value is None)
        }


def product_list(request: HttpRequest) -> HttpResponse:
    """The catalog."""
    rows = catalog.products(search=search_of(request))
    can = may(request, add=catalog_commands.create_product)
    return show_list(request, PRODUCTS, rows, "web/setup/products.html", {"may": can})


def product_new(request: HttpRequest) -> HttpResponse:
    """A new product."""
    form = ProductForm(posted(request))
    form.offer()
    return form_page(
        request,
        catalog_commands.create_product,
        form,
        lambda: catalog_commands.create_product(actor=actor_of(request), **form.given()),
        Deed(
            title="New product",
            button="Make the product",
            back=reverse("web:products"),
            then=lambda made: reverse("web:product", args=[made.pk]),
            said=lambda made: f"{made.identifier} was made.",
            crumbs=(("Products", reverse("web:products")),),
        ),
        template="web/setup/product_form.html",
        context={"can_categorise": may(request, add=catalog_commands.create_category)["add"]},
    )


def product(request: HttpRequest, pk: int) -> HttpResponse:
    """A product; those who may change it do so here."""
    found = catalog.product(pk)
    if found is None:
        raise Http404
    here = reverse("web:product", args=[pk])
    can = may(request, edit=catalog_commands.update_product)
    if not can["edit"]:
        shown = {"product": found, "trail": trail_of(found)[:12], **selling_context(request, found)}
        return render(request, "web/setup/product.html", shown)
    form = ProductForm(posted(request), initial={name: getattr(found, name) for name in ProductForm.base_fields})
    form.offer()
    return form_page(
        request,
        catalog_commands.update_product,
        form,
        lambda: catalog_commands.update_product(actor=actor_of(request), product_id=pk, **form.given()),
        Deed(
            title=found.identifier,
            button="Save",
            back=reverse("web:products"),
            then=lambda _: here,
            said=lambda changed: f"{changed.identifier} was saved.",
            crumbs=(("Products", reverse("web:products")),),
        ),
        template="web/setup/product_form.html",
        context={"product": found, "trail": trail_of(found)[:12], **selling_context(request, found)},
    )


@require_POST
def product_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a product off the catalog, or back."""
    found = catalog.product(pk)
    if found is None:
        raise Http404
    is_off = is_to_be_put_away(request, found.active)
    command = catalog_commands.deactivate_product if is_off else catalog_commands.reactivate_product
    return run_deed(
        request,
        lambda: command(actor=actor_of(request), product_id=pk),
        then=reverse("web:product", args=[pk]),
        said=lambda changed: f"{changed.identifier} is {'on' if changed.active else 'off'} the catalog now.",
    )


class CategoryForm(PageForm):
    """A category, or a division of one."""

    parent_id = ChoiceOf(label="Within", required=False, empty="A category of its own")
    name = forms.CharField(label="Name", max_length=50)


def category_new(request: HttpRequest) -> HttpResponse:
    """A new category or subcategory."""
    form = CategoryForm(posted(request))
    form.fields["parent_id"].offer(list(catalog.categories()))  # type: ignore[attr-defined]

    def make() -> object:
        parent, name = form.cleaned_data["parent_id"], form.cleaned_data["name"]
        if parent:
            return catalog_commands.create_subcategory(actor=actor_of(request), category_id=parent, name=name)
        return catalog_commands.create_category(actor=actor_of(request), name=name)

    return form_page(
        request,
        catalog_commands.create_category,
        form,
        make,
        Deed(
            title="New category",
            button="Make the category",
            back=reverse("web:products"),
            then=lambda _: reverse("web:product_new"),
            said=lambda made: f"{made} was made.",
            crumbs=(("Products", reverse("web:products")),),
        ),
    )


urlpatterns = [
    path("products/", product_list, name="products"),
    path("products/new/", product_new, name="product_new"),
    path("products/categories/new/", category_new, name="category_new"),
    path("products/<int:pk>/", product, name="product"),
    path("products/<int:pk>/active/", product_active, name="product_active"),
]
