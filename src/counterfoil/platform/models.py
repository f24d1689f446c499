"""Users, API tokens, the audit trail, number sequences and remembered answers of the API."""

from __future__ import annotations

from typing import Any, ClassVar

import pgtrigger
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from counterfoil.platform.identity import STAFF, Actor, Role

ROLE_CHOICES = [(role.value, role.value.title()) for role in STAFF]


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address; there are no user names."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """A new user; without a password nobody can sign in as that user until one is set."""
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person of the MSP who signs in by e-mail address."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    roles: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=20, choices=ROLE_CHOICES), default=list)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(db_default=Now())

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_case_insensitive")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        """The user's name, as Django's own pages ask for it."""
        return self.name

    def actor(self, channel: str = "page") -> Actor:
        """This user as the one who runs a command through ``channel``."""
        return Actor(user_id=self.pk, name=str(self), roles=frozenset(Role(r) for r in self.roles), channel=channel)


class ApiToken(models.Model):
    """A key for scripts. Only its SHA-256 is kept; the key is shown once when made.

    Scopes are role names and ``read``: a token acts with its user's roles narrowed to its scopes.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=12, help_text="First characters of the key, to recognise it by.")
    key_sha256 = models.CharField(max_length=64, unique=True)
    scopes: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=20), default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEntry(models.Model):
    """One statement of what somebody did. Append-only; each entry carries the hash of the one before."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=200)
    channel = models.CharField(max_length=10)
    verb = models.CharField(max_length=80, help_text="Dotted name of the deed: procurement.purchase_order.sent")
    sentence = models.TextField()
    object_type = models.CharField(max_length=60)
    object_id = models.BigIntegerField(null=True)
    data = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-seq"]
        constraints = [models.UniqueConstraint(fields=["hash"], name="audit_hash_once")]
        indexes = [models.Index(fields=["object_type", "object_id", "-seq"], name="audit_of_object")]
        triggers = [pgtrigger.Protect(name="audit_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.sentence


class AuditHead(models.Model):
    """The newest link of the audit chain, in a single row: the lock of the chain and the proof of its length."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_head_single_row")]


class NumberSequence(models.Model):
    """The next number of a kind of document: gapless, because it is taken in the transaction that uses it."""

    name = models.CharField(max_length=40, primary_key=True)
    prefix = models.CharField(max_length=5, blank=True)
    next_value = models.BigIntegerField(default=1)
    width = models.PositiveSmallIntegerField(default=4)


class RememberedAnswer(models.Model):
    """What the API answered to a request with an ``Idempotency-Key``, or where a form led; given again if repeated."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=100)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_idempotency_key")]


class Hold(models.Model):
    """What keeps a document from its deciding step until it is released (:mod:`counterfoil.platform.holds`)."""

    label = models.CharField(max_length=60, help_text="Of the document's model.")
    object_id = models.BigIntegerField()
    source = models.CharField(max_length=20, help_text="Who holds it.")
    key = models.CharField(max_length=200, help_text="Of the reason, once for a document while it holds.")
    reason = models.TextField()
    hint = models.TextField(blank=True)
    placed_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["label", "object_id"], name="holds_of_a_document", condition=Q(released_at=None))
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["label", "object_id", "source", "key"],
                condition=Q(released_at=None),
                name="held_once_by_a_reason",
            )
        ]
