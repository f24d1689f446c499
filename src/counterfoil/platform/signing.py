"""Signing PDFs, and checking what was signed.

A signature is of the kind PAdES baseline B-B (ETSI EN 319 142-1), made with SHA-256 by the MSP's certificate
(``COUNTERFOIL_SIGNING_*``) or by one that is made on first use and kept in the data folder. It certifies the document:
whatever is added later makes it void. What a checker finds here does not depend on whom it trusts: the certificate is
known by its fingerprint, which the legal record keeps.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import stat
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from asn1crypto import cms, keys, x509  # type: ignore[import-untyped]
from cryptography import x509 as certificates
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko_certvalidator.registry import SimpleCertificateStore

from counterfoil.platform import config
from counterfoil.platform.config import Config, ConfigError

FILE: Final = "signing.pem"
FIELD: Final = "Signature"
YEARS: Final = 20
# What is wrong with a file that somebody gives us is our answer, and no event of ours.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)

#: The place of a signature as it is written: capital hexadecimal digits.
_CONTENTS: Final = re.compile(rb"<(?:[0-9A-F]{2})+>")


# -- the certificate ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Certificate:
    """What we sign with: the certificate, its key, and the certificates that vouch for it."""

    certificate: certificates.Certificate
    key: Any
    chain: tuple[certificates.Certificate, ...] = ()

    @property
    def sha256(self) -> str:
        """The fingerprint, in hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def subject(self) -> str:
        """Whose it is."""
        return _common_name(self.certificate.subject.rfc4514_string(), self.certificate)

    @property
    def pem(self) -> bytes:
        """The certificate for others to check with, without the key."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _common_name(otherwise: str, certificate: certificates.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else otherwise


def certificate_path(data_dir: Path) -> Path:
    """Where the certificate lives that is made here, with its key."""
    return data_dir / FILE


def ensure_certificate(settings: Config, organization: str = "") -> Certificate:
    """The certificate we sign with; one is made if none is configured and none is there yet.

    Args:
        settings: where it is.
        organization: whose it is, if it has to be made.

    Raises:
        ConfigError: it cannot be read or made, or others can read its key.
    """
    if settings.signing is not None:
        return _read(settings.signing)
    path = certificate_path(settings.data_dir)
    if not path.exists():
        config.publish_private_file(path, _self_signed(organization, datetime.now(UTC)), "The signing certificate")
    if mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"The signing key {path} can be read by others (mode {mode:04o}).", f"Run: chmod 600 {path}")
    return _read(config.SigningFiles(path, path, ""))


def _self_signed(organization: str, now: datetime) -> bytes:
    """A new key (ECDSA, P-256) and a certificate that it vouches for itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    owner = " ".join(organization.split())[:50]
    name = certificates.Name(
        [
            certificates.NameAttribute(
                NameOID.COMMON_NAME, f"{owner} (accepted quotes)" if owner else "Accepted quotes"
            ),
            *([certificates.NameAttribute(NameOID.ORGANIZATION_NAME, owner)] if owner else []),
        ]
    )
    usage = certificates.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        certificates.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(certificates.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(certificates.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(certificates.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + made.public_bytes(serialization.Encoding.PEM)


def _read(files: config.SigningFiles) -> Certificate:
    """The certificate of a configuration.

    Raises:
        ConfigError: a file cannot be read, the passphrase is wrong, or key and certificate are not a pair.
    """
    passphrase = files.passphrase.encode() or None
    try:
        if files.key is None:
            key, certificate, more = pkcs12.load_key_and_certificates(files.certificate.read_bytes(), passphrase)
        else:
            certificate, *more = certificates.load_pem_x509_certificates(files.certificate.read_bytes())
            key = serialization.load_pem_private_key(files.key.read_bytes(), passphrase)
    except OSError as error:
        raise ConfigError(f"The signing certificate {error.filename} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"The signing certificate {files.certificate} or its key cannot be used: {error}",
            "Check the files and COUNTERFOIL_SIGNING_PASSPHRASE.",
        ) from error
    if key is None or certificate is None:
        raise ConfigError(f"{files.certificate} must hold both a certificate and its key.")
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise ConfigError(f"The key does not belong to the signing certificate {files.certificate}.")
    return Certificate(certificate, key, tuple(more))


def _public(key: Any) -> bytes:
    der: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


@cache
def current(organization: str = "") -> Certificate:
    """The certificate this process signs with, read once; made for ``organization`` if there is none yet.

    Raises:
        ConfigError: it cannot be used.
    """
    return ensure_certificate(config.current(), organization)


# -- signing -----------------------------------------------------------------------------------------------------------


def sign_pdf(pdf: bytes, *, certificate: Certificate, reason: str, name: str, location: str = "") -> bytes:
    """The PDF with a signature that certifies it: the given bytes stand unchanged at its beginning.

    Args:
        pdf: what is signed.
        certificate: what it is signed with.
        reason: why, as readers show it.
        name: who signs, as readers show it.
        location: where, if that is to be shown.
    """
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        reason=reason,
        name=name,
        location=location or None,
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
        subfilter=fields.SigSeedSubFilter.PADES,
    )
    signer = signers.PdfSigner(metadata, signer=_signer_of(certificate))
    signed: BytesIO = _finished(signer.async_sign_pdf(IncrementalPdfFileWriter(BytesIO(pdf))))
    return signed.getvalue()


def _signer_of(certificate: Certificate) -> signers.SimpleSigner:
    own, *chain = (_asn1(each) for each in (certificate.certificate, *certificate.chain))
    secret = certificate.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(chain)
    return signers.SimpleSigner(own, keys.PrivateKeyInfo.load(secret), store)


def _asn1(certificate: certificates.Certificate) -> x509.Certificate:
    return x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


def _finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of asynchronous work, in an event loop of its own: there may be one in this thread already."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


# -- checking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedPdf:
    """What the signature of a PDF says.

    Attributes:
        signed: whether there is a signature.
        intact: whether it covers the whole file and every byte is as it was signed.
        problem: what is wrong, for a person; empty when it is intact.
        signer: whose certificate it is.
        certificate_sha256: the certificate's fingerprint.
        reason: why it was signed, as written then.
        signed_at: when, by the signer's own clock.
    """

    signed: bool
    intact: bool
    problem: str = ""
    signer: str = ""
    certificate_sha256: str = ""
    reason: str = ""
    signed_at: datetime | None = None


class _Broken(Exception):
    """What a check found."""


def verify_pdf(pdf: bytes) -> SignedPdf:
    """Check the one signature of a PDF. Anything may be given; what is no signed PDF is said to be none."""
    try:
        found = PdfFileReader(BytesIO(pdf)).embedded_regular_signatures
    except Exception as error:  # whatever a reader stumbles over: it is not the file that was signed
        return SignedPdf(signed=False, intact=False, problem=f"It cannot be read as a signed PDF ({_words(error)}).")
    if not found:
        return SignedPdf(signed=False, intact=False, problem="It carries no signature.")
    try:
        return _checked(pdf, found)
    except _Broken as broken:
        return SignedPdf(signed=True, intact=False, problem=str(broken))
    except Exception as error:  # the signature itself is damaged
        return SignedPdf(signed=True, intact=False, problem=f"The signature is damaged ({_words(error)}).")


def _checked(pdf: bytes, found: Sequence[EmbeddedPdfSignature]) -> SignedPdf:
    if len(found) > 1:
        raise _Broken("It carries more than one signature.")
    (signature,) = found
    _check_coverage(pdf, signature)
    _check_envelope(signature)
    certificate = signature.signer_cert
    digest = signature.compute_digest()
    same, valid = validate_sig_integrity(signature.signer_info, certificate, "data", digest)
    if not same:
        raise _Broken("It was changed after it was signed.")
    if not valid:
        raise _Broken("The signature does not belong to its certificate.")
    der = certificate.dump()
    _check_certificate(signature, der)
    return SignedPdf(
        signed=True,
        intact=True,
        signer=str(certificate.subject.native.get("common_name") or certificate.subject.human_friendly),
        certificate_sha256=hashlib.sha256(der).hexdigest(),
        reason=str(signature.sig_object.get("/Reason", "")),
        signed_at=signature.self_reported_timestamp,
    )


def _check_coverage(pdf: bytes, signature: EmbeddedPdfSignature) -> None:
    """All of the file is signed but the place of the signature, and nothing but the signature is in that place."""
    start, before, after, rest = (int(number) for number in signature.byte_range)
    if start != 0 or after + rest != len(pdf):
        raise _Broken("Something was added after it was signed.")
    if not _CONTENTS.fullmatch(gap := pdf[before:after]):
        raise _Broken("The place of the signature holds something else.")
    content = bytes.fromhex(gap[1:-1].decode())
    envelope = cms.ContentInfo.load(content)
    parts = len(envelope["content_type"].dump()) + len(envelope["content"].dump())
    if parts != len(envelope.contents) or content[len(envelope.dump()) :].strip(b"\0"):
        raise _Broken("Something stands behind the signature.")


def _check_envelope(signature: EmbeddedPdfSignature) -> None:
    """What of the signature's envelope is not signed itself is as it must be."""
    data, signer = signature.signed_data, signature.signer_info
    algorithms = [algorithm.dump() for algorithm in data["digest_algorithms"]]
    expected = {
        "version": data["version"].native == signer["version"].native == "v1",
        "algorithms": algorithms == [signer["digest_algorithm"].dump()],
        "content": data["encap_content_info"].native == {"content_type": "data", "content": None},
        "lists": data["crls"].native is None and signer["unsigned_attrs"].native is None,
        "signers": len(data["signer_infos"]) == 1,
        "name": signer["sid"].chosen["issuer"].dump() == signature.signer_cert.issuer.dump(),
    }
    if wrong := [name for name, holds in expected.items() if not holds]:
        raise _Broken(f"The envelope of the signature was changed ({', '.join(wrong)}).")


def _check_certificate(signature: EmbeddedPdfSignature, der: bytes) -> None:
    """The certificate is the one that the signer named under the signature (RFC 5035)."""
    for attribute in signature.signer_info["signed_attrs"]:
        if attribute["type"].native == "signing_certificate_v2":
            named = attribute["values"][0]["certs"][0]
            if named["hash_algorithm"]["algorithm"].native == "sha256":
                if named["cert_hash"].native == hashlib.sha256(der).digest():
                    return
                break
    raise _Broken("The certificate is not the one that was signed with.")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def certificate_of(pdf: bytes) -> bytes | None:
    """The certificate that a PDF was signed with, as PEM; ``None`` when there is none to be read."""
    try:
        der = PdfFileReader(BytesIO(pdf)).embedded_regular_signatures[0].signer_cert.dump()
        return certificates.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    except Exception:  # a damaged file
        return None


def attachment_of(pdf: bytes, name: str) -> bytes | None:
    """The file attached to a PDF under that name; ``None`` when there is none, or it cannot be read."""
    try:
        tree = PdfFileReader(BytesIO(pdf)).root["/Names"]["/EmbeddedFiles"]
        for key, file in _leaves(tree):
            if str(key) == name:
                data: bytes = file["/EF"]["/F"].data
                return data
    except Exception:  # a damaged file
        return None
    return None


def _leaves(tree: Any) -> Any:
    names = tree.get("/Names", ())
    yield from ((names[at], names[at + 1]) for at in range(0, len(names), 2))
    for kid in tree.get("/Kids", ()):
        yield from _leaves(kid)
