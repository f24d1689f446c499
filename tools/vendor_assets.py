"""Fetch the third-party browser files that Counterfoil ships, and write them under ``web/static/vendor``.

Run by a developer when a version changes, never at install time:

    python tools/vendor_assets.py

Packages are taken by name and exact version through ``npm pack``. From each only the files we serve are kept. Source
map comments are cut (the maps are not shipped), and the icons we use are joined into one SVG sprite. ``VENDOR.json``
records package, version, licence and the SHA-256 of every file as shipped; ``--check`` compares the folder with it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "src" / "counterfoil" / "web" / "static" / "vendor"


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package: which of its files are served, and under which name its licence is kept."""

    name: str
    version: str
    files: dict[str, str]
    licence_file: str = ""


# Tabler core publishes no licence file: it is the licence (and holder) of Tabler icons, kept from that package.
PACKAGES = (
    Package(
        "@tabler/core",
        "1.6.1",
        {"dist/css/tabler.min.css": "tabler/tabler.min.css", "dist/js/tabler.min.js": "tabler/tabler.min.js"},
    ),
    Package("@tabler/icons", "3.51.0", {}, licence_file="LICENSE"),
    Package("chart.js", "4.6.1", {"dist/chart.umd.min.js": "chartjs/chart.umd.min.js"}, licence_file="LICENSE.md"),
)

# Every icon that a template may name in {% icon "..." %}.
ICONS = """
alert-triangle arrow-back-up arrow-down arrow-left arrow-right arrow-up arrows-exchange arrows-sort ban book book-2
books box briefcase building building-bank building-store building-warehouse calculator calendar calendar-due
calendar-event cash chart-bar chart-line check checklist chevron-down chevron-left chevron-right chevron-up circle
circle-check circle-dashed circle-x clock cloud-upload coin contract copy credit-card database device-desktop
device-floppy devices dots download edit equal external-link eye file-check file-description file-dollar file-export
file-import file-invoice file-plus file-spreadsheet file-text filter fingerprint git-branch hand-click help hierarchy
history home hourglass inbox info-circle key keyboard link list-check list-details lock lock-open login logout map-pin
menu-2 minus moon note package package-export package-import packages paperclip pencil percentage phone player-play
plus printer progress-check receipt receipt-2 receipt-refund receipt-tax refresh repeat report report-analytics
report-money rotate route scale search send server server-2 settings shield-check shield-lock shopping-cart sitemap
stack-2 sun table tags target test-pipe transfer trash trending-down trending-up truck truck-delivery truck-loading
upload user user-circle users wallet world x
""".split()  # noqa: SIM905 - a list of 140 quoted words is not easier to read


def main() -> int:
    """Write the vendor folder, or compare it with its record; 0 when all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only compare the files with VENDOR.json")
    if parser.parse_args().check:
        return check()
    with tempfile.TemporaryDirectory() as scratch:
        record = [vendor(package, Path(scratch)) for package in PACKAGES]
    (VENDOR / "VENDOR.json").write_text(json.dumps(record, indent=2) + "\n")
    return check()


def vendor(package: Package, scratch: Path) -> dict[str, object]:
    """Copy what we serve out of ``package``; returns its entry for VENDOR.json."""
    root = unpack(package, scratch)
    licence = str(json.loads((root / "package.json").read_text())["license"])
    written = [write(target, trimmed(root / source)) for source, target in package.files.items()]
    if package.name == "@tabler/icons":
        written.append(write("tabler/icons.svg", sprite(root / "icons" / "outline")))
    if package.licence_file:
        folder = "tabler" if package.name.startswith("@tabler/") else package.name.replace(".", "")
        written.append(write(f"{folder}/LICENSE", (root / package.licence_file).read_text()))
    return {"package": package.name, "version": package.version, "licence": licence, "files": written}


def unpack(package: Package, scratch: Path) -> Path:
    """Download one package with npm and unpack it."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        cwd=scratch, check=True, capture_output=True, text=True,
    )  # fmt: skip
    archive = scratch / packed.stdout.split()[-1]
    target = scratch / archive.stem
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / "package"


def trimmed(path: Path) -> str:
    """The text of a file without its source map comment."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\n?/\*# sourceMappingURL=[^*]*\*/|\n?//# sourceMappingURL=\S+", "", text)
    return text.rstrip() + "\n"


def sprite(folder: Path) -> str:
    """One SVG holding each icon as ``<symbol id="name">``, used as ``<use href="icons.svg#name">``."""
    symbols = []
    for name in ICONS:
        svg = (folder / f"{name}.svg").read_text()
        body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
        body = re.sub(r'\s*<path stroke="none" d="M0 0h24v24H0z" fill="none" />', "", body)
        body = "".join(line.strip() for line in body.splitlines())
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
            f'stroke-linecap="round" stroke-linejoin="round">{body}</symbol>'
        )
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def write(target: str, text: str) -> dict[str, str]:
    """Write one file under the vendor folder; returns its name and hash."""
    path = VENDOR / target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return {"file": target, "sha256": digest(path)}


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check() -> int:
    """Compare the folder with VENDOR.json; 1 when a file is missing, changed or not recorded."""
    record = json.loads((VENDOR / "VENDOR.json").read_text())
    expected = {entry["file"]: entry["sha256"] for package in record for entry in package["files"]}
    present = {
        path.relative_to(VENDOR).as_posix(): digest(path)
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDOR.json"
    }
    wrong = sorted(name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name))
    for name in wrong:
        print(f"differs from VENDOR.json: {name}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
