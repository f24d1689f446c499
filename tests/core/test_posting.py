from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.posting import (
    BilledLine,
    Charge,
    GlRole,
    InvoicedLine,
    JournalDraft,
    Key,
    PostingLine,
    ReceivedLine,
    TaxAmount,
    post_capitalisation_from_cogs,
    post_customer_invoice,
    post_customer_payment,
    post_depreciation,
    post_disposal,
    post_lease_capitalisation,
    post_receipt,
    post_tax_remittance,
    post_vendor_bill,
    post_vendor_payment,
    reverse,
)

JAN = date(2026, 1, 15)
money = st.integers(-(10**9), 10**9).map(lambda n: D(n).scaleb(-2))


def accounts(role: GlRole, key: Key) -> str:
    """A chart in which each role has one account, but tax has one per level."""
    return f"tax:{key}" if role is GlRole.SALES_TAX_PAYABLE else role.value


def table(draft: JournalDraft | None) -> list[str]:
    assert draft is not None
    return [
        f"Dr {line.account} {line.debit:,}" if line.debit else f"Cr {line.account} {line.credit:,}"
        for line in draft.lines
    ]


def receipt(is_inventory: bool) -> JournalDraft | None:
    line = ReceivedLine(key=1, item_key="SRV", cost=D("3600.00"), is_inventory=is_inventory)
    return post_receipt(accounts=accounts, on=JAN, source_id=7, vendor="dell", lines=[line], memo="Receipt 7")


def zero_price_invoice(is_inventory: bool) -> JournalDraft | None:
    line = InvoicedLine(
        key=1, role=GlRole.PRODUCT_REVENUE, amount=D(0), is_inventory=is_inventory, cost=D("3600.00"), item_key="SRV"
    )
    return post_customer_invoice(
        accounts=accounts, on=JAN, source_id=8, customer="internal", lines=[line], memo="Invoice 8"
    )


def test_a_non_inventory_receipt_is_expensed_at_once() -> None:
    assert table(receipt(is_inventory=False)) == ["Dr cogs 3,600.00", "Cr grni 3,600.00"]


def test_an_inventory_receipt_goes_into_stock() -> None:
    assert table(receipt(is_inventory=True)) == ["Dr inventory 3,600.00", "Cr grni 3,600.00"]


def test_the_zero_price_invoice_of_a_non_inventory_server_posts_nothing() -> None:
    assert zero_price_invoice(is_inventory=False) is None


def test_the_zero_price_invoice_of_an_inventory_server_moves_it_to_cogs() -> None:
    assert table(zero_price_invoice(is_inventory=True)) == ["Dr cogs 3,600.00", "Cr inventory 3,600.00"]


def test_inventory_bounces_through_cogs_to_fixed_assets_and_nothing_stays_behind() -> None:
    capitalised = post_capitalisation_from_cogs(
        accounts=accounts, on=JAN, source_id=9, item="SRV", asset="haas", cost=D("3600.00"), memo="Capitalise server"
    )
    assert table(capitalised) == ["Dr fixed_asset 3,600.00", "Cr cogs 3,600.00"]
    left: dict[str, D] = {}
    for draft in (receipt(is_inventory=True), zero_price_invoice(is_inventory=True), capitalised):
        assert draft is not None
        for account, net in draft.by_account().items():
            left[account] = left.get(account, D(0)) + net
    assert left == {"inventory": 0, "grni": D("-3600.00"), "cogs": 0, "fixed_asset": D("3600.00")}


def test_direct_capitalisation_needs_no_cogs() -> None:
    draft = post_lease_capitalisation(
        accounts=accounts, on=JAN, source_id=9, item="SRV", asset="haas", cost=D("3600.00"), memo="Lease server"
    )
    assert table(draft) == ["Dr fixed_asset 3,600.00", "Cr inventory 3,600.00"]


def bill(billed: str, *charges: Charge) -> JournalDraft | None:
    line = BilledLine(key=1, item_key="SRV", received_cost=D("3600.00"), billed=D(billed))
    return post_vendor_bill(
        accounts=accounts, on=JAN, source_id=3, vendor="dell", lines=[line], charges=charges, memo="Bill 3"
    )


@pytest.mark.parametrize(
    ("billed", "lines"),
    [
        ("3600.00", ["Dr grni 3,600.00", "Cr accounts_payable 3,600.00"]),
        ("3650.00", ["Dr grni 3,600.00", "Dr purchase_price_variance 50.00", "Cr accounts_payable 3,650.00"]),
        ("3590.50", ["Dr grni 3,600.00", "Cr purchase_price_variance 9.50", "Cr accounts_payable 3,590.50"]),
    ],
)
def test_a_bill_clears_what_was_received_and_the_price_difference_shows(billed: str, lines: list[str]) -> None:
    assert table(bill(billed)) == lines


def test_freight_and_tax_on_a_bill() -> None:
    freight, tax = Charge(GlRole.FREIGHT_IN, D("20.00")), Charge(GlRole.PURCHASE_TAX, D("216.00"))
    assert table(bill("3600.00", freight, tax)) == [
        "Dr grni 3,600.00",
        "Dr freight_in 20.00",
        "Dr purchase_tax 216.00",
        "Cr accounts_payable 3,836.00",
    ]


def agreement_invoice(amount: str, tax: str, role: GlRole = GlRole.AGREEMENT_REVENUE) -> JournalDraft | None:
    return post_customer_invoice(
        accounts=accounts,
        on=JAN,
        source_id=11,
        customer="acme",
        lines=[InvoicedLine(key="a1", role=role, amount=D(amount))],
        taxes=[TaxAmount("state", D(tax)), TaxAmount("city", D(0))],
        memo="Invoice 11",
    )


def test_stock_leaves_the_accounts_it_was_received_to_and_the_rest_the_mapped_one() -> None:
    line = InvoicedLine(
        key=1,
        role=GlRole.PRODUCT_REVENUE,
        amount=D(0),
        is_inventory=True,
        cost=D("100.00"),
        item_key="SRV",
        stock=(("1310", D("33.33")), ("1320", D("66.66"))),
    )
    draft = post_customer_invoice(accounts=accounts, on=JAN, source_id=8, customer="acme", lines=[line], memo="x")
    assert table(draft) == ["Dr cogs 100.00", "Cr 1310 33.33", "Cr 1320 66.66", "Cr inventory 0.01"]


def test_a_months_agreement_invoice_with_six_percent_tax() -> None:
    assert table(agreement_invoice("150.00", "9.00")) == [
        "Dr accounts_receivable 159.00",
        "Cr agreement_revenue 150.00",
        "Cr tax:state 9.00",
    ]


def test_a_credit_memo_is_an_invoice_the_other_way_round() -> None:
    assert table(agreement_invoice("-150.00", "-9.00")) == [
        "Cr accounts_receivable 159.00",
        "Dr agreement_revenue 150.00",
        "Dr tax:state 9.00",
    ]


def test_a_prepaid_block_is_owed_before_it_is_earned() -> None:
    """WE-5: 15,000 and 6 % tax."""
    assert table(agreement_invoice("15000.00", "900.00", GlRole.DEFERRED_REVENUE)) == [
        "Dr accounts_receivable 15,900.00",
        "Cr deferred_revenue 15,000.00",
        "Cr tax:state 900.00",
    ]


def test_lines_know_their_company_document_line_and_product() -> None:
    draft = zero_price_invoice(is_inventory=True)
    assert draft is not None
    assert {(x.company_key, x.source_line_key, x.item_key) for x in draft.lines} == {("internal", 1, "SRV")}
    assert [line.role for line in draft.lines] == [GlRole.COGS, GlRole.INVENTORY]
    assert (draft.source_type, draft.source_id, draft.step, draft.total) == ("invoice", 8, "invoice", D("3600.00"))


def test_payments_tax_remittance_and_depreciation() -> None:
    from_customer = post_customer_payment(
        accounts=accounts, on=JAN, source_id=1, customer="acme", amount=D("159.00"), memo="Payment"
    )
    to_vendor = post_vendor_payment(
        accounts=accounts, on=JAN, source_id=1, vendor="dell", amount=D("3600.00"), memo="Payment"
    )
    taxes = [TaxAmount("state", D("6.00")), TaxAmount("city", D("3.00"))]
    remitted = post_tax_remittance(accounts=accounts, on=JAN, source_id=1, taxes=taxes, memo="Sales tax Jan 2026")
    depreciation = post_depreciation(
        accounts=accounts, on=date(2026, 1, 31), source_id=9, asset="haas", amount=D("100.00"), memo="Depreciation"
    )
    assert table(from_customer) == ["Dr bank 159.00", "Cr accounts_receivable 159.00"]
    assert table(to_vendor) == ["Dr accounts_payable 3,600.00", "Cr bank 3,600.00"]
    assert table(remitted) == ["Dr tax:state 6.00", "Dr tax:city 3.00", "Cr bank 9.00"]
    assert table(depreciation) == ["Dr depreciation_expense 100.00", "Cr accumulated_depreciation 100.00"]
    assert depreciation is not None
    assert depreciation.step == "depreciation:2026-01"


@pytest.mark.parametrize(
    ("accumulated", "proceeds", "lines"),
    [
        ("3600.00", "0", ["Dr accumulated_depreciation 3,600.00", "Cr fixed_asset 3,600.00"]),
        (
            "2400.00",
            "1000.00",
            [
                "Dr bank 1,000.00",
                "Dr accumulated_depreciation 2,400.00",
                "Cr fixed_asset 3,600.00",
                "Dr gain_loss_on_disposal 200.00",
            ],
        ),
        (
            "3600.00",
            "250.00",
            [
                "Dr bank 250.00",
                "Dr accumulated_depreciation 3,600.00",
                "Cr fixed_asset 3,600.00",
                "Cr gain_loss_on_disposal 250.00",
            ],
        ),
    ],
)
def test_a_disposal_shows_its_gain_or_loss(accumulated: str, proceeds: str, lines: list[str]) -> None:
    draft = post_disposal(
        accounts=accounts,
        on=JAN,
        source_id=9,
        asset="haas",
        cost=D("3600.00"),
        accumulated=D(accumulated),
        proceeds=D(proceeds),
        memo="Server sold",
    )
    assert table(draft) == lines


def test_a_reversal_undoes_every_line_and_names_what_it_reverses() -> None:
    original = agreement_invoice("150.00", "9.00")
    assert original is not None
    undone = reverse(original, date(2026, 2, 1))
    assert undone.by_account() == {account: -net for account, net in original.by_account().items()}
    assert (undone.step, undone.date) == ("invoice:reversal", date(2026, 2, 1))
    assert "Invoice 11" in undone.memo
    assert [line.company_key for line in undone.lines] == ["acme"] * 3


def draft_of(*lines: PostingLine) -> JournalDraft:
    return JournalDraft(JAN, "manual", 1, "post", "Adjustment", lines)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), "unbalanced"),
        ((PostingLine("1", D(0), D(0)),), "unbalanced"),
        ((PostingLine("1", D("5.00")), PostingLine("2", credit=D("4.99"))), "unbalanced"),
        ((PostingLine("1", D("-5.00")), PostingLine("2", credit=D("-5.00"))), "unbalanced"),
        ((PostingLine("1", D("5.00"), D("5.00")),), "unbalanced"),
        ((PostingLine("1", D("5.005")), PostingLine("2", credit=D("5.005"))), "invalid"),
    ],
)
def test_an_entry_that_is_not_one_is_refused(lines: tuple[PostingLine, ...], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        draft_of(*lines)
    assert refusal.value.code == code


def test_zero_lines_are_dropped_and_equal_accounts_stay_apart() -> None:
    draft = draft_of(
        PostingLine("1", D("2.00")), PostingLine("1", D("3.00")), PostingLine("9"), PostingLine("2", credit=D("5.00"))
    )
    assert [line.account for line in draft.lines] == ["1", "1", "2"]


def test_a_missing_mapping_stops_the_posting() -> None:
    def unmapped(role: GlRole, key: Key) -> str:
        raise DomainError("gl_mapping_missing", f"No account for {role} of {key}.")

    with pytest.raises(DomainError) as refusal:
        post_receipt(
            accounts=unmapped, on=JAN, source_id=1, vendor=1, lines=[ReceivedLine(1, 1, D("1.00"), True)], memo="x"
        )
    assert refusal.value.code == "gl_mapping_missing"


@given(lines=st.lists(st.tuples(money, money, st.booleans()), max_size=6), taxes=st.lists(money, max_size=3))
def test_any_invoice_balances(lines: list[tuple[D, D, bool]], taxes: list[D]) -> None:
    invoiced = [
        InvoicedLine(key=i, role=GlRole.PRODUCT_REVENUE, amount=amount, cost=cost, is_inventory=stocked)
        for i, (amount, cost, stocked) in enumerate(lines)
    ]
    amounts = [TaxAmount(i, tax) for i, tax in enumerate(taxes)]
    draft = post_customer_invoice(
        accounts=accounts, on=JAN, source_id=1, customer=1, lines=invoiced, taxes=amounts, memo="x"
    )
    if draft is None:
        assert not any(amount for amount, _, _ in lines)
        assert not any(taxes)
    else:
        balances = draft.by_account()
        assert sum(balances.values()) == 0
        assert balances.get("accounts_receivable", D(0)) == sum(a for a, _, _ in lines) + sum(taxes)
        assert balances.get("inventory", D(0)) == -sum(cost for _, cost, stocked in lines if stocked)


@given(lines=st.lists(st.tuples(money, money), min_size=1, max_size=6), freight=money)
def test_any_bill_balances_and_clears_what_was_received(lines: list[tuple[D, D]], freight: D) -> None:
    billed = [BilledLine(i, i, received, cost) for i, (received, cost) in enumerate(lines)]
    draft = post_vendor_bill(
        accounts=accounts,
        on=JAN,
        source_id=1,
        vendor=1,
        lines=billed,
        charges=[Charge(GlRole.FREIGHT_IN, freight)],
        memo="x",
    )
    if draft is not None:
        balances = draft.by_account()
        assert sum(balances.values()) == 0
        assert balances.get("grni", D(0)) == sum(received for received, _ in lines)


def test_a_block_is_deferred_when_billed_and_earned_as_it_is_used() -> None:
    """WE-5: 15,000.00 at 6 % is billed ahead; an hour of 100.00 earns 100.00 of it on an invoice of zero."""
    billed = post_customer_invoice(
        accounts=accounts,
        on=JAN,
        source_id=12,
        customer="acme",
        lines=[InvoicedLine(key="block", role=GlRole.DEFERRED_REVENUE, amount=D("15000.00"))],
        taxes=[TaxAmount("state", D("900.00"))],
        memo="Block",
    )
    assert table(billed) == [
        "Dr accounts_receivable 15,900.00",
        "Cr deferred_revenue 15,000.00",
        "Cr tax:state 900.00",
    ]
    hour = InvoicedLine(key="hour", role=GlRole.SERVICE_REVENUE, amount=D(0), released=D("100.00"))
    used = post_customer_invoice(accounts=accounts, on=JAN, source_id=13, customer="acme", lines=[hour], memo="Hour")
    assert table(used) == ["Dr deferred_revenue 100.00", "Cr service_revenue 100.00"]


def test_a_credit_memo_of_covered_work_gives_back_what_it_had_earned() -> None:
    line = InvoicedLine(key="hour", role=GlRole.SERVICE_REVENUE, amount=D("-50.00"), released=D("-100.00"))
    draft = post_customer_invoice(accounts=accounts, on=JAN, source_id=14, customer="acme", lines=[line], memo="Credit")
    assert table(draft) == [
        "Cr accounts_receivable 50.00",
        "Dr service_revenue 50.00",
        "Cr deferred_revenue 100.00",
        "Dr service_revenue 100.00",
    ]
