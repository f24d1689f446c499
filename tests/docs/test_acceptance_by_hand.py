"""The commands that the page on acceptance gives for checking by hand do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.offers import make_offer
from tests.world import World

from counterfoil.platform.signing import certificate_of
from counterfoil.quotes.acceptance import accept_version

PAGE = Path(__file__).resolve().parents[2] / "docs" / "domain" / "acceptance.md"


def run(folder: Path) -> str:
    """What all the page's commands say, one block after the other in one shell."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), flags=re.S | re.M)
    assert len(blocks) == 4
    script = "\n".join(blocks).replace("python3", sys.executable)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.django_db
def test_the_commands_of_the_page(world: World, tmp_path: Path) -> None:
    offer = make_offer(world)
    made = accept_version(**offer.asked(offer.picks("premium", seats=12))).acceptance
    pdf = bytes(made.pdf)
    (tmp_path / "Q-1042-accepted.pdf").write_bytes(pdf)
    (tmp_path / "certificate.pem").write_bytes(certificate_of(pdf) or b"")

    said = run(tmp_path)

    assert f"{made.pdf_sha256}  Q-1042-accepted.pdf" in said
    assert "covers the whole file" in said
    assert "CMS Verification successful" in said
    assert made.certificate_sha256.upper() in said.replace(":", "")
    assert said.count(made.record_sha256) == 2  # as it is attached, and written anew
    assert '"name": "Jane Doe"' in said
    assert "12\tSeats\t240.00" in said

    (tmp_path / "Q-1042-accepted.pdf").write_bytes(pdf[:900] + bytes([pdf[900] ^ 1]) + pdf[901:])
    assert "CMS Verification failure" in run(tmp_path)
