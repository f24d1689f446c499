"""Pages: the people who may sign in, and the API keys of their scripts."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.platform.identity import Role
from counterfoil.platform.models import ApiToken, User
from counterfoil.platform.users import (
    SCOPES,
    change_user,
    create_api_token,
    create_user,
    revoke_api_token,
)
from counterfoil.web import sent
from counterfoil.web.actions import actor_of, now
from counterfoil.web.forms import DayField, Deed, PageForm, form_page, posted, require, run_deed
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list

ROLES: Final = (
    (Role.OWNER.value, "Owner: everything, also people and their roles"),
    (Role.SALES.value, "Sales: opportunities, agreements, sales orders"),
    (Role.PROCUREMENT.value, "Procurement: purchase orders, receiving, stock, vendor bills"),
    (Role.FINANCE.value, "Finance: invoices, payments, books, assets"),
    (Role.VIEWER.value, "Viewer: sees everything and changes nothing"),
)

PEOPLE: Final = ListSpec(
    name="People",
    columns=(
        Column("name", "Name", kind="key"),
        Column("email", "E-mail", sort="email", card="note"),
        Column("roles", "Roles", lambda row: ", ".join(row.roles), card="note"),
        Column("state", "State", lambda row: "active" if row.is_active else "may not sign in", kind="state"),
        Column("last_login", "Last signed in", kind="moment", sort="last_login"),
    ),
    chips=(Chips("is_active", (("True", "May sign in"), ("False", "May not"))),),
    sort="name",
    url=lambda row: reverse("web:user", args=[row.pk]),
    placeholder="Name or e-mail",
)


class PersonForm(PageForm):
    """A person's name and roles."""

    name = forms.CharField(label="Name", max_length=100)
    roles = forms.TypedMultipleChoiceField(
        label="Roles", choices=ROLES, coerce=Role, widget=forms.CheckboxSelectMultiple, required=False
    )


class NewPersonForm(PersonForm):
    """Somebody who has no account yet."""

    email = forms.EmailField(label="E-mail", help_text="What the person signs in with.")
    password = forms.CharField(
        label="First password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least ten characters. The person changes it after signing in.",
        strip=False,
    )
    field_order = ("name", "email", "password", "roles")


def _crumbs() -> tuple[tuple[str, str], ...]:
    return (("People", reverse("web:users")),)


def people(request: HttpRequest) -> HttpResponse:
    """Everybody with an account."""
    require(request, change_user)
    return show_list(request, PEOPLE, _named(User.objects.all(), search_of(request)), "web/people/people.html")


def _named(users: QuerySet[User], search: str) -> QuerySet[User]:
    for word in search.split():
        users = users.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return users


def new_person(request: HttpRequest) -> HttpResponse:
    """Add a person."""
    form = NewPersonForm(posted(request))
    return form_page(
        request,
        create_user,
        form,
        lambda: create_user(actor=actor_of(request), **form.given()),
        Deed(
            title="Add a person",
            button="Add",
            back=reverse("web:users"),
            then=lambda made: reverse("web:user", args=[made.pk]),
            said=lambda made: f"{made.name} may sign in now.",
            crumbs=_crumbs(),
        ),
        template="web/people/form.html",
    )


def person(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a person's name and roles, or whether the person may sign in."""
    require(request, change_user)
    user = User.objects.filter(pk=pk).first()
    if user is None:
        raise Http404
    here = reverse("web:user", args=[pk])
    form = PersonForm(posted(request), initial={"name": user.name, "roles": user.roles})
    return form_page(
        request,
        change_user,
        form,
        lambda: change_user(actor=actor_of(request), user_id=pk, **form.given()),
        Deed(
            title=user.name,
            button="Save",
            back=reverse("web:users"),
            then=lambda _: here,
            said=lambda made: f"{made.name} was changed.",
            crumbs=_crumbs(),
        ),
        template="web/people/person.html",
        context={
            "person": user,
            "tokens": _tokens(ApiToken.objects.filter(user=user)),
            "trail": trail_of(user)[:10],
        },
    )


@require_POST
def set_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a person sign in, or not any more."""
    active = request.POST.get("active") == "yes"
    return run_deed(
        request,
        lambda: change_user(actor=actor_of(request), user_id=pk, active=active),
        then=reverse("web:user", args=[pk]),
        said=lambda made: f"{made.name} {'may sign in again' if active else 'may not sign in any more'}.",
    )


# -- API keys ----------------------------------------------------------------------------------------------------------


class TokenForm(PageForm):
    """A key for a script."""

    name = forms.CharField(label="What it is for", max_length=60)
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[(scope, f"{scope.capitalize()}{': everything' if scope == 'owner' else ''}") for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Never more than your own roles allow.",
    )
    expires_on = DayField(label="Valid through", required=False)


def tokens(request: HttpRequest) -> HttpResponse:
    """One's own keys; the owner sees everybody's."""
    actor = actor_of(request)
    rows = ApiToken.objects.select_related("user")
    if not actor.may():
        rows = rows.filter(user_id=actor.user_id or 0)
    context = {"tokens": _tokens(rows), "all": actor.may()}
    return render(request, "web/people/tokens.html", context)


def _tokens(rows: QuerySet[ApiToken]) -> list[dict[str, Any]]:
    at = now()
    return [
        {
            "token": row,
            "state": "revoked"
            if row.revoked_at
            else "expired"
            if row.expires_at is not None and row.expires_at <= at
            else "active",
        }
        for row in rows.select_related("user")[:200]
    ]


def new_token(request: HttpRequest) -> HttpResponse:
    """Make a key. It is shown on the page that follows, once."""
    actor = actor_of(request)
    form = TokenForm(posted(request), initial={"scopes": ["read"], "expires_on": None})
    refusal: DomainError | None = None
    made: dict[str, Any] = {}

    def make() -> str:
        given = form.cleaned_data
        made["token"], made["key"] = create_api_token(
            actor=actor,
            user_id=actor.user_id or 0,
            name=given["name"],
            scopes=given["scopes"],
            now=now(),
            expires_at=_end_of(given["expires_on"]),
        )
        return reverse("web:api_tokens")

    if request.method == "POST" and form.is_valid():
        try:
            where = sent.once(request, make)
        except DomainError as error:
            field = {"expires_at": "expires_on"}.get(error.field or "", error.field)
            if field in form.fields:
                form.add_error(field, error.message)
            else:
                refusal = error
        else:
            if not made:
                return redirect(where)
            # The key goes into this answer alone, which nothing may keep.
            answer = render(request, "web/people/token_made.html", made)
            answer["Cache-Control"] = "no-store"
            return answer
    deed = Deed(
        title="New API token",
        button="Make the token",
        back=reverse("web:api_tokens"),
        then=lambda _: reverse("web:api_tokens"),
        said=lambda _: "",
        crumbs=(("API tokens", reverse("web:api_tokens")),),
    )
    context = {"form": form, "lines": None, "deed": deed, "refusal": refusal, "sent": sent.token()}
    return render(request, "web/people/form.html", context, status=422 if request.method == "POST" else 200)


def _end_of(day: Any) -> datetime | None:
    """The first instant after the day, where the MSP is."""
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), time()))


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke a key at once."""
    return run_deed(
        request,
        lambda: revoke_api_token(actor=actor_of(request), token_id=pk, now=now()),
        then=reverse("web:api_tokens"),
        said=lambda token: f"The token {token} is revoked.",
    )


urlpatterns: list[URLPattern] = [
    path("people/", people, name="users"),
    path("people/new/", new_person, name="user_new"),
    path("people/<int:pk>/", person, name="user"),
    path("people/<int:pk>/active/", set_active, name="user_active"),
    path("api-tokens/", tokens, name="api_tokens"),
    path("api-tokens/new/", new_token, name="api_token_new"),
    path("api-tokens/<int:pk>/revoke/", revoke, name="api_token_revoke"),
]
