"""Pages: the audit trail, whole and of one record, with what changed in its columns."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any, Final

from django.apps import apps
from django.core.cache import cache
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_POST

from counterfoil.platform import audit
from counterfoil.platform.history import history_of
from counterfoil.platform.models import AuditEntry, User
from counterfoil.web.lists import Column, ListSpec, search_of, show_list
from counterfoil.web.threads import address_of

#: How many broken links are named; one is bad enough.
BROKEN_SHOWN: Final = 50
VERBS_SECONDS: Final = 300

TRAIL: Final = ListSpec(
    name="Audit trail",
    columns=(
        Column("at", "When", kind="moment", sort="at", card="note"),
        Column("who", "Who", "actor_name", sort="actor_name", note="channel", card="title"),
        Column("sentence", "What", note="verb", card="wide"),
        Column(
            "record",
            "Record",
            lambda row: _record_words(row),
            url=lambda row: address_of(row.object_type, row.object_id) or None,
        ),
        Column("seq", "No.", kind="quantity", sort="seq"),
        Column("verb", "Deed", hidden=True),
        Column("channel", "Door", hidden=True),
        Column("hash", "Hash", hidden=True),
        Column("previous_hash", "Hash before", hidden=True),
    ),
    sort="-seq",
    url=lambda row: _trail_address(row),
    noun="entries",
)


def _record_words(entry: AuditEntry) -> str:
    if entry.object_id is None:
        return ""
    app, _, name = entry.object_type.partition(".")
    with suppress(LookupError):  # a model of an earlier version keeps its label
        name = str(apps.get_model(app, name)._meta.verbose_name)
    return f"{name} {entry.object_id}"


def _trail_address(entry: AuditEntry) -> str | None:
    return reverse("web:audit_of", args=[entry.object_type, entry.object_id]) if entry.object_id is not None else None


def trail(request: HttpRequest, check: list[str] | None = None) -> HttpResponse:
    """The whole trail; ``check`` names the links that a check found broken."""
    chosen = {
        "verb": request.GET.get("verb", ""),
        "actor_name": request.GET.get("person", ""),
        "since": _day(request.GET.get("since", "")),
        "until": _day(request.GET.get("until", "")),
    }
    rows = audit.entries(search=search_of(request), **chosen)  # type: ignore[arg-type]
    context = {
        "chosen": chosen,
        "is_chosen": any(chosen.values()) or bool(search_of(request)),
        "people": [*User.objects.order_by("name").values_list("name", flat=True), "Counterfoil"],
        "verbs": cache.get_or_set("counterfoil.audit-verbs", _verbs, VERBS_SECONDS),
        "check": check,
    }
    return show_list(request, TRAIL, rows, "web/audit/trail.html", context)


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("verb").values_list("verb", flat=True).distinct())


@require_POST
def check_chain(request: HttpRequest) -> HttpResponse:
    """Walk the chain from its first entry and say whether every link holds."""
    broken = []
    for link in audit.broken_links():
        broken.append(link)
        if len(broken) == BROKEN_SHOWN:
            break
    return trail(request, check=broken)


def of_record(request: HttpRequest, label: str, pk: int) -> HttpResponse:
    """What was done to one record, and what changed in its columns."""
    model = _model(label)
    record = model._default_manager.filter(pk=pk).first()
    entries = AuditEntry.objects.filter(object_type=label, object_id=pk).order_by("-seq")
    if record is None and not entries:
        raise Http404
    context: dict[str, Any] = {
        "title": str(record) if record is not None else f"{model._meta.verbose_name} {pk}",
        "kind": str(model._meta.verbose_name),
        "is_gone": record is None,
        "url": address_of(label, pk) if record is not None else "",
        "entries": entries[:200],
        "changes": history_of(model, pk),
    }
    return render(request, "web/audit/record.html", context)


def _model(label: str) -> type[Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise Http404 from error


urlpatterns: list[URLPattern] = [
    path("audit/", trail, name="audit"),
    path("audit/check/", check_chain, name="audit_check"),
    path("audit/<str:label>/<int:pk>/", of_record, name="audit_of"),
]
