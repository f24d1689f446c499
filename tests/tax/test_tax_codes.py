"""Tax codes and their levels."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.world import FINANCE, SALES

from counterfoil.core.errors import DomainError
from counterfoil.core.salestax import TaxLevel
from counterfoil.platform.audit import trail_of
from counterfoil.tax import queries
from counterfoil.tax.commands import TaxLevelInput, create_tax_code, update_tax_code

pytestmark = pytest.mark.django_db

NEVADA = [
    TaxLevelInput("State", Decimal("0.04"), "NV Dept of Taxation"),
    TaxLevelInput("County", Decimal("0.0225"), "Clark County"),
    TaxLevelInput("City", Decimal("0.01"), "City of Henderson"),
]
STATE = TaxLevel("State", Decimal("0.04"), 1, agency="NV Dept of Taxation")


def test_levels_are_what_the_core_reckons_with() -> None:
    code = create_tax_code(actor=FINANCE, identifier="NV", description="Henderson", levels=NEVADA)
    assert queries.tax_levels(code.pk) == (
        TaxLevel("State", Decimal("0.04"), 1, agency="NV Dept of Taxation"),
        TaxLevel("County", Decimal("0.0225"), 2, agency="Clark County"),
        TaxLevel("City", Decimal("0.01"), 3, agency="City of Henderson"),
    )
    assert queries.tax_levels(None) == ()
    assert queries.tax_codes(search="hender").get().combined_rate == Decimal("0.0725")
    assert trail_of(code)[0].sentence == "added the tax code NV: State 4 % + County 2.25 % + City 1 %"


def test_levels_are_replaced_together() -> None:
    code = create_tax_code(actor=FINANCE, identifier="NV", levels=NEVADA)
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=NEVADA[:1], description="State only")
    assert queries.tax_levels(code.pk) == (STATE,)
    assert trail_of(code)[0].sentence == (
        "changed the tax code NV: levels now State 4 %, description from none to “State only”"
    )
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, active=False)
    assert queries.tax_levels(code.pk) == (STATE,)
    assert not queries.tax_codes(active=True).exists()


@pytest.mark.parametrize("rate", ["6", "1", "-0.01"])
def test_six_per_cent_is_not_written_as_six(rate: str) -> None:
    with pytest.raises(DomainError) as refused:
        create_tax_code(actor=FINANCE, identifier="MI", levels=[TaxLevelInput("Michigan", Decimal(rate), "MI")])
    assert (refused.value.field, refused.value.hint) == ("levels[0].rate", "6 % is written as 0.06.")
    assert not queries.tax_codes().exists()


def test_a_level_names_whom_it_is_paid_to() -> None:
    with pytest.raises(DomainError) as refused:
        create_tax_code(actor=FINANCE, identifier="MI", levels=[TaxLevelInput("Michigan", Decimal("0.06"), " ")])
    assert (refused.value.code, refused.value.field) == ("required", "levels[0].agency")


def test_identifiers_are_unique_and_tax_is_the_accountants() -> None:
    create_tax_code(actor=FINANCE, identifier="MI", levels=[])
    for actor, code in ((FINANCE, "duplicate"), (SALES, "role_required")):
        with pytest.raises(DomainError) as refused:
            create_tax_code(actor=actor, identifier="MI", levels=[])
        assert refused.value.code == code
