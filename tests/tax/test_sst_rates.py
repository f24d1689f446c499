"""Rate files of the Streamlined Sales Tax states. The jurisdictions and rates here are made up."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from tests.world import FINANCE, SALES
from typer.testing import CliRunner

from counterfoil.cli import app
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.platform.identity import SYSTEM, Role
from counterfoil.platform.users import create_user
from counterfoil.tax import queries
from counterfoil.tax.commands import TaxLevelInput, create_tax_code
from counterfoil.tax.imports import import_sst_rates, preview_sst_rates
from counterfoil.tax.models import LevelRateType, TaxCode, TaxLevel

pytestmark = pytest.mark.django_db
APR_1 = date(2026, 4, 1)

FIRST_QUARTER = b"""\
05,45,05,0.065,0.065,0.00125,0.00125,20250101,29991231
05,00,143,0.0125,0.01,0.0125,0.01,20250101,29991231
05,01,23290,0.02,0.02,0.02,0.02,20250701,29991231
05,63,90001,0.0025,0.0025,0.0025,0.0025,20250101,29991231
"""
SECOND_QUARTER = b"""\
05,45,05,0.065,0.065,0.00125,0.00125,20250101,29991231\r
05,00,143,0.0125,0.01,0.0125,0.01,20250101,20260331\r
05,00,143,0.015,0.0125,0.015,0.0125,20260401,29991231\r
05,01,23290,0.02,0.02,0.02,0.02,20250701,20260331\r
"""


@pytest.fixture
def code() -> TaxCode:
    levels = [
        TaxLevelInput("Arkansas", D("0.06"), "AR DFA", jurisdiction="05-45-05"),
        TaxLevelInput("County", D("0.0125"), "AR DFA", jurisdiction="05-00-143", taxable_max=D("2500")),
        TaxLevelInput("City", D("0.02"), "AR DFA", jurisdiction="05-01-23290"),
        TaxLevelInput("Tyre fee", D("2"), "AR DFA", LevelRateType.AMOUNT),
    ]
    return create_tax_code(actor=FINANCE, identifier="AR", levels=levels)


def rates(code: TaxCode, on: date) -> list[str]:
    return [f"{level.name} {level.rate:f}".rstrip("0") for level in queries.tax_levels(code.pk, on=on)[:3]]


def load(content: bytes, **options: bool) -> tuple[int, int]:
    result = import_sst_rates(actor=FINANCE, content=content, state="AR", filename="ARR2026Q1.csv", **options)
    return result.updated, result.unchanged


def test_a_preview_says_what_would_change_and_writes_nothing(code: TaxCode) -> None:
    preview = preview_sst_rates(content=FIRST_QUARTER, state="ar")
    assert [(row.row, row.deed, row.identifier, row.name, row.changes) for row in preview.rows] == [
        (1, "update", "AR", "Arkansas (05-45-05)", "6.5 % from 1 Jan 2025"),
        (2, "unchanged", "AR", "County (05-00-143)", ""),
        (3, "unchanged", "AR", "City (05-01-23290)", ""),
    ]
    assert preview.also == ("Left out, as no tax code names them: 1 of the file's jurisdictions.",)
    assert rates(code, date(2026, 1, 1)) == ["Arkansas 0.06", "County 0.0125", "City 0.02"]


def test_rates_change_from_their_day_and_the_old_ones_stay(code: TaxCode) -> None:
    assert load(FIRST_QUARTER) == (1, 2)
    assert rates(code, date(2024, 12, 31)) == ["Arkansas 0.06", "County 0.0125", "City 0.02"]
    assert rates(code, date(2025, 1, 1)) == ["Arkansas 0.065", "County 0.0125", "City 0.02"]
    assert trail_of(code)[0].sentence == "changed the tax code AR: Arkansas 6.5 % from 1 Jan 2025, by import"

    assert load(SECOND_QUARTER) == (2, 1)
    assert rates(code, date(2026, 3, 31)) == ["Arkansas 0.065", "County 0.0125", "City 0.02"]
    assert rates(code, APR_1)[:2] == ["Arkansas 0.065", "County 0.015"]
    assert [x.name for x in queries.tax_levels(code.pk, on=APR_1)] == ["Arkansas", "County", "Tyre fee"]
    county = queries.tax_levels(code.pk, on=APR_1)[1]
    assert (county.taxable_max, county.agency) == (D("2500"), "AR DFA")
    assert [x.sentence for x in trail_of(code)[:2]] == [
        "changed the tax code AR: City none from 1 Apr 2026, by import",
        "changed the tax code AR: County 1.5 % from 1 Apr 2026, by import",
    ]


def test_the_same_file_twice_changes_nothing(code: TaxCode) -> None:
    load(SECOND_QUARTER)
    rows = list(TaxLevel.objects.order_by("pk").values())
    assert load(SECOND_QUARTER) == (0, 3)
    assert list(TaxLevel.objects.order_by("pk").values()) == rows


def test_sales_from_another_state_have_their_own_rates(code: TaxCode) -> None:
    load(FIRST_QUARTER, interstate=True)
    assert rates(code, date(2026, 1, 1)) == ["Arkansas 0.065", "County 0.01", "City 0.02"]


@pytest.mark.parametrize(
    ("content", "column", "said"),
    [
        (b"26,45,26,0.06,0.06,0,0,20250101,29991231", "state", "The row is of MI, not of AR."),
        (b"99,45,26,0.06,0.06,0,0,20250101,29991231", "state", "“99” is not the code"),
        (b"05,45,05,6.5,0.06,0,0,20250101,29991231", "general_intrastate", "6.5 does not lie"),
        (b"05,45,05,abc,0.06,0,0,20250101,29991231", "general_intrastate", "“abc” is not a number."),
        (b"05,45,05,0.06,0.06,0,0,20251301,29991231", "begin", "“20251301” is not a day."),
        (b"05,45,05,0.06,0.06,0,0,20250101,20241231", "end", "The rate ends on 31 Dec 2024"),
        (b"05,45,05,0.06,0.06", "", "The row has 5 cells"),
        (FIRST_QUARTER + b"05,45,05,0.07,0.07,0,0,20260101,29991231", "begin", "another rate on that day, in row 1"),
    ],
)
def test_rows_that_are_wrong_are_named_and_none_is_taken(code: TaxCode, content: bytes, column: str, said: str) -> None:
    before = list(TaxLevel.objects.order_by("pk").values())
    error = preview_sst_rates(content=content, state="AR").errors[0]
    assert (error.column, error.row) == (column, content.count(b"\n") + 1)
    assert said in error.message
    with pytest.raises(DomainError) as refused:
        load(content)
    assert refused.value.code == "import_rows_invalid"
    assert list(TaxLevel.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("content", "code_of_refusal"), [(b"", "import_rows_invalid"), (b"\xff\xfe\x00", "import_rows_invalid")]
)
def test_files_that_are_none_are_refused(content: bytes, code_of_refusal: str) -> None:
    with pytest.raises(DomainError) as refused:
        preview_sst_rates(content=content)
    assert refused.value.code == code_of_refusal


def test_the_state_publishes_such_files_and_rates_are_the_accountants() -> None:
    with pytest.raises(DomainError) as refused:
        preview_sst_rates(content=FIRST_QUARTER, state="CA")
    assert refused.value.field == "state"
    with pytest.raises(DomainError) as refused:
        import_sst_rates(actor=SALES, content=FIRST_QUARTER)
    assert refused.value.code == "role_required"


def test_the_command_line_previews_and_imports(code: TaxCode, tmp_path: Path) -> None:
    create_user(
        actor=SYSTEM,
        email="olivia@example.com",
        name="Olivia",
        password="correct horse battery staple",
        roles=[Role.OWNER],
    )
    file = tmp_path / "ARR2026Q2.csv"
    file.write_bytes(SECOND_QUARTER)

    def run(*options: str) -> Any:
        done = CliRunner().invoke(app, ["import", "sst-rates", str(file), "--state", "AR", "--json", *options])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert [row["deed"] for row in run("--preview")["rows"]] == ["update", "update", "update"]
    assert rates(code, APR_1)[0] == "Arkansas 0.06"
    assert run()["updated"] == 3
    assert rates(code, APR_1)[0] == "Arkansas 0.065"
    assert run()["unchanged"] == 3
