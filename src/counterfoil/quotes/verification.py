"""Checking an acceptance: the record, the PDF made of it, its signature, and its place in the audit trail.

for check in verify_acceptance(acceptance).checks:
    print(check.ok, check.what, check.says)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from counterfoil.core.canonical import canonical_json, sha256_of
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import entry_hash
from counterfoil.platform.models import AuditEntry
from counterfoil.quotes.models import Acceptance, Quote
from counterfoil.quotes.record import FILE

VERB: Final = "quotes.version.accepted"
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at: ``what``, whether it holds, and what was found."""

    what: str
    ok: bool
    says: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking an acceptance found.

    Attributes:
        title: ``Q-1042 version 2``.
        checks: one by one.
        record_sha256: and ``pdf_sha256``: the fingerprints that are kept.
        accepted_at: when; ``accepted_by``: who.
        audit_entry: its place in the audit trail; ``None`` when there is none.
    """

    title: str
    checks: tuple[Check, ...]
    record_sha256: str
    pdf_sha256: str
    accepted_at: datetime
    accepted_by: str
    audit_entry: int | None

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return all(check.ok for check in self.checks)


def acceptance_of(number: str) -> Acceptance:
    """The acceptance of a quote, by the quote's number.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when it has not been accepted.
    """
    quote = Quote.objects.filter(number__iexact=number.strip()).first()
    if quote is None:
        raise DomainError("not_found", f"There is no quote {number}.", field="number")
    made = Acceptance.objects.select_related("version__quote").filter(version__quote=quote).first()
    if made is None:
        raise DomainError("wrong_state", f"{quote} has not been accepted.", field="number")
    return made


def verify_acceptance(made: Acceptance) -> Verification:
    """Check what is kept of an acceptance, each part against the others."""
    record, pdf = bytes(made.record), bytes(made.pdf)
    entry = _entry_of(made)
    checks = (_record(made, record), _pdf(made, pdf), _signature(made, pdf), _attached(record, pdf))
    return Verification(
        title=str(made.version),
        checks=(*checks, *_chain(made, record, entry)),
        record_sha256=made.record_sha256,
        pdf_sha256=made.pdf_sha256,
        accepted_at=made.accepted_at,
        accepted_by=made.name,
        audit_entry=entry.seq if entry else None,
    )


def broken_acceptances() -> Iterator[str]:
    """Every acceptance whose record, PDF or place in the audit trail does not hold; signatures are not checked anew."""
    for made in Acceptance.objects.select_related("version__quote").order_by("pk").iterator(chunk_size=100):
        record = bytes(made.record)
        checks = (_record(made, record), _pdf(made, bytes(made.pdf)), *_chain(made, record, _entry_of(made)))
        yield from (f"{made.version}: {check.says}" for check in checks if not check.ok)


def _record(made: Acceptance, record: bytes) -> Check:
    if sha256_of(record) != made.record_sha256:
        return Check("record", False, "The record is not the one that was accepted: its SHA-256 differs.")
    if _canonical(record) != record:
        return Check("record", False, "The record is no canonical JSON.")
    return Check("record", True, f"SHA-256 {made.record_sha256}")


def _canonical(record: bytes) -> bytes | None:
    try:
        return canonical_json(json.loads(record))
    except (ValueError, RecursionError):
        return None


def _pdf(made: Acceptance, pdf: bytes) -> Check:
    if sha256_of(pdf) != made.pdf_sha256:
        return Check("PDF", False, "The PDF is not the one that was signed: its SHA-256 differs.")
    return Check("PDF", True, f"SHA-256 {made.pdf_sha256}")


def _signature(made: Acceptance, pdf: bytes) -> Check:
    from counterfoil.platform.signing import verify_pdf  # loading it takes a third of a second

    found = verify_pdf(pdf)
    if not found.intact:
        return Check("signature", False, found.problem)
    if found.certificate_sha256 != made.certificate_sha256:
        return Check("signature", False, f"Signed by another certificate: {found.certificate_sha256}")
    return Check("signature", True, f"{found.signer}, certificate {found.certificate_sha256}")


def _attached(record: bytes, pdf: bytes) -> Check:
    from counterfoil.platform.signing import attachment_of

    same = attachment_of(pdf, FILE) == record
    return Check("attachment", same, f"{FILE} is the record" if same else f"{FILE} is missing or another.")


def _entry_of(made: Acceptance) -> AuditEntry | None:
    label = Quote._meta.label_lower
    entries = AuditEntry.objects.filter(verb=VERB, object_type=label, object_id=made.version.quote_id)
    return entries.filter(data__version=made.version.number).order_by("seq").first()


def _chain(made: Acceptance, record: bytes, entry: AuditEntry | None) -> tuple[Check, ...]:
    """That the audit trail knows both hashes, and that the record knows where in it it was made."""
    if entry is None:
        return (Check("audit trail", False, "The audit trail does not know the acceptance."),)
    hashes = {"record_sha256": made.record_sha256, "pdf_sha256": made.pdf_sha256}
    if entry_hash(entry) != entry.hash or any(entry.data.get(name) != kept for name, kept in hashes.items()):
        return (Check("audit trail", False, f"Entry {entry.seq} was changed, or tells other fingerprints."),)
    before = _named_before(record)
    at = AuditEntry.objects.filter(seq=before[0]).values_list("hash", flat=True).first()
    if before[0] >= entry.seq or (before[0] and at != before[1]):
        return (Check("audit trail", False, "The record names an entry before it that is not there."),)
    return (Check("audit trail", True, f"entry {entry.seq}, made after entry {before[0]}"),)


def _named_before(record: bytes) -> tuple[int, str]:
    try:
        named = json.loads(record)["previous_audit_entry"]
        return int(named["seq"]), str(named["hash"])
    except (ValueError, KeyError, TypeError):
        return 2**62, ""


# -- what somebody brings ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Brought:
    """What a file or a fingerprint is that somebody brings.

    Attributes:
        known: it is, to the byte, what we hold; ``intact``: it is unchanged since it was signed, known or not.
        says: what it is or what is wrong with it, for a person.
        sha256: its fingerprint.
        verification: what checking our own record found; ``None`` when it belongs to none.
        shows_who: whoever brings it knows who accepted, since it says so itself.
    """

    known: bool
    intact: bool
    says: str
    sha256: str
    verification: Verification | None = None
    shows_who: bool = False


def identify_fingerprint(text: str) -> Brought:
    """What a SHA-256 in hexadecimal belongs to.

    Raises:
        DomainError: ``invalid`` when it is none.
    """
    fingerprint = "".join(text.split()).lower()
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise DomainError("invalid", "A fingerprint has 64 digits from 0 to 9 and a to f.", field="fingerprint")
    for name, what in (("record_sha256", "record"), ("pdf_sha256", "signed PDF")):
        if made := _acceptances().filter(**{name: fingerprint}).first():
            says = f"That is the fingerprint of the {what} of an acceptance."
            return Brought(True, True, says, fingerprint, verify_acceptance(made))
    return Brought(False, False, "No acceptance of ours has this fingerprint.", fingerprint)


def identify_file(content: bytes) -> Brought:
    """What a file is: a signed PDF, a record, or neither; and whether it is unchanged."""
    return _identify_pdf(content) if content[:1024].lstrip().startswith(b"%PDF") else _identify_record(content)


def _identify_pdf(content: bytes) -> Brought:
    from counterfoil.platform.signing import attachment_of, verify_pdf

    fingerprint, signature = sha256_of(content), verify_pdf(content)
    if made := _acceptances().filter(pdf_sha256=fingerprint).first():
        return Brought(
            True, True, "This is the signed PDF that we keep, to the byte.", fingerprint, verify_acceptance(made), True
        )
    if signature.intact:
        says = f"It is intact, signed by {signature.signer} (certificate {signature.certificate_sha256})"
        return Brought(False, True, f"{says}, but it is no acceptance of ours.", fingerprint)
    record = attachment_of(content, FILE)
    made = _acceptances().filter(record_sha256=sha256_of(record)).first() if record else None
    said = f"It is not the PDF that we signed. {signature.problem}"
    return Brought(False, False, said, fingerprint, verify_acceptance(made) if made else None)


def _identify_record(content: bytes) -> Brought:
    fingerprint = sha256_of(content)
    if made := _acceptances().filter(record_sha256=fingerprint).first():
        return Brought(
            True, True, "This is the record that we keep, to the byte.", fingerprint, verify_acceptance(made), True
        )
    canonical = _canonical(content)
    made = _acceptances().filter(record_sha256=sha256_of(canonical)).first() if canonical else None
    if made:
        says = "It says what our record says, written in another way: spaces or the order of keys differ."
        return Brought(False, True, says, fingerprint, verify_acceptance(made), True)
    return Brought(False, False, "It is no record of ours: it was changed, or comes from elsewhere.", fingerprint)


def _acceptances() -> QuerySet[Acceptance]:
    return Acceptance.objects.select_related("version__quote")
