"""The rules of the house hold, and the lints that watch them see what they should."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("lint_rules", ROOT / "tools" / "lint_rules.py")
assert _spec is not None
assert _spec.loader is not None
lint_rules = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lint_rules)

GOOD_COMMAND = '''
@command(roles=(Role.SALES,))
def accept_quote(*, actor: Actor, quote_id: int) -> Quote:
    """Accept it."""
'''


def test_the_rules_hold() -> None:
    assert list(lint_rules.faults()) == []


def test_imports_go_downward_only() -> None:
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "line",
    ["total = round(total, 2)", "x = price.quantize(cent)", "rate = 0.06", "x = float(price)", "f(lambda: round(a))"],
)
def test_rounding_and_floats_are_seen(line: str) -> None:
    assert list(lint_rules.money_faults(line, "billing/commands.py"))


@pytest.mark.parametrize("line", ['rate = Decimal("0.06")', "days = 30", "took = 1.5  # not money", "background(3)"])
def test_what_is_no_money_may_stay(line: str) -> None:
    assert not list(lint_rules.money_faults(line, "billing/commands.py"))


def test_a_well_shaped_command_passes() -> None:
    assert not list(lint_rules.command_faults(GOOD_COMMAND, "quotes/commands.py"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("*, actor", "actor", "by position"),
        ("actor: Actor, ", "", "actor first"),
        ("quote_id: int", "quote_id", "fully typed"),
        (" -> Quote", "", "fully typed"),
        ('"""Accept it."""', "pass", "what it does"),
        ("(*, actor", "(*args: int, actor", "by position"),
        ("quote_id: int", "quote_id: int, **given: int", "by position"),
    ],
)
def test_a_badly_shaped_command_is_seen(old: str, new: str, said: str) -> None:
    assert old in GOOD_COMMAND
    found = list(lint_rules.command_faults(GOOD_COMMAND.replace(old, new, 1), "quotes/commands.py"))
    assert any(said in fault for fault in found), found


def test_keywords_that_commands_share_stand_in_a_typed_dict() -> None:
    shared = GOOD_COMMAND.replace("quote_id: int", "quote_id: int, **given: Unpack[Parameters]")
    assert not list(lint_rules.command_faults(shared, "quotes/commands.py"))


def test_a_step_for_other_commands_may_take_positions_but_is_typed() -> None:
    good = 'def post(drafts: list[Draft], *, actor: Actor) -> None:\n    """Post them."""\n'
    assert not list(lint_rules.command_faults(good, "ledger/commands.py"))
    assert list(lint_rules.command_faults(good.replace(": list[Draft]", ""), "ledger/commands.py"))


def test_private_helpers_of_commands_are_free() -> None:
    assert not list(lint_rules.command_faults("def _lock(quote_id):\n    pass\n", "quotes/commands.py"))


def test_unknown_codes_are_seen() -> None:
    codes = lint_rules.catalogue()
    assert "period_closed" in codes
    assert list(lint_rules.code_faults('raise DomainError("perod_closed", "...")', "x.py", codes))
    assert list(lint_rules.code_faults('raise DomainError(code="nope", message="...")', "x.py", codes))
    assert list(lint_rules.code_faults('refuse_as("some_constraint", "nope", "...")', "x.py", codes))
    assert not list(lint_rules.code_faults('raise DomainError("period_closed", "...")', "x.py", codes))


@pytest.mark.parametrize(
    "text", ["--index-url https://" + "pypi" + ".org/simple", "see /" + "work/main", "in /" + "root/.cache/pip"]
)
def test_machine_and_index_are_seen(text: str) -> None:
    assert list(lint_rules.text_faults(text, "x.md"))


@pytest.mark.parametrize("text", ["/path/to/folder", "src/" + "work/x", "https://example.com/" + "work/", "/tmp/x"])
def test_ordinary_paths_may_stay(text: str) -> None:
    assert not list(lint_rules.text_faults(text, "x.md"))


def test_the_core_imports_the_standard_library_alone() -> None:
    code = (
        "import sys, importlib, pathlib, counterfoil.core as core\n"
        "for path in pathlib.Path(core.__path__[0]).glob('*.py'):\n"
        "    importlib.import_module('counterfoil.core.' + path.stem)\n"
        "known = sys.stdlib_module_names | {'counterfoil', '__main__', '__mp_main__'}\n"
        "print(sorted({n.split('.')[0] for n in sys.modules if not n.startswith('_')} - known))\n"
    )
    clean = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n" + code],
        capture_output=True,
        text=True,
        check=True,
    )
    # What .pth files of the environment bring in is not the core's doing.
    blank = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(sorted({n.split('.')[0] for n in sys.modules}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    brought = set(ast_list(clean.stdout)) - set(ast_list(blank.stdout))
    assert brought == set()


def ast_list(text: str) -> list[str]:
    import ast

    return list(ast.literal_eval(text))
