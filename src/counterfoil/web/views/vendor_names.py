"""Pages: what vendors' names mean: those that were confirmed, and many suggested ones confirmed at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.core.errors import DomainError
from counterfoil.matching import names
from counterfoil.matching.models import AliasKind, NameAlias, VendorStatement
from counterfoil.platform.audit import trail_of
from counterfoil.web.actions import actor_of, now
from counterfoil.web.forms import CompanyField, Deed, PageForm, ProductField, form_page, posted, require, run_deed
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import TRAIL

#: From this likeness on a suggestion is ticked from the start, where no other one is as likely.
SURE: Final = 90
#: So many names are shown on one page of suggestions.
SHOWN: Final = 200

NAMES: Final = ListSpec(
    name="Confirmed names",
    columns=(
        Column("text", "Vendor writes", kind="key"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", card="note"),
        Column("kind", "Kind", "get_kind_display", sort="kind", card="note"),
        Column("means", "Means", lambda alias: str(alias.company or alias.product), card="wide"),
        Column("confirmed", "Confirmed", "confirmed_at", kind="moment", sort="confirmed_at", note="confirmed_by"),
    ),
    chips=(
        Chips(
            "kind",
            ((AliasKind.CUSTOMER, "Customers"), (AliasKind.PRODUCT, "Products")),
            where={kind: Q(kind=kind) for kind in AliasKind.values},
        ),
    ),
    sort="text",
    url=lambda alias: reverse("web:vendor_name", args=[alias.pk]),
    placeholder="Name, vendor, customer or product",
    noun="names",
)


@require_GET
def name_list(request: HttpRequest) -> HttpResponse:
    """The names that were confirmed, of all vendors."""
    return show_list(request, NAMES, names.confirmed_names(search=search_of(request)), "web/match/names.html")


class MeansForm(PageForm):
    """What a confirmed name means from now on."""

    def __init__(self, alias: NameAlias, data: Any = None) -> None:
        super().__init__(data, initial={"means": str(alias.company or alias.product)})
        field = CompanyField if alias.kind == AliasKind.CUSTOMER else ProductField
        self.fields["means"] = field(label="Means")


def name(request: HttpRequest, pk: int) -> HttpResponse:
    """A confirmed name: what it means, changed or forgotten."""
    alias = names.confirmed_names().filter(pk=pk).first()
    if alias is None:
        raise Http404
    form = MeansForm(alias, posted(request))
    target = "company_id" if alias.kind == AliasKind.CUSTOMER else "product_id"
    listed = reverse("web:vendor_names")
    return form_page(
        request,
        names.confirm_alias,
        form,
        lambda: names.confirm_alias(
            actor=actor_of(request), vendor_id=alias.vendor_id, kind=alias.kind, text=alias.text, now=now(),
            **{target: form.cleaned_data["means"]},
        ),
        Deed(
            title=f"“{alias.text}” of {alias.vendor.name}",
            button="Save",
            back=listed,
            then=lambda _: listed,
            said=lambda made: f"“{made.text}” is {made.company or made.product} from now on.",
            crumbs=(("Reconciliation", reverse("web:vendor_statements")), ("Confirmed names", listed)),
            intro="Its lines on all statements of the vendor follow, and what differs is found anew.",
        ),
        template="web/match/confirmed_name.html",
        context={"alias": alias, "trail": trail_of(alias)[:TRAIL]},
    )  # fmt: skip


@require_POST
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget what a name means."""
    return run_deed(
        request,
        lambda: names.remove_alias(actor=actor_of(request), alias_id=pk, now=now()),
        then=reverse("web:vendor_names"),
        said="The name is forgotten; its lines wait to be understood again.",
    )


# -- many at once ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suggested:
    """A name with what it may mean; ``ticked`` where one of them stands out."""

    name: names.NameToConfirm
    ticked: bool


def suggested(request: HttpRequest, pk: int) -> HttpResponse:
    """The suggestions for the names of a statement, to be confirmed at once."""
    require(request, names.confirm_names)
    found = VendorStatement.objects.select_related("vendor").filter(pk=pk).first()
    if found is None:
        raise Http404
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            made = names.confirm_names(
                actor=actor_of(request), vendor_id=found.vendor_id, names=_ticked(request.POST), now=now()
            )
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, f"{len(made)} name{'' if len(made) == 1 else 's'} confirmed.")
            return redirect("web:vendor_statement", pk)
    open_names = [each for each in names.names_to_confirm(pk) if each.suggestions]
    context = {
        "statement": found,
        "rows": [Suggested(each, _stands_out(each)) for each in open_names[:SHOWN]],
        "more": max(len(open_names) - SHOWN, 0),
        "refusal": refusal,
    }
    return render(request, "web/match/suggested_names.html", context, status=422 if refusal else 200)


def _stands_out(name: names.NameToConfirm) -> bool:
    scores = [each.score for each in name.suggestions]
    return scores[0] >= SURE and scores.count(scores[0]) == 1


def _ticked(sent: Mapping[str, Any]) -> list[names.MeantName]:
    """The ticked rows: each carries its kind and text, and which suggestion is chosen."""
    chosen = []
    for key in sent:
        row = key.removeprefix("confirm-")
        if row == key:
            continue
        kind, text, meant = (str(sent.get(f"{part}-{row}", "")) for part in ("kind", "text", "meant"))
        target = int(meant) if meant.isdecimal() and len(meant) < 19 else None
        is_customer = kind == AliasKind.CUSTOMER
        chosen.append(names.MeantName(kind, text, target if is_customer else None, None if is_customer else target))
    return chosen


urlpatterns = [
    path("match/statements/names/", name_list, name="vendor_names"),
    path("match/statements/names/<int:pk>/", name, name="vendor_name"),
    path("match/statements/names/<int:pk>/forget/", forget, name="vendor_name_forget"),
    path("match/statements/<int:pk>/names/", suggested, name="vendor_statement_names"),
]
