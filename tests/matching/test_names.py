"""What a vendor calls our customers and products: known, suggested, confirmed once, forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.matching.licences import NOW, SIMPLE, billed, csv_of, differences, imported, licence, reconciled
from tests.world import FINANCE, VIEWER, World

from counterfoil.catalog.models import Offer
from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.matching.models import VendorStatementLine
from counterfoil.matching.names import (
    Directory,
    MeantName,
    aliases,
    confirm_alias,
    confirm_names,
    customers_of,
    fold,
    names_to_confirm,
    products_of,
    remove_alias,
)


def test_names_are_folded() -> None:
    assert fold("  Müller & Söhne, GmbH ") == "muller sohne gmbh"
    assert fold("CFQ7TTC0LCHC:0002") == "cfq7ttc0lchc 0002"


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_the_likeliest_is_suggested_first() -> None:
    directory = Directory()
    for pk, name in enumerate(("Contoso Dental Group, Inc.", "Contoso Legal LLP", "Fabrikam Ltd", "Acme Corp"), 1):
        directory.add(pk, name, name)
    assert directory.suggest("Contosso Dental Group")[0].pk == 1
    assert directory.suggest("Group Dental Contoso")[0].score == 100
    assert directory.suggest("Fabrikam GmbH")[0].pk == 3
    assert directory.suggest("Wayne Enterprises") == []
    assert directory.find("contoso dental group inc").pk == 1


def test_a_text_that_two_records_share_means_neither() -> None:
    directory = Directory()
    directory.add(1, "North", "Smith", "north")
    directory.add(2, "South", "Smith")
    directory.add(3, "East", "Smith")
    assert directory.find("Smith").pk is None
    assert directory.find("North").pk == 1


@pytest.mark.django_db
def test_products_are_known_by_our_keys_and_the_vendors(world: World) -> None:
    product = licence(world, vendor_sku="BP-1")
    Offer.objects.create(product=product, term="year:1", billing_cycle="month:1", vendor_sku="CFQ7TTC0LCHC")
    Offer.objects.create(product=product, term="year:3", billing_cycle="month:1", vendor_sku="D-9", vendor=world.dell)
    of_ingram, of_dell = products_of(world.ingram.pk), products_of(world.dell.pk)
    for text in ("business-premium", "Business Premium", "bp-1", "CFQ7TTC0LCHC"):
        assert of_ingram.find(text).pk == product.pk, text
    assert (of_ingram.find("D-9").pk, of_dell.find("D-9").pk) == (None, product.pk)
    assert of_dell.find("BP-1").pk is None  # another vendor's key
    assert customers_of(world.ingram.pk).find("GLOBEX").pk == world.globex.pk
    assert customers_of(world.ingram.pk).find("Ingram Micro").pk is None  # a vendor is no customer


@pytest.mark.django_db
def test_a_name_is_confirmed_once_and_every_line_follows(world: World) -> None:
    product = licence(world)
    billed(world, product, 10)
    february = imported(world, csv_of(SIMPLE, ("ACME Corp. of Michigan", "M365 BP", 9, 18)))
    result = reconciled(world, csv_of(SIMPLE, ("ACME Corp. of Michigan", "M365 BP", 10, 18)))
    assert [(row.kind, row.text, row.lines) for row in names_to_confirm(february.pk)] == [
        ("customer", "ACME Corp. of Michigan", 1), ("product", "M365 BP", 1),
    ]  # fmt: skip
    assert [code for code, *_ in differences()] == ["orphaned", "unknown_customer", "unknown_product"]
    assert result.unknown == 2

    confirm = {"actor": FINANCE, "vendor_id": world.ingram.pk, "now": NOW}
    confirm_alias(**confirm, kind="customer", text="ACME Corp. of Michigan", company_id=world.acme.pk)
    assert [code for code, *_ in differences()] == ["orphaned", "unknown_product"]
    alias = confirm_alias(**confirm, kind="product", text="M365 BP", product_id=product.pk)
    assert differences() == []
    assert set(VendorStatementLine.objects.values_list("company", "company_match", "product_match")) == {
        (world.acme.pk, "alias", "alias")
    }
    assert [(row.kind, row.text, row.means) for row in aliases(vendor_id=world.ingram.pk)] == [
        ("customer", "acme corp of michigan", "Acme Corp"), ("product", "m365 bp", "BUSINESS-PREMIUM"),
    ]  # fmt: skip
    april = imported(world, csv_of(SIMPLE, ("Acme Corp. of Michigan", "m365 bp", 11, 18)))
    assert april.lines.get().company_id == world.acme.pk

    remove_alias(actor=FINANCE, alias_id=alias.pk, now=NOW)
    assert "unknown_product" in [code for code, *_ in differences()]


@pytest.mark.django_db
def test_a_confirmed_name_goes_before_our_own(world: World) -> None:
    """The vendor's Acme may be another company than ours of that name."""
    licence(world)
    other = Company.objects.create(identifier="AcmeEast", name="Acme East")
    confirm_alias(
        actor=FINANCE, vendor_id=world.ingram.pk, kind="customer", text="Acme Corp", company_id=other.pk, now=NOW
    )
    statement = imported(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 1, 18)))
    assert statement.lines.get().company == other


@pytest.mark.django_db
def test_what_cannot_be_confirmed(world: World) -> None:
    confirm = {"vendor_id": world.ingram.pk, "now": NOW}
    for kind, text, message in (
        ("customer", "X", "Choose the company"),
        ("product", "X", "Choose the product"),
        ("customer", " . ", "Enter the vendor's name"),
        ("colour", "X", "neither customer nor product"),
    ):
        with pytest.raises(DomainError, match=message):
            confirm_alias(actor=FINANCE, kind=kind, text=text, **confirm)
    with pytest.raises(DomainError, match="takes the role"):
        confirm_alias(actor=VIEWER, kind="customer", text="X", company_id=world.acme.pk, **confirm)


@pytest.mark.django_db
def test_many_names_are_confirmed_at_once_all_or_none(world: World) -> None:
    product = licence(world)
    billed(world, product, 10)
    reconciled(world, csv_of(SIMPLE, ("Acme Corporation", "Bussiness Premium", 12, 18)))
    acme = MeantName("customer", "Acme Corporation", company_id=world.acme.pk)
    with pytest.raises(DomainError) as refused:
        confirm_names(actor=FINANCE, vendor_id=world.ingram.pk, names=[acme, MeantName("product", "x")], now=NOW)
    assert (refused.value.code, refused.value.field) == ("required", "names[1].product_id")
    assert aliases() == []
    with pytest.raises(DomainError, match="Choose the names"):
        confirm_names(actor=FINANCE, vendor_id=world.ingram.pk, names=[], now=NOW)
    with pytest.raises(DomainError, match="role"):
        confirm_names(actor=VIEWER, vendor_id=world.ingram.pk, names=[acme], now=NOW)

    named = MeantName("product", "Bussiness  PREMIUM", product_id=product.pk)
    made = confirm_names(actor=FINANCE, vendor_id=world.ingram.pk, names=[acme, named, named], now=NOW)
    assert [alias.text for alias in made] == ["acme corporation", "bussiness premium"]
    assert [row[0] for row in differences()] == ["under_billed"]
    assert VendorStatementLine.objects.get().company == world.acme
