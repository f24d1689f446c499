import pytest

from counterfoil.core.errors import DomainError
from counterfoil.core.states import TRANSITIONS, allowed, check_transition, words

LEGAL = [
    ("opportunity", "open", "won"),
    ("opportunity", "lost", "open"),
    ("agreement", "active", "cancelled"),
    ("sales_order", "open", "closed"),
    ("purchase_order", "draft", "sent"),
    ("purchase_order", "closed", "sent"),
    ("invoice", "draft", "closed"),
    ("batch", "open", "transferred"),
    ("asset", "fully_depreciated", "disposed"),
    ("period", "closed", "open"),
    ("export", "exported", "not_imported"),
]
ILLEGAL = [
    ("opportunity", "won", "open"),
    ("agreement", "cancelled", "active"),
    ("sales_order", "cancelled", "open"),
    ("purchase_order", "draft", "closed"),
    ("purchase_order", "cancelled", "sent"),
    ("invoice", "closed", "draft"),
    ("invoice", "closed", "closed"),
    ("batch", "transferred", "open"),
    ("asset", "disposed", "in_service"),
    ("export", "confirmed", "exported"),
]


@pytest.mark.parametrize(("document", "old", "new"), LEGAL)
def test_legal_steps_pass(document: str, old: str, new: str) -> None:
    check_transition(document, "No. 7", old, new)
    assert (old, new) in allowed(document)


@pytest.mark.parametrize(("document", "old", "new"), ILLEGAL)
def test_illegal_steps_are_refused_in_words(document: str, old: str, new: str) -> None:
    with pytest.raises(DomainError) as refusal:
        check_transition(document, "No. 7", old, new)
    assert refusal.value.code == "wrong_state"
    assert refusal.value.message == f"No. 7 is {words(old)}; it cannot become {words(new)}."


@pytest.mark.parametrize("document", TRANSITIONS)
def test_no_document_steps_in_place(document: str) -> None:
    assert all(old != new for old, new in allowed(document))


@pytest.mark.parametrize(
    ("document", "final"),
    [
        ("opportunity", {"won"}),
        ("agreement", {"cancelled", "ended"}),
        ("sales_order", {"cancelled"}),
        ("purchase_order", {"cancelled"}),
        ("invoice", {"closed"}),
        ("batch", {"transferred"}),
        ("asset", {"disposed"}),
        ("period", set()),
        ("export", {"confirmed"}),
    ],
)
def test_what_is_final(document: str, final: set[str]) -> None:
    left = {old for old, _ in allowed(document)}
    assert {new for _, new in allowed(document)} - left == final
