"""Signatures of PDFs: what is signed stays as it is, or it is found out."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
import typst
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from counterfoil.platform import config
from counterfoil.platform.config import Config, ConfigError, SigningFiles
from counterfoil.platform.signing import (
    Certificate,
    attachment_of,
    certificate_path,
    ensure_certificate,
    sign_pdf,
    verify_pdf,
)

RECORD = b'{"quote":"Q-1042","total":"3600.00"}'


def settings_in(folder: Path, **extra: str) -> Config:
    return Config.from_environment({"COUNTERFOIL_DATA": str(folder), **extra})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return ensure_certificate(settings_in(tmp_path_factory.mktemp("signing") / "data"), "Northwind IT")


@pytest.fixture(scope="module")
def plain() -> bytes:
    """A PDF/A with a file attached, as documents are."""
    source = (
        b'#set document(title: "Q")\n#pdf.attach("record.json", read("r.json", encoding: none), relationship: "data", '
    )
    source += b'mime-type: "application/json", description: "The record")\nAccepted. #lorem(40)'
    made = typst.Compiler(ignore_system_fonts=True).compile(
        input={"main.typ": source, "r.json": RECORD},
        format="pdf",
        pdf_standards=["a-3b"],
        timestamp=datetime(2026, 3, 2, tzinfo=UTC),
    )
    assert isinstance(made, bytes)
    return made


@pytest.fixture(scope="module")
def signed(plain: bytes, certificate: Certificate) -> bytes:
    return sign_pdf(plain, certificate=certificate, reason="Acceptance of Q-1042", name="Northwind IT")


def test_what_is_signed_by_whom_and_intact(signed: bytes, plain: bytes, certificate: Certificate) -> None:
    found = verify_pdf(signed)

    assert (found.signed, found.intact, found.problem) == (True, True, "")
    assert found.signer == "Northwind IT (accepted quotes)"
    assert found.certificate_sha256 == certificate.sha256
    assert found.reason == "Acceptance of Q-1042"
    assert found.signed_at is not None
    assert signed.startswith(plain)
    assert attachment_of(signed, "record.json") == RECORD
    assert attachment_of(signed, "other.json") is None


def test_one_flipped_bit_anywhere_is_found(signed: bytes) -> None:
    start = signed.rindex(b"/Contents <")
    chosen = random.Random(7)
    places = chosen.sample(range(len(signed)), 50) + chosen.sample(range(start, start + 3000), 90)

    for place in places:
        changed = bytearray(signed)
        changed[place] ^= 1 << chosen.randrange(8)
        assert not verify_pdf(bytes(changed)).intact, f"byte {place}"


@pytest.mark.parametrize(
    ("spoiled", "says"),
    [
        (lambda pdf: pdf + b"\n% more\n", "added"),
        (lambda pdf: pdf[:-1], "read|added|damaged"),
        (lambda pdf: pdf.replace(b"/Reason (Acc", b"/Reason (acc"), "changed"),
        (lambda pdf: b"", "read"),
        (lambda pdf: b"not a PDF at all", "read"),
    ],
)
def test_the_answer_says_what_is_wrong(signed: bytes, spoiled: object, says: str) -> None:
    import re

    found = verify_pdf(spoiled(signed))  # type: ignore[operator]

    assert not found.intact
    assert re.search(says, found.problem)


def test_a_pdf_without_a_signature_and_one_that_was_added_to(plain: bytes, signed: bytes) -> None:
    assert verify_pdf(plain).problem == "It carries no signature."
    writer = IncrementalPdfFileWriter(BytesIO(signed))
    writer.root["/Extra"] = writer.root["/Type"]
    writer.update_root()
    added = BytesIO()
    writer.write(added)
    assert "added" in verify_pdf(added.getvalue()).problem


def test_the_certificate_is_made_once_and_its_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data")
    first = ensure_certificate(settings, "Northwind IT")

    assert ensure_certificate(settings, "Another name").sha256 == first.sha256
    path = certificate_path(settings.data_dir)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        ensure_certificate(settings)


def test_a_certificate_of_ones_own(tmp_path: Path, certificate: Certificate, plain: bytes) -> None:
    bundle = tmp_path / "msp.p12"
    bundle.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"msp", certificate.key, certificate.certificate, None, serialization.BestAvailableEncryption(b"secret")
        )
    )
    given = {"COUNTERFOIL_SIGNING_PKCS12": str(bundle), "COUNTERFOIL_SIGNING_PASSPHRASE": "secret"}
    loaded = ensure_certificate(settings_in(tmp_path, **given))
    assert verify_pdf(sign_pdf(plain, certificate=loaded, reason="", name="")).certificate_sha256 == certificate.sha256

    with pytest.raises(ConfigError, match="cannot be used"):
        ensure_certificate(settings_in(tmp_path, COUNTERFOIL_SIGNING_PKCS12=str(bundle)))
    with pytest.raises(ConfigError, match="not partly"):
        settings_in(tmp_path, COUNTERFOIL_SIGNING_CERTIFICATE=str(bundle))
    with pytest.raises(ConfigError, match="cannot be read"):
        ensure_certificate(settings_in(tmp_path, COUNTERFOIL_SIGNING_PKCS12=str(tmp_path / "none.p12")))


def test_a_key_that_belongs_to_another_certificate_is_refused(tmp_path: Path, certificate: Certificate) -> None:
    other = ensure_certificate(settings_in(tmp_path / "other"))
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(certificate.pem)
    mixed = replace(
        config.Config.from_environment({"COUNTERFOIL_DATA": str(tmp_path)}),
        signing=SigningFiles(pem, certificate_path(tmp_path / "other"), ""),
    )

    assert other.sha256 != certificate.sha256
    with pytest.raises(ConfigError, match="does not belong"):
        ensure_certificate(mixed)
