"""A customer accepts a quote: the legal record, and everything that follows from it, or nothing."""

from __future__ import annotations

from datetime import date, datetime

from counterfoil.core.errors import DomainError
from counterfoil.flows.accepted import convert_accepted, on_behalf_of
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.quotes.acceptance import Accepted, Seen, Signature, accept_version
from counterfoil.quotes.codes import try_code
from counterfoil.quotes.links import Visitor
from counterfoil.quotes.pricing import Picks


@command(roles=(Role.CUSTOMER,))
def accept_quote(
    *,
    actor: Actor,
    link_id: int,
    version_id: int,
    picks: Picks,
    seen: Seen | None,
    signature: Signature,
    visitor: Visitor,
    now: datetime,
    on: date,
) -> Accepted:
    """Accept a version and make of it the agreement, the order, the demand and the deposit, in one transaction.

    Asking again for the same gives the acceptance there is, and makes nothing twice.

    Raises:
        DomainError: as :func:`counterfoil.quotes.acceptance.accept_version` and
            :func:`counterfoil.flows.accepted.convert_accepted`.
    """
    accepted = accept_version(
        actor=actor,
        link_id=link_id,
        version_id=version_id,
        picks=picks,
        seen=seen,
        signature=signature,
        visitor=visitor,
        now=now,
        on=on,
    )
    if accepted.repeated:
        return accepted
    made = convert_accepted(actor=actor, version_id=version_id, on=on)
    documents = [str(each) for each in (*made.agreements, *made.orders)]
    text = f"made {', '.join(documents) or 'nothing yet'} of {accepted.acceptance.version}"
    audit.record(on_behalf_of(actor), "quotes.acceptance.converted", text, accepted.acceptance.version.quote)
    return accepted


def enter_code(*, actor: Actor, link_id: int, version_id: int, code: str, visitor: Visitor, now: datetime) -> None:
    """Check a code that was sent, before accepting; a wrong try is counted for good.

    Raises:
        DomainError: ``code_required`` when it is wrong, has expired or was tried too often.
    """
    if not try_code(actor=actor, link_id=link_id, version_id=version_id, code=code, visitor=visitor, now=now):
        raise DomainError(
            "code_required", "That is not the code, or it holds no longer.", field="code", hint="Ask for a new one."
        )
