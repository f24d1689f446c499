"""The exported ledger is accepted by two other people's programs, which also find a cent that was planted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.adapters.checkers import (
    bean_check,
    bean_query,
    beancount_balances,
    export_both,
    hledger_balances,
    hledger_check,
    hledger_descriptions,
)
from tests.adapters.ledgers import CHART, entry, leased_server, trial_balance, with_entries

from counterfoil.adapters import beancount, hledger
from counterfoil.adapters.plain_text import account_names
from counterfoil.core.books import (
    AccountType,
    BalanceAssertion,
    ExportAccount,
    ExportEntry,
    ExportLine,
    LedgerExport,
)
from counterfoil.core.errors import DomainError

NASTY = (
    'The "Pro" server',
    "C:\\temp\\new",
    "ends in a backslash \\",
    "first line\nsecond line\r\n2026-01-01 * third",
    "a; b ;; date:2026-13-45",
    "[2026-99-99] [=1/2]",
    "tab\there  two spaces",
    "payee | note",
    "(code) * ! @ 5 = 7 {1} #tag ^link ~ 0",
    "Müller & Söhne — 株式会社 🚀",
    "nul\x00 bell\x07 nel\x85 ls\u2028 ps\u2029 bom\ufeff",
    "date:foo, date2: bar",
    "",
)


class TestLeasedServer:
    def test_both_programs_accept_it_and_agree_on_every_balance(self, tmp_path: Path) -> None:
        export = leased_server()
        bean, journal = export_both(export, tmp_path)
        assert bean_check(bean).said == ""
        assert hledger_check(journal).accepted, hledger_check(journal).said
        expected = trial_balance(export, account_names(CHART))
        assert expected["Income:Sales:4000-HaaS-revenue"] == Decimal(-5400)
        assert expected["Assets:Bank:1000-Checking"] == Decimal(2124)  # 36 x 159 - 3,600
        assert beancount_balances(bean) == expected
        assert hledger_balances(journal) == expected

    def test_the_same_books_give_the_same_text(self) -> None:
        assert list(beancount.export_lines(leased_server())) == list(beancount.export_lines(leased_server()))
        assert list(hledger.export_lines(leased_server())) == list(hledger.export_lines(leased_server()))

    def test_entries_are_streamed(self) -> None:
        """The first entry is written before the second is asked for."""
        asked = []

        def entries() -> object:
            for one in leased_server().entries:
                asked.append(one.number)
                yield one

        export = replace(leased_server(), entries=entries())  # type: ignore[arg-type]
        for exporter in (beancount.export_lines, hledger.export_lines):
            asked.clear()
            next(line for line in exporter(export) if "Server received" in line)
            assert asked == ["R-1"]
            export = replace(leased_server(), entries=entries())  # type: ignore[arg-type]

    def test_each_entry_names_its_source(self, tmp_path: Path) -> None:
        bean, _ = export_both(leased_server(), tmp_path)
        rows = bean_query(
            bean,
            "SELECT entry_meta('entry') AS entry, entry_meta('source') AS source, entry_meta('step') AS step"
            " WHERE account ~ '1510'",
        )
        assert [{k: v.strip() for k, v in row.items()} for row in rows] == [
            {"entry": "JE-1", "source": "document:JE-1", "step": "post"}
        ]


class TestPlantedCent:
    """A checker that accepts these would be worth nothing."""

    @pytest.mark.parametrize("cent", ["0.01", "-0.01"])
    def test_in_an_entry(self, tmp_path: Path, cent: str) -> None:
        entries = list(leased_server().entries)
        bad = entries[50]
        first = replace(bad.lines[0], debit=bad.lines[0].debit + Decimal(cent))
        entries[50] = replace(bad, lines=(first, *bad.lines[1:]))
        bean, journal = export_both(replace(with_entries(leased_server(), entries), assertions=()), tmp_path)
        assert not bean_check(bean).accepted
        assert "does not balance" in bean_check(bean).said
        assert not hledger_check(journal).accepted
        assert "balance" in hledger_check(journal).said

    @pytest.mark.parametrize("cent", ["0.01", "-0.01"])
    @pytest.mark.parametrize("code", ["1100", "1300", "1510", "1511"])
    def test_in_what_a_sub_ledger_says(self, tmp_path: Path, code: str, cent: str) -> None:
        """Beancount alone would let a cent pass: each balance is written with ``~ 0``."""
        export = leased_server()
        wrong = next(a for a in export.assertions if a.account_code == code and a.date == date(2027, 12, 31))
        others = tuple(a for a in export.assertions if a is not wrong)
        planted = replace(wrong, balance=wrong.balance + Decimal(cent))
        bean, journal = export_both(replace(export, assertions=(*others, planted)), tmp_path)
        assert "Balance failed" in bean_check(bean).said
        assert not hledger_check(journal).accepted

    def test_either_safeguard_alone_finds_it_and_without_both_it_would_pass(self, tmp_path: Path) -> None:
        """Beancount forgives a cent per balance unless told twice not to; if it stops forgiving, we may simplify."""
        export = leased_server()
        wrong = replace(export.assertions[-1], balance=Decimal("0.01"))
        bean, _ = export_both(replace(export, assertions=(wrong,)), tmp_path)
        option, tolerance = 'option "tolerance_multiplier" "0"\n', " ~ 0 USD"
        text = bean.read_text()
        assert text.count(option) == text.count(tolerance) == 1
        for changed, accepted in (
            (text, False),
            (text.replace(option, ""), False),
            (text.replace(tolerance, " USD"), False),
            (text.replace(option, "").replace(tolerance, " USD"), True),
        ):
            bean.write_text(changed)
            assert bean_check(bean).accepted is accepted

    def test_an_assertion_is_about_the_end_of_its_day(self, tmp_path: Path) -> None:
        """What is posted on the day counts, what is posted the day after does not."""
        day = date(2026, 1, 31)
        entries = (
            entry("A", day, "on the day", ("1100", "10.00"), ("4000", "-10.00")),
            entry("B", day + timedelta(days=1), "the day after", ("1100", "5.00"), ("4000", "-5.00")),
        )
        for balance, right in (("10.00", True), ("0.00", False), ("15.00", False)):
            claims = (BalanceAssertion("1100", day, Decimal(balance), "receivables"),)
            bean, journal = export_both(LedgerExport("MSP", "USD", CHART, entries, claims), tmp_path)
            assert bean_check(bean).accepted is right
            assert hledger_check(journal).accepted is right

    def test_an_account_that_was_never_opened(self, tmp_path: Path) -> None:
        bean, journal = export_both(leased_server(), tmp_path)
        for path, opening, verdict in ((bean, "open", bean_check), (journal, "account", hledger_check)):
            lines = path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if not (f"{opening} Assets" in line and "1300" in line)]
            assert len(kept) == len(lines) - 1
            without = [line for line in kept if not line.startswith('  code: "1300"')]
            path.write_text("".join(without))
            assert not verdict(path).accepted


class TestNames:
    def test_two_accounts_that_read_the_same_stay_two(self) -> None:
        accounts = (
            ExportAccount("1-0", "Bank", AccountType.BANK),
            ExportAccount("1 0", "Bank", AccountType.BANK),
            ExportAccount("1", "0 Bank", AccountType.BANK),
            ExportAccount("株", "", AccountType.BANK),
            ExportAccount("式", "", AccountType.BANK),
        )
        names = account_names(accounts)
        assert len(set(names.values())) == len(accounts)
        assert account_names(reversed(accounts)) == names

    def test_a_chart_with_one_code_twice_is_refused(self) -> None:
        with pytest.raises(DomainError) as refusal:
            account_names((CHART[0], CHART[0]))
        assert refusal.value.code == "duplicate"

    def test_nasty_texts_come_through(self, tmp_path: Path) -> None:
        """Beancount keeps the text itself; hledger keeps the amounts whatever the text says."""
        entries = tuple(
            replace(
                entry(f"N-{n}", date(2026, 3, 1) + timedelta(days=n), memo, ("1000", "1.00"), ("3000", "-1.00")),
                company_name=memo,
                source_label=memo,
                lines=(
                    ExportLine("1000", debit=Decimal("1.00"), memo=memo, company_name=memo),
                    ExportLine("3000", credit=Decimal("1.00"), memo=memo),
                ),
            )
            for n, memo in enumerate(NASTY)
        )
        chart = CHART + tuple(ExportAccount(f"9{n}", text, AccountType.EXPENSE) for n, text in enumerate(NASTY))
        export = LedgerExport('A "quoted" \\ company; {x}', "USD", chart, entries, ())
        bean, journal = export_both(export, tmp_path)
        assert bean_check(bean).said == ""
        assert hledger_check(journal).accepted, hledger_check(journal).said
        assert beancount_balances(bean) == hledger_balances(journal) == trial_balance(export, account_names(chart))
        rows = bean_query(bean, "SELECT date, narration WHERE account ~ ':1000-' ORDER BY date")
        plain = [n for n, text in enumerate(NASTY) if text.isprintable()]
        assert [rows[n]["narration"].strip() for n in plain] == [NASTY[n].strip() for n in plain]
        descriptions = hledger_descriptions(journal, ":1000-")
        assert descriptions[4] == "a, b ,, date:2026-13-45 | a, b ,, date:2026-13-45"
        assert descriptions[7] == "payee / note | payee | note"


class TestRefusals:
    @pytest.mark.parametrize("exporter", [beancount.export_lines, hledger.export_lines])
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"entries": (entry("X", date(2026, 1, 1), "", ("1000", "0.005"), ("3000", "-0.005")),)}, "invalid"),
            ({"entries": (entry("X", date(2026, 1, 1), "", ("1000", "Infinity"), ("3000", "0")),)}, "invalid"),
            ({"entries": (entry("X", date(2026, 1, 1), "", ("7777", "1"), ("3000", "-1")),)}, "not_found"),
            ({"assertions": (BalanceAssertion("7777", date(2026, 1, 1), Decimal(0), "stock"),)}, "not_found"),
            ({"currency": "usd"}, "invalid"),
        ],
    )
    def test_are_clear(self, exporter: object, change: dict[str, object], code: str) -> None:
        with pytest.raises(DomainError) as refusal:
            list(exporter(replace(leased_server(), **change)))  # type: ignore[operator,arg-type]
        assert refusal.value.code == code
        assert refusal.value.hint


texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.sampled_from(NASTY),
    st.tuples(st.sampled_from(NASTY), st.sampled_from(NASTY)).map("".join),
)
cents = st.integers(-10_000_000_000, 10_000_000_000).map(lambda n: Decimal(n).scaleb(-2))


@st.composite
def ledgers(draw: st.DrawFn) -> LedgerExport:
    codes = draw(st.lists(st.text(min_size=1, max_size=6), min_size=3, max_size=8, unique=True))
    types = st.sampled_from(AccountType)
    accounts = tuple(ExportAccount(code, draw(texts), draw(types), control=draw(st.booleans())) for code in codes)
    entries = tuple(draw(entries_on(codes)) for _ in range(draw(st.integers(20, 40))))
    last = max(one.date for one in entries)
    totals = {code: Decimal(0) for code in codes}
    for line in (line for one in entries for line in one.lines):
        totals[line.account_code] += line.signed
    assertions = tuple(BalanceAssertion(code, last, total, draw(texts)) for code, total in totals.items())
    return LedgerExport(draw(texts), "USD", accounts, entries, assertions)


@st.composite
def entries_on(draw: st.DrawFn, codes: list[str]) -> ExportEntry:
    amounts = draw(st.lists(cents, min_size=1, max_size=4))
    amounts.append(-sum(amounts, Decimal(0)))
    lines = tuple(
        ExportLine(draw(st.sampled_from(codes)), max(n, Decimal(0)), max(-n, Decimal(0)), draw(texts), draw(texts))
        for n in amounts
    )
    day = draw(st.dates(date(1999, 12, 31), date(2060, 12, 31)))
    return ExportEntry(*(draw(texts) for _ in range(1)), day, *(draw(texts) for _ in range(6)), lines)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(export=ledgers())
def test_any_ledger_survives_both_checkers(tmp_path_factory: pytest.TempPathFactory, export: LedgerExport) -> None:
    bean, journal = export_both(export, tmp_path_factory.mktemp("ledger"))
    assert bean_check(bean).said == ""
    assert hledger_check(journal).accepted, hledger_check(journal).said
    expected = trial_balance(export, account_names(export.accounts))
    assert beancount_balances(bean) == expected
    assert hledger_balances(journal) == expected
