"""``init`` and ``doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from counterfoil.cli.output import Json, examples, print_json, say

if TYPE_CHECKING:
    from counterfoil.platform.models import User


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples(
            'counterfoil init --email ada@example.com --name "Ada Miller" --company "Northwind IT"',
            "pass show counterfoil | counterfoil init --email ada@example.com --password-stdin",
        )
    )(init)
    app.command(epilog=examples("counterfoil doctor", "counterfoil doctor --json"))(doctor)


def init(
    email: Annotated[str, typer.Option(help="The owner's e-mail address, to sign in with.")],
    name: Annotated[str, typer.Option(help="The owner's name, as it stands in the audit trail.")] = "Owner",
    company: Annotated[str, typer.Option(help="The name of your own company.")] = "My Company",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, not make one up.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the database ready, with an owner and your company. Running it again changes nothing."""
    from counterfoil.cli.django import set_up

    given = _password_from_stdin() if password_stdin else None
    set_up(migrated=False)
    from counterfoil.platform import config
    from counterfoil.platform.database.migrations import migrate, pending_migrations
    from counterfoil.platform.signing import ensure_certificate

    if pending_migrations():
        migrate()
    owner, password = _owner(email, name, given)
    made_company = _my_company(owner, company)
    ensure_certificate(config.current(), made_company)
    if json:
        print_json({"owner": owner.email, "password": password, "company": made_company})
        return
    say(f"{owner.name} ({owner.email}) is the owner.", f"{made_company} is your company.")
    if password is not None:
        say(f"Password: {password}", "It is shown this once; change it after signing in.")
    say("Now run: counterfoil serve")


def _my_company(owner: User, name: str) -> str:
    """The name of My Company, which is set up, with its chart of accounts and periods, if it is not there."""
    from counterfoil.cli.django import today
    from counterfoil.companies.queries import my_company
    from counterfoil.flows.setup import set_up_msp

    present = my_company()
    if present is not None:
        return present.name
    identifier = "".join(character for character in name if character.isalnum()) or "MyCompany"
    return set_up_msp(actor=owner.actor("cli"), name=name, identifier=identifier, on=today()).name


def _password_from_stdin() -> str:
    import sys

    from counterfoil.core.errors import DomainError

    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise DomainError("required", "No password came in on standard input.", field="password")
    return password


def _owner(email: str, name: str, given: str | None) -> tuple[User, str | None]:
    """The owner, and the password if it was made up here."""
    import secrets

    from counterfoil.platform.models import User
    from counterfoil.platform.users import create_first_owner

    present = User.objects.filter(email__iexact=email.strip(), is_active=True).first()
    if present is not None and "owner" in present.roles:
        return present, None
    password = given or secrets.token_urlsafe(12)
    owner = create_first_owner(email=email, name=name, password=password)
    return owner, None if given else password


def doctor(json: Json = False) -> None:
    """Look at the environment and say how to mend what is wrong. Ends with 1 if something is broken."""
    from counterfoil.platform import config
    from counterfoil.platform.doctor import Health, examine

    findings = examine(config.current())
    broken = [finding for finding in findings if finding.health is Health.BROKEN]
    if json:
        print_json({"ok": not broken, "findings": [asdict(finding) for finding in findings]})
    else:
        signs: dict[Any, str] = {Health.OK: "ok    ", Health.NOTE: "note  ", Health.BROKEN: "BROKEN"}
        for finding in findings:
            say(f"{signs[finding.health]}  {finding.check}: {finding.message}")
            if finding.mend:
                say(f"        {finding.mend}")
        say("", f"{len(broken)} broken." if broken else "All is well.")
    if broken:
        raise typer.Exit(1)
