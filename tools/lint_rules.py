"""Rules of the house that no ready-made linter knows. Run by `make lint` and by tests/architecture.

- Money is rounded in ``counterfoil/core/money.py`` alone: no ``round()``, no ``.quantize()``, no float literal, no
  ``float()`` anywhere else, except on lines marked ``# not money`` (milliseconds, megabytes).
- Commands take everything by keyword, and ``actor`` first. Public functions of ``commands.py`` (commands, and the steps
  that commands of other contexts take inside their own transaction) are fully typed and say what they do.
- Codes: every literal code given to ``DomainError`` stands in the catalogue.
- Texts of the repository name no package index and no place on the machine they were written on.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "counterfoil"

#: Where numbers are not money: measuring time and disk space.
NOT_MONEY = ("cli/output.py", "platform/database/", "platform/doctor.py", "platform/server.py")

_INDEX_HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "deb.debian" + ".org")
_MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|opt/pypi\w*|opt/wheels|tmp/team)/(?!\.{3})[\w.-]")
_TEXT_SUFFIXES = frozenset(
    {".cfg", ".css", ".csv", ".html", ".ini", ".js", ".json", ".lock", ".md"}
    | {".py", ".sh", ".sql", ".svg", ".toml", ".txt", ".typ", ".yaml", ".yml"}
)


def money_faults(source: str, name: str) -> Iterator[str]:
    """Rounding or floats in Python ``source`` that the money rule forbids."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        fault = _money_fault(node)
        if fault and "# not money" not in lines[node.lineno - 1]:
            yield f"{name}:{node.lineno}: {fault}; only core/money.py rounds, and money is Decimal"


def _money_fault(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=float()):
            return f"float literal {node.value!r}"
        case ast.Call(func=ast.Name(id="round" | "float" as called)):
            return f"{called}()"
        case ast.Call(func=ast.Attribute(attr="quantize")):
            return ".quantize()"
    return None


def command_faults(source: str, name: str) -> Iterator[str]:
    """Functions of a ``commands.py`` that are not shaped as they should be."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        arguments = node.args
        where = f"{name}:{node.lineno}: {node.name}()"
        if any(_is_command_decorator(decorator) for decorator in node.decorator_list):
            if arguments.args or arguments.posonlyargs or arguments.vararg or _is_open(arguments.kwarg):
                yield f"{where} takes arguments by position; start its arguments with *"
            if not arguments.kwonlyargs or arguments.kwonlyargs[0].arg != "actor":
                yield f"{where} does not take actor first"
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if node.returns is None or any(argument.annotation is None for argument in every):
            yield f"{where} is not fully typed"
        if ast.get_docstring(node) is None:
            yield f"{where} does not say what it does"


def _is_open(keywords: ast.arg | None) -> bool:
    """Whether ``**keywords`` takes anything; with ``Unpack`` of a TypedDict it takes what that names, typed."""
    return keywords is not None and not ast.unparse(keywords.annotation or ast.Name("")).startswith("Unpack[")


def _is_command_decorator(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    return (isinstance(called, ast.Name) and called.id == "command") or (
        isinstance(called, ast.Attribute) and called.attr == "command"
    )


def code_faults(source: str, name: str, codes: frozenset[str]) -> Iterator[str]:
    """Codes given to ``DomainError`` (or ``refuse_as``) as text that are not in the catalogue."""
    positions = {"DomainError": 0, "refuse_as": 1}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in positions:
            continue
        position = positions[node.func.id]
        named = next((keyword.value for keyword in node.keywords if keyword.arg == "code"), None)
        value = node.args[position] if len(node.args) > position else named
        if isinstance(value, ast.Constant) and value.value not in codes:
            yield f"{name}:{node.lineno}: {value.value!r} is no code of counterfoil.core.errors.CODES"


def catalogue() -> frozenset[str]:
    """The codes of ``core/errors.py``, read from its text."""
    tree = ast.parse((PACKAGE / "core" / "errors.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "CODES":
            assert isinstance(node.value, ast.Dict)
            return frozenset(str(key.value) for key in node.value.keys if isinstance(key, ast.Constant))
    raise AssertionError("core/errors.py has no CODES")


def text_faults(text: str, name: str) -> Iterator[str]:
    """Names of package indexes and absolute paths of a machine."""
    for number, line in enumerate(text.splitlines(), 1):
        for host in _INDEX_HOSTS:
            if host in line:
                yield f"{name}:{number}: names the package index {host}"
        if found := _MACHINE_PATHS.search(line):
            yield f"{name}:{number}: names a place on a machine, {found[0]}..."


def repository_files() -> Iterator[Path]:
    """Text files that git tracks (or would)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        path = ROOT / name
        is_text = path.suffix in _TEXT_SUFFIXES or path.name in {"Makefile", "run", ".gitignore"}
        if is_text and path.is_file() and "vendor" not in path.parts:
            yield path


def faults() -> Iterator[str]:
    """Everything that breaks a rule."""
    codes = catalogue()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if "/migrations/" in name:
            continue
        source = path.read_text(encoding="utf-8")
        if name != "core/money.py" and not name.startswith(NOT_MONEY):
            yield from money_faults(source, name)
        if name.endswith("/commands.py") and not name.startswith("platform/"):
            yield from command_faults(source, name)
        yield from code_faults(source, name, codes)
    for path in repository_files():
        yield from text_faults(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())


def main() -> int:
    """Print every fault; 1 if there is one."""
    found = list(faults())
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
