"""Agreements by the thousand for benchmarks and tests, written by COPY: only what is done with them is measured."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import models, transaction

from counterfoil.agreements.models import Addition, Agreement, AgreementType, BillingState
from counterfoil.catalog.models import Category, Product
from counterfoil.companies.models import BillingTerms, Company, Site
from counterfoil.platform.copying import copy_rows, take_ids
from counterfoil.tax.models import TaxCode, TaxLevel

START = date(2026, 1, 1)


def rows_of(model: type[models.Model], made: list[models.Model]) -> None:
    """Write unsaved instances that have their keys, by COPY."""
    fields = model._meta.concrete_fields
    now = datetime(2026, 1, 1, tzinfo=UTC)
    names = [field.attname for field in fields]

    def value(each: Any, field: Any) -> Any:
        if getattr(field, "auto_now_add", False):
            return now
        return getattr(each, field.attname)

    copy_rows(model, names, ((*(value(each, field) for field in fields),) for each in made))


def seed(
    count: int, *, additions: int = 5, start: date = START, customers_per: int = 1, kind: str = "Fleet"
) -> list[int]:
    """``count`` monthly agreements of ``additions`` additions with a two-level tax, one customer for each.

    Prices and quantities differ from agreement to agreement, by their number: the same fleet is the same bills.
    Answers with the ids of the agreements.
    """
    with transaction.atomic():
        terms, _ = BillingTerms.objects.get_or_create(name="Net 30", defaults={"due_days": 30})
        code, made = TaxCode.objects.get_or_create(identifier="OH-FC", defaults={"description": "Ohio, Franklin"})
        if made:
            for position, name, rate in ((1, "Ohio", "0.0575"), (2, "Franklin County", "0.0175")):
                TaxLevel.objects.create(
                    tax_code=code, position=position, name=name, rate=Decimal(rate), agency=f"{name} Treasury"
                )
        category, _ = Category.objects.get_or_create(name="Managed services")
        products = [
            Product.objects.get_or_create(
                identifier=f"MS-{i:02d}",
                defaults={
                    "description": f"Managed service {i}", "product_class": "Agreement",
                    "accounting_type": "Service", "category": category,
                },
            )[0]
            for i in range(20)
        ]  # fmt: skip
        agreement_type, _ = AgreementType.objects.get_or_create(name=kind)
        customers, sites = take_ids(Company, count), take_ids(Site, count)
        rows_of(
            Company,
            [
                Company(
                    id=pk, identifier=f"{kind}{pk}", name=f"Customer {n:05d} Inc.", kind="customer",
                    account_number=f"{kind}-{pk}", terms=terms, tax_code=code, created_at=None,
                )
                for n, pk in enumerate(customers)
            ],
        )  # fmt: skip
        rows_of(
            Site,
            [
                Site(
                    id=site, company_id=pk, name="Main", line1=f"{n} High St", city="Columbus", state="OH",
                    postal_code="43215", is_default=True,
                )
                for n, (site, pk) in enumerate(zip(sites, customers, strict=True))
            ],
        )  # fmt: skip
        ids = take_ids(Agreement, count)
        rows_of(
            Agreement,
            [
                Agreement(
                    id=pk, number=f"{kind[:1]}-{pk}", name="Managed services", type=agreement_type,
                    company_id=customer, bill_to_id=customer, start_date=start, bill_start_date=start,
                )
                for pk, customer in zip(ids, customers, strict=True)
            ],
        )  # fmt: skip
        rows_of(BillingState, [BillingState(agreement_id=pk, due_on=start) for pk in ids])
        keys = iter(take_ids(Addition, count * additions))
        rows_of(
            Addition,
            [
                Addition(
                    id=next(keys), agreement_id=pk, position=i + 1, product=products[(n + i) % 20],
                    description=f"Managed service {(n + i) % 20}", quantity=Decimal((n * 7 + i * 3) % 40 + 1),
                    unit_price=Decimal((n * 131 + i * 977) % 9000 + 100).scaleb(-2),
                    unit_cost=Decimal((n * 31 + i * 97) % 3000 + 50).scaleb(-2), effective_date=start,
                )
                for n, pk in enumerate(ids)
                for i in range(additions)
            ],
        )  # fmt: skip
    return ids
