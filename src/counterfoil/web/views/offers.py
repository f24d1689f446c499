"""Pages: how products are sold: their offers, the usual ones from a base price, and what bundles are made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse, reverse_lazy
from django.views.decorators.http import require_POST

from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import Offer, Product, ProductClass
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.terms import term_words
from counterfoil.platform.audit import trail_of
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    PageForm,
    PriceField,
    ProductField,
    QuantityField,
    RecordField,
    form_page,
    is_to_be_put_away,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.parts import as_lines
from counterfoil.web.terms import BILLINGS, TERMS, TermField

OFFERS: Final = ListSpec(
    name="Offers",
    columns=(
        Column("product", "Product", "product.identifier", kind="key", sort="product__identifier"),
        Column("offer", "Sold", queries.offer_name, card="note", note=lambda offer: offer.commitment_rule or ""),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", note="vendor_sku"),
        Column("cost", "Cost", kind="price", sort="cost", card="figure"),
        Column("price", "Price", kind="price", sort="price", card="figure", note=lambda offer: offer.price_model or ""),
        Column("effective_from", "From", kind="date", sort="effective_from"),
        Column("effective_to", "To", kind="date", sort="effective_to"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=(Chips("active", (("True", "Active"), ("False", "Inactive"))),),
    sort="product",
    url=lambda offer: reverse("web:offer", args=[offer.pk]),
    placeholder="Product or vendor SKU",
)


class OfferField(RecordField):
    """An offer one names by typing: ``M365-BP: 1 year, billed monthly``."""

    noun = "offer"
    source = reverse_lazy("web:pick", args=["offers"])

    def among(self) -> QuerySet[Offer]:
        """What is sold."""
        return queries.offers(active=True)

    def label_of(self, record: Offer) -> str:
        """Product, term and billing."""
        return queries.offer_label(record)

    def clean(self, value: Any) -> Any:
        """The id of the offer that is named so, the one that holds today before others."""
        text = forms.CharField.clean(self, value)
        if not text:
            return None
        identifier = text.partition(":")[0].strip()
        named = [
            each
            for each in self.among().filter(product__identifier__iexact=identifier)
            if self.label_of(each).casefold() == text.casefold()
        ]
        day = today()
        for each in named:
            if (each.effective_from or day) <= day <= (each.effective_to or day):
                return each.pk
        if named:
            return named[-1].pk
        raise forms.ValidationError(f"There is no such offer: “{text}”. Choose one of those offered.")


class OfferForm(PageForm):
    """How a product is sold."""

    rows = (
        ("term", "billing_cycle", "name"),
        ("cost", "price", "price_model_id"),
        ("vendor_id", "vendor_sku"),
        ("effective_from", "effective_to"),
    )

    term = TermField(TERMS, length=True, label="Term", help_text="How long it binds.")
    billing_cycle = TermField(BILLINGS, length=False, label="Billed", help_text="As often as the term: prepaid.")
    name = forms.CharField(
        label="Name", max_length=100, required=False, help_text="Where term and billing do not say it."
    )
    cost = PriceField(label="Cost", required=False, help_text="Per unit and billing cycle.")
    price = PriceField(label="Price", required=False, help_text="Per unit and billing cycle.")
    price_model_id = ChoiceOf(label="Price model", required=False, empty="None: the price as it is")
    vendor_id = CompanyField(label="Vendor", kind="vendors", required=False, help_text="Empty: the product's.")
    vendor_sku = forms.CharField(label="Vendor SKU", max_length=80, required=False)
    commitment_rule_id = ChoiceOf(
        label="Commitment rule", required=False, empty="None", help_text="When it may be cancelled and seats go down."
    )
    effective_from = DayField(label="From", required=False)
    effective_to = DayField(label="To", required=False, help_text="Last day.")

    def offer(self, kept: Offer | None = None) -> None:
        """Fill the choices, those that an offer has already among them."""
        self.fields["price_model_id"].offer(list(queries.price_models(active=True)))  # type: ignore[attr-defined]
        self.fields["commitment_rule_id"].offer(  # type: ignore[attr-defined]
            list(queries.commitment_rules(active=True))
        )
        for name in ("term", "billing_cycle"):
            self.fields[name].keep(getattr(kept, name, ""))  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """What was entered; an empty cost or price is none."""
        return {
            name: value for name, value in super().given().items() if not (name in {"cost", "price"} and value is None)
        }


class UsualOffersForm(PageForm):
    """The usual offers of a product from one base price."""

    rows = (("unit_cost", "unit_price"), ("vendor_id", "vendor_sku"))

    commitment_rule_id = ChoiceOf(label="Commitment rule", help_text="It says which terms there are and what they add.")
    unit_cost = PriceField(label="Cost a month", required=False, help_text="At the term without uplift.")
    unit_price = PriceField(label="Price a month", help_text="At the term without uplift.")
    vendor_id = CompanyField(label="Vendor", kind="vendors", required=False, help_text="Empty: the product's.")
    vendor_sku = forms.CharField(label="Vendor SKU", max_length=80, required=False)
    effective_from = DayField(
        label="From", required=False, help_text="The offers that are there end the day before. Empty: they change."
    )


class ComponentForm(LineForm):
    """A product in a bundle."""

    product_id = ProductField(label="Product", required=False)
    quantity = QuantityField(label="Quantity", required=False)
    offer_id = OfferField(label="By the offer", required=False)
    fixed_quantity = forms.TypedChoiceField(
        label="For", required=False, choices=(("", "Each bundle"), ("yes", "All bundles together")), coerce=bool,
    )  # fmt: skip
    hidden = forms.TypedChoiceField(
        label="The customer", required=False, choices=(("", "Sees it"), ("yes", "Does not see it")), coerce=bool
    )
    own_price = PriceField(label="Price in the bundle", required=False)

    def given(self) -> dict[str, Any]:
        """What was entered, as the command takes it."""
        entered = super().given()
        given = {name: value for name, value in entered.items() if name not in {"hidden", "own_price"}}
        if "own_price" in entered:
            given["unit_price"] = entered["own_price"]
        return {**given, "shown": not entered.get("hidden", False)}

    def is_wanted(self) -> bool:
        """A line with a product counts."""
        return bool(self.cleaned_data.get("product_id"))


class BundleForm(PageForm):
    """Whether the components make the bundle's price and cost."""

    price_from_components = forms.BooleanField(label="The price is that of the components", required=False)
    cost_from_components = forms.BooleanField(label="The cost is that of the components", required=False)


def offer_list(request: HttpRequest) -> HttpResponse:
    """All offers."""
    rows = queries.offers(search=search_of(request))
    can = may(request, list=commands.create_offer)
    return show_list(request, OFFERS, rows, "web/catalog/offers.html", {"may": can})


def _product(pk: int) -> Product:
    found = queries.product(pk)
    if found is None:
        raise Http404
    return found


def _deed(product: Product, title: str, button: str, said: str) -> Deed:
    back = reverse("web:product", args=[product.pk])
    crumbs = (("Products", reverse("web:products")), (product.identifier, back))
    return Deed(title=title, button=button, back=back, then=lambda _: back, said=lambda _: said, crumbs=crumbs)


def offer_new(request: HttpRequest, pk: int) -> HttpResponse:
    """A new offer of a product."""
    product = _product(pk)
    start = {"billing_cycle": product.billing_cycle, "cost": product.cost, "price": product.price}
    form = OfferForm(posted(request), initial=start)
    form.offer()
    return form_page(
        request,
        commands.create_offer,
        form,
        lambda: commands.create_offer(actor=actor_of(request), product_id=pk, **form.given()),
        _deed(product, "New offer", "Make the offer", f"{product.identifier} has a new offer."),
    )


def offer(request: HttpRequest, pk: int) -> HttpResponse:
    """An offer; who may change it does so here."""
    found = queries.offers().filter(pk=pk).first()
    if found is None:
        raise Http404
    form = OfferForm(posted(request), initial={name: getattr(found, name) for name in OfferForm.base_fields})
    form.offer(found)
    return form_page(
        request,
        commands.update_offer,
        form,
        lambda: commands.update_offer(actor=actor_of(request), offer_id=pk, **form.given()),
        _deed(found.product, queries.offer_name(found), "Save", "The offer was saved."),
        template="web/catalog/offer_form.html",
        context={"offer": found, "trail": trail_of(found)[:12]},
    )


@require_POST
def offer_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Put an offer away, or take it up again."""
    found = queries.offers().filter(pk=pk).first()
    if found is None:
        raise Http404
    is_off = is_to_be_put_away(request, found.active)
    command = commands.deactivate_offer if is_off else commands.reactivate_offer
    return run_deed(
        request,
        lambda: command(actor=actor_of(request), offer_id=pk),
        then=reverse("web:product", args=[found.product_id]),
        said=f"The offer is {'no longer' if is_off else 'again'} on the catalog.",
    )


def offers_usual(request: HttpRequest, pk: int) -> HttpResponse:
    """The usual offers of a product from one base price."""
    product = _product(pk)
    form = UsualOffersForm(posted(request))
    rules = [rule for rule in queries.commitment_rules(active=True) if rule.uplifts.all()]
    form.fields["commitment_rule_id"].offer(rules)  # type: ignore[attr-defined]

    def make() -> object:
        given = {name: value for name, value in form.given().items() if value is not None}
        return commands.make_offers(actor=actor_of(request), product_id=pk, on=today(), **given)

    return form_page(
        request,
        commands.make_offers,
        form,
        make,
        _deed(product, "The usual offers", "Make the offers", f"{product.identifier} has its offers."),
        template="web/catalog/usual_offers.html",
        context={
            "rules": [
                (rule, [(row, term_words(row.term, row.billing_cycle)) for row in rule.uplifts.all()]) for rule in rules
            ]
        },
    )


def bundle_components(request: HttpRequest, pk: int) -> HttpResponse:
    """What a bundle is made of."""
    product = _product(pk)
    if product.product_class != ProductClass.BUNDLE:
        raise Http404
    initial = [
        {
            "product_id": row.product_id,
            "quantity": row.quantity,
            "offer_id": row.offer_id,
            "fixed_quantity": "yes" if row.fixed_quantity else "",
            "hidden": "" if row.shown else "yes",
            "own_price": row.unit_price,
        }
        for row in queries.components_of(product)
    ]
    lines = LineEditor(
        request, ComponentForm, title="Components", add="Add a component", initial=initial, blank=0 if initial else 3,
        note="in the order the customer sees them",
    )  # fmt: skip
    form = BundleForm(posted(request), initial={name: getattr(product, name) for name in BundleForm.base_fields})

    def save() -> object:
        parts = [commands.BundleComponentInput(**line) for line in lines.given()]
        with as_lines("components"):
            return commands.set_bundle_components(
                actor=actor_of(request), product_id=pk, components=parts, **form.given()
            )

    return form_page(
        request,
        commands.set_bundle_components,
        form,
        save,
        _deed(product, f"Components of {product.identifier}", "Save", "The components were saved."),
        lines=lines,
    )


def selling_context(request: HttpRequest, product: Product) -> dict[str, Any]:
    """What a product's page shows of how it is sold."""
    is_bundle = product.product_class == ProductClass.BUNDLE
    shown: dict[str, Any] = {
        "offers": [(offer, queries.offer_name(offer)) for offer in queries.offers(product_id=product.pk)],
        "is_bundle": is_bundle,
        "is_recurring": product.product_class == ProductClass.AGREEMENT,
        "may_sell": may(request, offer=commands.create_offer)["offer"],
    }
    if is_bundle:
        rows = queries.components_of(product)
        shown["components"] = [(row, queries.offer_name(row.offer) if row.offer else "") for row in rows]
        try:
            shown["rolled"] = queries.quoted_price(product_id=product.pk, quantity=Decimal(1), on=today())
        except DomainError:
            shown["rolled"] = None
    return shown


urlpatterns = [
    path("offers/", offer_list, name="offers"),
    path("offers/<int:pk>/", offer, name="offer"),
    path("offers/<int:pk>/active/", offer_active, name="offer_active"),
    path("products/<int:pk>/offers/new/", offer_new, name="offer_new"),
    path("products/<int:pk>/offers/usual/", offers_usual, name="offers_usual"),
    path("products/<int:pk>/components/", bundle_components, name="bundle_components"),
]
