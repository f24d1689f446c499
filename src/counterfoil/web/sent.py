"""What a form page sends: done once, and not over what somebody else has changed since the page was shown.

Both need what stood on the page: a form carries a token of its own, and one that changes a record what it showed of it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Final, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.http.request import QueryDict
from django.utils.safestring import SafeString

from counterfoil.core.errors import DomainError
from counterfoil.platform.models import RememberedAnswer
from counterfoil.web.actions import actor_of

ONCE: Final = "sent_once"
SEEN: Final = "seen_before"
SEEN_LINES: Final = "seen_lines"

#: How long a repetition waits for the first to end: so many times so long.
_LOOKS, _MILLISECONDS = 40, 250
_ONE_VALUE = (forms.TextInput, forms.Textarea, forms.DateInput, forms.CheckboxInput, forms.Select)


# -- once --------------------------------------------------------------------------------------------------------------


def token() -> SafeString:
    """The hidden input that tells a form that is sent again from another one with the same words."""
    return forms.HiddenInput().render(ONCE, secrets.token_urlsafe(12))


def once(request: HttpRequest, run: Callable[[], str]) -> str:
    """Run what a form asks for, unless the same page has asked for just the same before.

    Args:
        request: the form, sent.
        run: does it; the address of what came of it.

    Returns:
        The address of what came of it, now or then.

    Raises:
        DomainError: ``conflict`` while it is being done; what ``run`` raises, and it can be sent again then.
    """
    if not request.POST.get(ONCE):
        return run()
    claim, is_new = RememberedAnswer.objects.get_or_create(
        **_key(request), defaults={"request_sha256": "", "status": 0, "body": ""}
    )
    if not is_new:
        return _what_came_of(request, claim)
    try:
        where = run()
    except BaseException:
        claim.delete()
        raise
    claim.status, claim.body = 302, where
    claim.save(update_fields=["status", "body"])
    return where


def came_of(request: HttpRequest) -> str:
    """The address of what the same form, sent before, has led to; empty when nothing has come of it yet.

    To be asked before the form is looked at: after the first time it may not be as it was shown.
    """
    if not request.POST.get(ONCE):
        return ""
    claim = RememberedAnswer.objects.filter(**_key(request)).exclude(body="").first()
    return _what_came_of(request, claim) if claim is not None else ""


def _what_came_of(request: HttpRequest, claim: RememberedAnswer) -> str:
    for _ in range(_LOOKS):
        if claim.body:
            messages.info(request, "That was done already, and is not done twice. To do it again, open the form anew.")
            return str(claim.body)
        time.sleep(_MILLISECONDS / 1000)
        found = RememberedAnswer.objects.filter(pk=claim.pk).first()
        if found is None:
            raise DomainError("conflict", "That was refused a moment ago.", hint="Send it once more to see why.")
        claim = found
    raise DomainError("conflict", "That is just being done.", hint="Look in a moment whether it is there.")


def _key(request: HttpRequest) -> dict[str, Any]:
    return {"user_id": actor_of(request).user_id or 0, "key": f"page {_fingerprint(request)}"}


def _fingerprint(request: HttpRequest) -> str:
    digest = hashlib.sha256(request.path.encode())
    for name, values in sorted(request.POST.lists()):
        if name != "csrfmiddlewaretoken":
            digest.update(json.dumps([name, values]).encode())
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            digest.update(name.encode() + hashlib.sha256(file.read()).digest())
            file.seek(0)
    return digest.hexdigest()


# -- not over what others have changed ---------------------------------------------------------------------------------


def shown(form: forms.Form) -> dict[str, str]:
    """What stands in the inputs of a form that shows a record, by field."""
    return {
        name: _text(form[name].initial, field)
        for name, field in form.fields.items()
        if name in form.initial and not field.disabled and type(field.widget).__name__ != "HiddenInput"
        and (isinstance(field.widget, _ONE_VALUE) or _takes_many(field))
    }  # fmt: skip


def _takes_many(field: forms.Field) -> bool:
    """Whether several of its choices can be chosen."""
    return bool(getattr(field.widget, "allow_multiple_selected", False))


def _text(value: Any, field: forms.Field) -> str:
    if isinstance(field.widget, forms.CheckboxInput):
        return "yes" if value else ""
    found: Any = field.widget.format_value(field.prepare_value(value))
    if _takes_many(field):
        return _joined(found)
    if isinstance(found, list | tuple):
        found = found[0] if found else ""
    return _plain(found)


def _joined(values: Any) -> str:
    return ",".join(sorted(map(str, values or ())))


def _plain(value: Any) -> str:
    return "" if value is None else str(value).replace("\r\n", "\n").strip()


def keep_others_changes(form: forms.Form) -> list[str]:
    """Leave what others have changed since the form was shown, where it was not changed here too.

    Args:
        form: bound, not validated yet, with the record as it is now for its initial values.

    Returns:
        The names of the fields that were changed both here and by others.
    """
    try:
        seen = json.loads(form.data.get(SEEN, "{}"))
    except ValueError:
        seen = {}
    if not isinstance(seen, dict) or not seen:
        return []
    data, both = cast(QueryDict, form.data).copy(), []
    for name, now in shown(form).items():
        was, sent = seen.get(name, now), _sent(form, name)
        if was == now or sent == now:
            continue
        if sent != was:
            both.append(name)
        elif isinstance(form.fields[name].widget, forms.CheckboxInput) and not now:
            data.pop(form.add_prefix(name), None)
        elif _takes_many(form.fields[name]):
            data.setlist(form.add_prefix(name), now.split(",") if now else [])
        else:
            data[form.add_prefix(name)] = now
    form.data = data
    return both


def _sent(form: forms.Form, name: str) -> str:
    field = form.fields[name]
    value = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
    if _takes_many(field):
        return _joined(value)
    return ("yes" if value else "") if isinstance(field.widget, forms.CheckboxInput) else _plain(value)


def say_who_was_faster(form: forms.Form, names: list[str]) -> None:
    """Say beside each field what somebody else has made of it; sent once more, it is as it was typed here."""
    for name in names:
        field = form.fields[name]
        now = _text(form[name].initial, field)
        labels = {str(key): str(label) for key, label in getattr(field, "choices", ())}
        chosen = now.split(",") if _takes_many(field) else [now]
        words = ", ".join(labels.get(each, each) for each in chosen) or "empty"
        form.add_error(
            name, f"This was changed meanwhile: it is {words} by now. Save once more if it is to be as you typed it."
        )


def seen_fields(form: forms.Form, rows: Any) -> SafeString:
    """The hidden inputs that tell, when it is sent, what the page showed of the record and of its lines."""
    hidden = forms.HiddenInput()
    return hidden.render(SEEN, json.dumps(shown(form))) + hidden.render(SEEN_LINES, lines_print(rows))


def lines_print(rows: Any) -> str:
    """A fingerprint of the lines that a page shows."""
    return hashlib.sha256(json.dumps(rows or [], default=str, sort_keys=True).encode()).hexdigest()[:16]
