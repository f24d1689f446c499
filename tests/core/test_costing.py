from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.costing import Issue, Layer, issue, issued_cost
from counterfoil.core.errors import DomainError

TEN_AT_100 = Layer("first", D(10), D("1000.00"))
TEN_AT_120 = Layer("second", D(10), D("1200.00"))
SERVERS = [
    Layer("dell", D(2), D("7200.00"), ("SN1", "SN2")),
    Layer("hp", D(3), D("10000.00"), ("SN3", "SN4", "SN5")),
]


@pytest.mark.parametrize(("method", "cost"), [("fifo", "1600.00"), ("lifo", "1700.00"), ("average", "1650.00")])
def test_sell_fifteen_of_two_purchases(method: str, cost: str) -> None:
    """WE-21: 10 at 100, then 10 at 120."""
    assert issued_cost(issue(method, [TEN_AT_100, TEN_AT_120], D(15))) == D(cost)


def test_which_layers_fifteen_leave() -> None:
    layers = [TEN_AT_100, TEN_AT_120]
    assert issue("fifo", layers, D(15)) == (
        Issue("first", D(10), D("1000.00")),
        Issue("second", D(5), D("600.00")),
    )
    assert issue("lifo", layers, D(15)) == (
        Issue("second", D(10), D("1200.00")),
        Issue("first", D(5), D("500.00")),
    )
    assert issue("average", layers, D(15)) == (
        Issue("first", D(10), D("1100.00")),
        Issue("second", D(5), D("550.00")),
    )


def test_a_serialized_unit_leaves_at_what_it_cost_itself() -> None:
    assert issue("serial", SERVERS, D(2), ["SN4", "SN1"]) == (
        Issue("dell", D(1), D("3600.00"), ("SN1",)),
        Issue("hp", D(1), D("3333.33"), ("SN4",)),
    )


@pytest.mark.parametrize(
    ("method", "quantity", "serials", "code"),
    [
        ("serial", 1, [], "serials_required"),
        ("serial", 2, ["SN1"], "serials_required"),
        ("serial", 2, ["SN1", "SN1"], "serials_required"),
        ("serial", 1, ["SN9"], "not_in_stock"),
        ("fifo", 1, [], "serials_required"),
        ("average", 1, ["SN1"], "invalid"),
        ("fifo", 6, [], "not_in_stock"),
        ("fifo", 0, [], "invalid"),
        ("guess", 1, [], "invalid"),
    ],
)
def test_what_does_not_say_which_unit_leaves_is_refused(
    method: str, quantity: int, serials: list[str], code: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        issue(method, SERVERS, D(quantity), serials)
    assert refusal.value.code == code


def test_a_serial_that_is_in_stock_twice_has_no_known_cost() -> None:
    layers = [Layer(1, D(1), D("100.00"), ("SN1",)), Layer(2, D(1), D("120.00"), ("SN1",))]
    with pytest.raises(DomainError) as refusal:
        issue("serial", layers, D(1), ["SN1"])
    assert refusal.value.code == "conflict"


@pytest.mark.parametrize(
    ("quantity", "cost", "serials"),
    [("0", "1.00", ()), ("1", "-1.00", ()), ("1", "1.001", ()), ("2", "1.00", ("SN1",))],
)
def test_an_impossible_layer_is_refused(quantity: str, cost: str, serials: tuple[str, ...]) -> None:
    with pytest.raises(DomainError):
        Layer(1, D(quantity), D(cost), serials)


stock = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**7)), min_size=1, max_size=6)


@given(bought=stock, method=st.sampled_from(["fifo", "lifo", "average"]))
def test_selling_everything_costs_what_was_paid(bought: list[tuple[int, int]], method: str) -> None:
    layers = [Layer(i, D(n), D(cents).scaleb(-2)) for i, (n, cents) in enumerate(bought)]
    everything = D(sum(n for n, _ in bought))
    issues = issue(method, layers, everything)
    assert issued_cost(issues) == sum(layer.cost for layer in layers)
    assert sum(x.quantity for x in issues) == everything


@given(bought=stock, sold=st.integers(1, 50))
def test_no_method_takes_more_out_of_a_layer_than_is_in_it(bought: list[tuple[int, int]], sold: int) -> None:
    layers = [Layer(i, D(n), D(cents).scaleb(-2)) for i, (n, cents) in enumerate(bought)]
    quantity = D(min(sold, sum(n for n, _ in bought)))
    for method in ("fifo", "lifo", "average"):
        for issued in issue(method, layers, quantity):
            assert 0 < issued.quantity <= layers[int(issued.key)].quantity
            assert method == "average" or issued.cost <= layers[int(issued.key)].cost


def test_units_that_leave_one_by_one_cost_what_the_layer_cost() -> None:
    layer, costs = Layer(1, D(3), D("10.00")), list[D]()
    while True:
        (one,) = issue("fifo", [layer], D(1))
        costs.append(one.cost)
        if layer.quantity == 1:
            break
        layer = Layer(1, layer.quantity - 1, layer.cost - one.cost)
    assert costs == [D("3.33"), D("3.34"), D("3.33")]
