"""Benchmarks lay their records down by hand; today's guards take them, and what is measured still works."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def beside_one_another(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """They import one another by their names."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and BENCHMARKS in Path(str(sys.modules[name].__file__)).parents:
            del sys.modules[name]


def test_batches_are_transferred(capsys: pytest.CaptureFixture[str]) -> None:
    import bench_transfer  # type: ignore[import-not-found]

    bench_transfer.prepare()
    alternative = bench_transfer.one_by_one(1)
    assert alternative > 0
    bench_transfer.together(2, alternative)
    figures = json.loads(capsys.readouterr().out)
    assert figures["invoices"] == 2
    assert figures["per_second"] > 0


def test_a_long_quote_is_priced_anew() -> None:
    import quoting  # type: ignore[import-not-found]

    version_id = quoting.prepare(quoting.LINES)
    quoting.pure(version_id)()
    quoting.price(version_id)
    quoting.with_discount(version_id, Decimal(5), quoting.recalculate_all)
    quoting.with_discount(version_id, Decimal(6), quoting.save_each)
    quoting.change_a_line(version_id, Decimal(3))
    quoting.show(version_id)
