"""What a vendor calls our customers and products: exact, by a name confirmed once, or suggested by likeness.

A name is looked up once however many lines carry it. A suggestion counts for nothing until a person confirms it; then
it is an alias of that vendor, and every line that carries the name follows, those of earlier statements too.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Count, Q, QuerySet
from rapidfuzz import fuzz, process

from counterfoil.catalog.models import Offer, Product
from counterfoil.companies.models import Company, CompanyKind
from counterfoil.core.errors import DomainError
from counterfoil.matching import reconciliation
from counterfoil.matching.models import AliasKind, NameAlias, NameMatch, VendorStatementLine
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked

CLERKS: Final = (Role.PROCUREMENT, Role.FINANCE)

#: Likeness from which on a name is suggested, of 100.
LIKELY: Final = 70
#: How many suggestions a person gets to choose from.
_CHOICES: Final = 3
#: What companies add to their names, and says nothing about which company it is.
_LEGAL: Final = frozenset({
    "inc", "incorporated", "llc", "llp", "ltd", "limited", "corp", "corporation", "co", "company", "gmbh", "ag", "sa",
    "bv", "plc", "pty",
})  # fmt: skip


def fold(text: str) -> str:
    """A name without capitals, accents, punctuation and double spaces: ``Müller & Co.`` is ``muller co``."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(" " if not char.isalnum() else char for char in plain if not unicodedata.combining(char))
    return " ".join(letters.split())


def _bare(folded: str) -> str:
    """A folded name without what says nothing; the whole where nothing else is left."""
    return " ".join(word for word in folded.split() if word not in _LEGAL) or folded


class Meaning(NamedTuple):
    """What a name means: the key of a company or product, and how it was found. No key: unknown."""

    pk: int | None
    match: NameMatch


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A company or product that a name may mean, with its likeness of 100."""

    pk: int
    name: str
    score: int


UNKNOWN: Final = Meaning(None, NameMatch.UNKNOWN)


@dataclass(slots=True)
class Directory:
    """Our names of one kind, for one vendor: what they mean exactly, by alias, and what to compare others with."""

    exact: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=dict)
    _compared: dict[str, int] = field(default_factory=dict)
    _ambiguous: set[str] = field(default_factory=set)

    def add(self, pk: int, name: str, *texts: str) -> None:
        """Know a record by its texts; a text that two records share means neither."""
        self.shown[pk] = name
        for text in texts:
            key = fold(text)
            if not key or key in self._ambiguous:
                continue
            if self.exact.setdefault(key, pk) != pk:
                del self.exact[key]
                self._ambiguous.add(key)
        self._compared.setdefault(_bare(fold(name)), pk)

    def find(self, *texts: str) -> Meaning:
        """What a record is called by, the surest text first: confirmed names before ours, so that people decide."""
        keys = [fold(text) for text in texts if text]
        for key in keys:
            if key in self.aliases:
                return Meaning(self.aliases[key], NameMatch.ALIAS)
        for key in keys:
            if key in self.exact:
                return Meaning(self.exact[key], NameMatch.EXACT)
        return UNKNOWN

    def suggest(self, name: str, limit: int = _CHOICES) -> list[Suggestion]:
        """What a name may mean, likeliest first: by its words in any order, less for words that only one side has."""
        wanted = _bare(fold(name))
        near = process.extract(
            wanted, self._compared.keys(), scorer=fuzz.token_set_ratio, score_cutoff=LIKELY, limit=4 * limit
        )
        scored = {text: (score + fuzz.token_sort_ratio(wanted, text)) / 2 for text, score, _ in near}
        best = sorted(scored, key=lambda text: (-scored[text], text))[:limit]
        found = ((self._compared[text], int(scored[text])) for text in best)
        return [Suggestion(pk, self.shown[pk], score) for pk, score in found if score >= LIKELY]


def customers_of(vendor_id: int) -> Directory:
    """Who a vendor's customers may be: every company that is not a vendor alone, by identifier, name and alias."""
    directory = Directory()
    rows = Company.objects.exclude(kind=CompanyKind.VENDOR).order_by("-active", "pk")
    for pk, identifier, name in rows.values_list("pk", "identifier", "name"):
        directory.add(pk, name, name, identifier)
    directory.aliases = _aliases(vendor_id, AliasKind.CUSTOMER)
    return directory


def products_of(vendor_id: int) -> Directory:
    """What a vendor's products may be: by our identifier, description and offers, the vendor's SKUs, and alias."""
    directory = Directory()
    skus: dict[int, set[str]] = defaultdict(set)
    named: dict[int, set[str]] = defaultdict(set)
    offers = Offer.objects.filter(Q(vendor=vendor_id) | Q(vendor=None, product__vendor=vendor_id))
    for product_id, sku, name in offers.values_list("product_id", "vendor_sku", "name"):
        skus[product_id].add(sku)
        named[product_id].add(name)
    rows = Product.objects.order_by("-active", "pk")
    for pk, identifier, description, sku, of in rows.values_list(
        "pk", "identifier", "description", "vendor_sku", "vendor_id"
    ):
        texts = {identifier, description, *skus[pk], *named[pk]} | ({sku} if of in (vendor_id, None) else set())
        directory.add(pk, description, *texts)
    directory.aliases = _aliases(vendor_id, AliasKind.PRODUCT)
    return directory


def _aliases(vendor_id: int, kind: AliasKind) -> dict[str, int]:
    target = "company_id" if kind == AliasKind.CUSTOMER else "product_id"
    return dict(NameAlias.objects.filter(vendor=vendor_id, kind=kind).values_list("text", target))


def product_texts(sku: str, name: str) -> tuple[str, ...]:
    """By what a product on a line is looked up: its SKU, the SKU's first part (Microsoft's ProductId), its name."""
    head, colon, _ = sku.partition(":")
    return (sku, name, head if colon else "")


def resolve(lines: Iterable[VendorStatementLine], customers: Directory, products: Directory) -> None:
    """Write on the lines what their names mean; a suggestion is written as such, and stands for a person's look."""
    known_customers: dict[tuple[str, str], Meaning] = {}
    known_products: dict[tuple[str, str], Meaning] = {}
    for line in lines:
        who = (line.customer_key, line.customer_name)
        if who not in known_customers:
            known_customers[who] = _meaning(customers, who, line.customer_name)
        what = (line.vendor_sku, line.product_name)
        if what not in known_products:
            known_products[what] = _meaning(products, product_texts(*what), line.product_name)
        line.company_id, line.company_match = known_customers[who]
        line.product_id, line.product_match = known_products[what]


def _meaning(directory: Directory, texts: Iterable[str], name: str) -> Meaning:
    found = directory.find(*texts)
    if found.pk is None and name and (likely := directory.suggest(name, 1)):
        return Meaning(likely[0].pk, NameMatch.SUGGESTED)
    return found


# -- what a person has to say ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NameToConfirm:
    """A name of a vendor that nobody has confirmed, on how many lines it stands, and what it may mean."""

    kind: str
    text: str
    sku: str
    lines: int
    suggestions: tuple[Suggestion, ...]


def names_to_confirm(statement_id: int) -> list[NameToConfirm]:
    """The names on a statement that are not understood, those on most lines first, each with what it may mean."""
    lines = VendorStatementLine.objects.filter(statement=statement_id)
    vendor_id = lines.values_list("statement__vendor", flat=True).first()
    if vendor_id is None:
        return []
    open_names = (NameMatch.SUGGESTED, NameMatch.UNKNOWN)
    customers = lines.filter(company_match__in=open_names).order_by().values_list("customer_name")
    products = lines.filter(product_match__in=open_names).order_by().values_list("product_name", "vendor_sku")
    rows: list[NameToConfirm] = []
    directory = customers_of(vendor_id)
    for name, count in customers.annotate(lines=Count("pk")).order_by("-lines", "customer_name"):
        rows.append(NameToConfirm(AliasKind.CUSTOMER, name, "", count, tuple(directory.suggest(name))))
    directory = products_of(vendor_id)
    for name, sku, count in products.annotate(lines=Count("pk")).order_by("-lines", "product_name", "vendor_sku"):
        rows.append(NameToConfirm(AliasKind.PRODUCT, name or sku, sku, count, tuple(directory.suggest(name))))
    return rows


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A name that was confirmed, and what it means."""

    id: int
    vendor: str
    kind: str
    text: str
    means: str
    confirmed_by: str
    confirmed_at: datetime


def confirmed_names(*, vendor_id: int | None = None, search: str = "") -> QuerySet[NameAlias]:
    """The names that were confirmed, by vendor, kind and name; ``search`` looks in both names."""
    rows = NameAlias.objects.select_related("vendor", "company", "product")
    if vendor_id is not None:
        rows = rows.filter(vendor=vendor_id)
    if search:
        meant = Q(company__name__icontains=search) | Q(product__description__icontains=search)
        rows = rows.filter(meant | Q(text__icontains=fold(search) or search) | Q(vendor__name__icontains=search))
    return rows


def aliases(*, vendor_id: int | None = None) -> list[AliasRow]:
    """The names that were confirmed, by vendor, kind and name."""
    return [
        AliasRow(
            row.pk, row.vendor.name, row.kind, row.text, str(row.company or row.product), row.confirmed_by,
            row.confirmed_at,
        )
        for row in confirmed_names(vendor_id=vendor_id)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeantName:
    """A vendor's name, and what it means.

    Attributes:
        kind: ``customer`` or ``product``.
        text: the name, or the vendor's key of the customer or product (its SKU).
        company_id: the customer, where it is one.
        product_id: the product, where it is one.
    """

    kind: str
    text: str
    company_id: int | None = None
    product_id: int | None = None


@command(roles=CLERKS)
def confirm_alias(
    *,
    actor: Actor,
    vendor_id: int,
    kind: str,
    text: str,
    company_id: int | None = None,
    product_id: int | None = None,
    now: datetime,
) -> NameAlias:
    """Say once what a vendor's name means. All its lines follow, and what the vendor was found to have is found anew.

    Confirming a name again changes what it means.

    Args:
        actor: who says so.
        vendor_id: whose name it is.
        kind: ``customer`` or ``product``.
        text: the name, or the vendor's key of the customer or product (its SKU).
        company_id: the customer, where it is one.
        product_id: the product, where it is one.
        now: an aware instant.

    Raises:
        DomainError: ``required`` without a name or what it means; ``not_found``; ``invalid`` for another kind.
    """
    vendor = existing(Company.objects.all(), vendor_id, "vendor_id")
    alias = _keep(vendor, MeantName(kind, text, company_id, product_id), actor, now)
    touched = _relink(vendor_id, AliasKind(kind), {fold(text)}, now)
    said = f"confirmed that {_meaning_of(alias, text)}, on {touched} lines"
    audit.record(actor, "matching.alias.confirmed", said, alias)
    return alias


@command(roles=CLERKS)
def confirm_names(*, actor: Actor, vendor_id: int, names: Sequence[MeantName], now: datetime) -> list[NameAlias]:
    """Say of many of a vendor's names what they mean, all or none; their lines are looked at again once.

    Args:
        actor: who says so.
        vendor_id: whose names they are.
        names: each with what it means; of one given twice the last counts.
        now: an aware instant.

    Raises:
        DomainError: ``required`` without names, without one's text or what it means; ``not_found``; ``invalid`` for
            another kind.
    """
    vendor = existing(Company.objects.all(), vendor_id, "vendor_id")
    if not names:
        raise DomainError("required", "Choose the names to confirm.", field="names")
    made: dict[int, NameAlias] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    for index, name in enumerate(names):
        try:
            alias = _keep(vendor, name, actor, now)
        except DomainError as error:
            error.field = f"names[{index}].{error.field}"
            raise
        made[alias.pk] = alias
        keys[name.kind].add(fold(name.text))
    for kind, of_kind in keys.items():
        _relink(vendor_id, AliasKind(kind), of_kind, now)
    among = f", one of {len(made)} names" if len(made) > 1 else ""
    for alias in made.values():
        said = f"confirmed that {_meaning_of(alias, alias.text)}{among}"
        audit.record(actor, "matching.alias.confirmed", said, alias)
    return list(made.values())


def _keep(vendor: Company, name: MeantName, actor: Actor, now: datetime) -> NameAlias:
    key = fold(name.text)
    if not key:
        raise DomainError("required", "Enter the vendor's name.", field="text")
    meant: Company | Product
    if name.kind == AliasKind.CUSTOMER:
        meant = existing(Company.objects.all(), _given(name.company_id, "company_id", "company"), "company_id")
        target: Mapping[str, Company | Product | None] = {"company": meant, "product": None}
    elif name.kind == AliasKind.PRODUCT:
        meant = existing(Product.objects.all(), _given(name.product_id, "product_id", "product"), "product_id")
        target = {"company": None, "product": meant}
    else:
        raise DomainError("invalid", f"“{name.kind}” is neither customer nor product.", field="kind")
    alias, _ = NameAlias.objects.update_or_create(
        vendor=vendor, kind=name.kind, text=key[:200],
        defaults={**target, "confirmed_by": actor.name, "confirmed_at": now},
    )  # fmt: skip
    return alias


def _meaning_of(alias: NameAlias, text: str) -> str:
    return f"the {alias.kind} “{text.strip()}” of {alias.vendor.name} is {alias.company or alias.product}"


def _given(pk: int | None, field_name: str, what: str) -> int:
    if pk is None:
        raise DomainError("required", f"Choose the {what} that is meant.", field=field_name)
    return pk


@command(roles=CLERKS)
def remove_alias(*, actor: Actor, alias_id: int, now: datetime) -> None:
    """Forget what a name means; its lines are as unknown as they were, and differences are found anew.

    Raises:
        DomainError: ``not_found``.
    """
    alias = locked(NameAlias.objects.select_related("vendor"), alias_id)
    audit.record(
        actor, "matching.alias.removed", f"forgot the {alias.kind} name “{alias.text}” of {alias.vendor.name}", alias
    )
    alias.delete()
    _relink(alias.vendor_id, AliasKind(alias.kind), {alias.text}, now)


def _relink(vendor_id: int, kind: AliasKind, keys: Collection[str], now: datetime) -> int:
    """Look up again the lines of a vendor that carry one of the names (folded), and compare what they meant and mean.

    Returns:
        How many lines do.
    """
    wanted = set(keys)
    lines = VendorStatementLine.objects.filter(statement__vendor=vendor_id).order_by()
    if kind == AliasKind.CUSTOMER:
        code, name, pk, match = "customer_key", "customer_name", "company_id", "company_match"
        directory = customers_of(vendor_id)
    else:
        code, name, pk, match = "vendor_sku", "product_name", "product_id", "product_match"
        directory = products_of(vendor_id)
    touched, meant = 0, set()
    for given_code, given_name in lines.values_list(code, name).distinct():
        texts = product_texts(given_code, given_name) if kind == AliasKind.PRODUCT else (given_code, given_name)
        if wanted.isdisjoint(fold(text) for text in texts):
            continue
        meaning = _meaning(directory, texts, given_name)
        carrying = lines.filter(**{code: given_code, name: given_name})
        meant |= {meaning.pk, *carrying.values_list(pk, flat=True).distinct()}
        touched += carrying.update(**{pk: meaning.pk, match: meaning.match})
    those = {each for each in meant if each is not None}
    if kind == AliasKind.CUSTOMER:
        reconciliation.look_again(vendor_id, companies=those, now=now)
    else:
        reconciliation.look_again(vendor_id, products=those, now=now)
    return touched
