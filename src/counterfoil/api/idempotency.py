"""``Idempotency-Key``: a request that is sent again is answered again, not done again.

The key is claimed in the transaction of the command, by the unique constraint on user and key:

- the same request again gets the remembered answer, with the header ``Idempotent-Replay: true``;
- another request with the same key is refused (409 ``idempotency_key_reused``);
- of two at once one runs and the other waits for it, then gets its answer;
- a refused request, or one that was killed, leaves nothing: the key is free again.

Keys are kept for good: they are small, and a late repetition is as wrong as an early one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse

from counterfoil.api.auth import actor_of
from counterfoil.core.errors import DomainError
from counterfoil.platform.holds import Held
from counterfoil.platform.models import RememberedAnswer

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"
MAX_LENGTH = 100
#: How long a repetition waits for the first request to end, in milliseconds.
PATIENCE = 20_000


class OpenAnswer(HttpResponse):
    """An answer with a secret that is shown once; ``remembered`` is what a repetition gets instead."""

    remembered: str = ""


def once(request: HttpRequest, run: Callable[[], HttpResponse]) -> HttpResponse:
    """Run a POST, once per key of its user.

    Args:
        request: signed in.
        run: runs the command and makes the answer.

    Raises:
        DomainError: ``invalid`` key, ``idempotency_key_reused``, ``conflict``, and what ``run`` raises.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return run()
    if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise DomainError("invalid", f"The key must be 1 to {MAX_LENGTH} printable ASCII characters.", field=HEADER)
    user_id, fingerprint = actor_of(request).user_id, _fingerprint(request)
    assert user_id is not None  # a token is somebody's
    try:
        with transaction.atomic():
            claim = _claim(user_id, key, fingerprint)
            if claim is None:
                return _replay(user_id, key, fingerprint)
            response = run()
            claim.status, claim.body = response.status_code, _to_remember(response)
            claim.save(update_fields=["status", "body"])
    except Held as refusal:
        refusal.keep()  # what the command kept of it went with the key
        raise
    return response


def _to_remember(response: HttpResponse) -> str:
    return response.remembered if isinstance(response, OpenAnswer) else response.content.decode()


def _claim(user_id: int, key: str, fingerprint: str) -> RememberedAnswer | None:
    """Take the key; ``None`` when it is taken. Waits for a request that is using it right now."""
    claim = RememberedAnswer(user_id=user_id, key=key, request_sha256=fingerprint, status=0, body="")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(PATIENCE)])
            claim.save()
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except IntegrityError:
        return None
    return claim


def _replay(user_id: int, key: str, fingerprint: str) -> HttpResponse:
    answer = RememberedAnswer.objects.filter(user_id=user_id, key=key).first()
    if answer is None:
        raise DomainError("conflict", "A request with this key is just being answered. Try again in a moment.")
    if answer.request_sha256 != fingerprint:
        raise DomainError(
            "idempotency_key_reused",
            "This key was used for another request.",
            field=HEADER,
            hint="Use a new key for every new request.",
        )
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json; charset=utf-8")
    response[REPLAY_HEADER] = "true"
    return response


def _fingerprint(request: HttpRequest) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if request.content_type == "multipart/form-data":  # its boundary differs each time
        for name, files in sorted(request.FILES.lists()):
            for file in files:
                digest.update(f"{name}\n".encode() + hashlib.sha256(file.read()).digest())
                file.seek(0)
    else:
        digest.update(request.body)
    return digest.hexdigest()
