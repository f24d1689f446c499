"""The MSP's own people: who signs in, and in which roles."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.models import User

refuse_as("user_email_case_insensitive", "duplicate", "Somebody with this e-mail address is there already.")


@command(roles=())
def create_user(*, actor: Actor, email: str, name: str, roles: Collection[Role], password: str) -> User:
    """Make an account for somebody of the MSP.

    Raises:
        DomainError: ``invalid`` address or too weak a password; ``required`` without a role; ``duplicate`` address.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise DomainError("invalid", f"{email!r} is no e-mail address.", field="email") from error
    if not name.strip():
        raise DomainError("required", "A person needs a name.", field="name")
    if not roles:
        raise DomainError("required", "Choose at least one role.", field="roles")
    if User.objects.filter(email__iexact=email).exists():
        raise DomainError("duplicate", f"Somebody with the address {email} is there already.", field="email")
    user = User(email=email, name=name.strip(), roles=sorted(role.value for role in set(roles)))
    _set_password(user, password)
    user.save()
    said = " and ".join(user.roles)
    audit.record(actor, "platform.user.created", f"made an account for {user.name} ({email}) as {said}", user)
    return user


@command(roles=())
def assign_roles(*, actor: Actor, user_id: int, roles: Collection[Role]) -> User:
    """Set what somebody may do. The last owner stays one.

    Raises:
        DomainError: ``not_found``; ``required`` without a role; ``wrong_state`` for the last owner.
    """
    user = _locked(user_id)
    if not roles:
        raise DomainError("required", "Choose at least one role.", field="roles")
    if Role.OWNER not in roles:
        _refuse_last_owner(user)
    user.roles = sorted(role.value for role in set(roles))
    user.save(update_fields=["roles"])
    audit.record(actor, "platform.user.roles_assigned", f"made {user.name} {' and '.join(user.roles)}", user)
    return user


@command(roles=())
def deactivate_user(*, actor: Actor, user_id: int) -> User:
    """Take somebody's access away; what they did stays under their name.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for the last owner.
    """
    user = _locked(user_id)
    _refuse_last_owner(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit.record(actor, "platform.user.deactivated", f"took the access of {user.name} away", user)
    return user


@command(roles=())
def reset_password(*, actor: Actor, user_id: int, password: str) -> User:
    """Give somebody a new password; their sessions end.

    Raises:
        DomainError: ``not_found``; ``invalid`` for too weak a password.
    """
    user = _locked(user_id)
    _set_password(user, password)
    user.save(update_fields=["password"])
    audit.record(actor, "platform.user.password_reset", f"set a new password for {user.name}", user)
    return user


def owners() -> list[User]:
    """The active owners, the oldest account first."""
    return list(User.objects.filter(roles__contains=[Role.OWNER.value], is_active=True).order_by("pk"))


def _locked(user_id: int) -> User:
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise DomainError("not_found", f"There is no user {user_id}.", field="user_id")
    return user


def _refuse_last_owner(user: User) -> None:
    # Locks all owners, so that two who take each other's role away at once do not both succeed.
    active = User.objects.select_for_update().filter(roles__contains=[Role.OWNER.value], is_active=True)
    if [owner.pk for owner in active.order_by("pk")] == [user.pk]:
        raise DomainError(
            "wrong_state", f"{user.name} is the only owner.", hint="Make somebody else an owner first."
        )


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise DomainError("invalid", " ".join(error.messages), field="password") from error
    user.set_password(password)
