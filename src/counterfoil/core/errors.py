"""The one kind of refusal, and the catalogue of its codes.

A command that may not proceed raises :class:`DomainError`. The API answers with the code's HTTP status, the page shows
the message beside the field, the command line prints it and exits 1. Nothing half-done stays behind.
"""

from __future__ import annotations

from typing import Final

#: Every code a command may refuse with, and the HTTP status the API answers it with.
CODES: Final[dict[str, int]] = {
    # who may
    "not_signed_in": 401,
    "role_required": 403,
    "scope_required": 403,
    # what was sent
    "invalid": 422,
    "required": 422,
    "import_rows_invalid": 422,
    "price_on_internal_company": 422,
    "bundle_as_addition": 422,
    "wrong_product_class": 422,
    "serials_required": 422,
    "bin_required": 422,
    "unbalanced": 422,
    # what was looked for
    "not_found": 404,
    # how things stand
    "link_expired": 410,
    "link_revoked": 410,
    "conflict": 409,
    "duplicate": 409,
    "wrong_state": 409,
    "already_converted": 409,
    "already_invoiced": 409,
    "quote_is_sent": 409,
    "approval_required": 409,
    "held": 409,
    "committed": 409,
    "already_transferred": 409,
    "already_batched": 409,
    "my_company_not_billable": 409,
    "more_than_ordered": 409,
    "more_than_received": 409,
    "serial_in_stock": 409,
    "not_in_stock": 409,
    "not_shipped": 409,
    "gl_mapping_missing": 409,
    "period_closed": 409,
    "period_missing": 409,
    "tax_code_not_in_effect": 409,
    "absurd_amount": 409,
    "posted_is_locked": 409,
    "export_not_confirmed": 409,
    "mail_not_configured": 409,
    "mail_not_sent": 409,
    "quote_expired": 409,
    "quote_changed": 409,
    "already_accepted": 409,
    "code_required": 409,
    "idempotency_key_reused": 409,
}


class DomainError(Exception):
    """A refusal in the user's words: what is wrong, where, and how to mend it.

    Args:
        code: one of :data:`CODES`.
        message: one or two sentences for a person, with names and figures.
        field: the input it is about (``"unit_price"``, ``"lines[2].serials"``), if any.
        hint: what to do about it, if the message does not already say so.
        details: further refusals of the same input (the bad rows of an import), in order.
    """

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        hint: str | None = None,
        details: tuple[dict[str, str], ...] = (),
    ) -> None:
        if code not in CODES:
            raise AssertionError(f"unknown error code {code!r}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint
        self.details = details

    @property
    def status(self) -> int:
        """HTTP status of this refusal."""
        return CODES[self.code]

    def as_dict(self) -> dict[str, object]:
        """The wire form: ``code``, ``message``, ``field``, ``hint`` and, where rows were refused, ``details``."""
        body: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "hint": self.hint,
        }
        if self.details:
            body["details"] = list(self.details)
        return body
