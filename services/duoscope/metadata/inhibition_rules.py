"""Inhibition rules: while one alert fires, nobody is told of another that follows from it."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct, convert, to_builtins

from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.metadata.silences import Matcher
from duoscope.stores.postgres import Record, Transaction


class InhibitionRule(Struct, frozen=True):
    """An inhibition rule of a tenant."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    inhibition_rule_id: UUID
    name: str
    source_matchers: Annotated[list[Matcher], Meta(description="Of the alert that inhibits.")]
    target_matchers: Annotated[list[Matcher], Meta(description="Of the alerts that nobody is told of meanwhile.")]
    equal: Annotated[list[str], Meta(description="Labels of which both have the same value, or none.")]
    is_enabled: bool
    created_at: datetime
    updated_at: datetime


class Firing(Struct, frozen=True):
    """An alert that fires; `rule_labels` are those of its rule, with their templates."""

    tenant_id: UUID
    instance_id: UUID
    labels: dict[str, str]
    rule_labels: dict[str, str] = {}


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, inhibition_rule_id, name, source_matchers, target_matchers, equal, "
    "is_enabled, created_at, updated_at"
)
LISTING: Final = Listing(
    name="inhibition_rules",
    select=f"SELECT {_COLUMNS} FROM inhibition_rules",
    key="inhibition_rule_id",
    sorts={"name": str, "created_at": datetime},
    filters={"name": CONTAINS, "is_enabled": "is_enabled = ?"},
)


def from_row(row: Record) -> InhibitionRule:
    """Build an InhibitionRule from a row of the listing or of the table."""
    return convert(dict(row), InhibitionRule)


async def create(tx: Transaction, inhibition_rule_id: UUID, values: dict[str, Any]) -> InhibitionRule:
    """Store a rule of the transaction's tenant. Raises CONFLICT for the name."""
    with taken("inhibition-rule", "name"):
        row = await tx.fetchrow(
            "INSERT INTO inhibition_rules (organization_id, workspace_id, tenant_id, inhibition_rule_id, name, "
            "source_matchers, target_matchers, equal, is_enabled) VALUES (app_organization_id(), app_workspace_id(), "
            f"app_tenant_id(), $1, $2, $3, $4, $5, $6) RETURNING {_COLUMNS}",
            *(inhibition_rule_id, values["name"], to_builtins(values["source_matchers"])),
            *(to_builtins(values["target_matchers"]), values["equal"], values["is_enabled"]),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, inhibition_rule_id: UUID) -> InhibitionRule | None:
    """The rule, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM inhibition_rules WHERE inhibition_rule_id = $1", inhibition_rule_id
    )
    return from_row(row) if row else None


async def lock(tx: Transaction, inhibition_rule_id: UUID) -> InhibitionRule | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM inhibition_rules WHERE inhibition_rule_id = $1 FOR UPDATE", inhibition_rule_id
    )
    return from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many rules the transaction's tenant has."""
    return await tx.fetchval("SELECT count(*) FROM inhibition_rules WHERE tenant_id = app_tenant_id()")


async def save(tx: Transaction, rule: InhibitionRule) -> InhibitionRule:
    """Save all that may change. Raises CONFLICT for the name."""
    with taken("inhibition-rule", "name"):
        row = await tx.fetchrow(
            "UPDATE inhibition_rules SET name = $2, source_matchers = $3, target_matchers = $4, equal = $5, "
            f"is_enabled = $6 WHERE inhibition_rule_id = $1 RETURNING {_COLUMNS}",
            *(rule.inhibition_rule_id, rule.name, to_builtins(rule.source_matchers)),
            *(to_builtins(rule.target_matchers), rule.equal, rule.is_enabled),
        )
    assert row is not None
    return from_row(row)


async def delete(tx: Transaction, inhibition_rule_id: UUID) -> None:
    """Delete a rule."""
    await tx.execute("DELETE FROM inhibition_rules WHERE inhibition_rule_id = $1", inhibition_rule_id)


async def enabled(tx: Transaction, tenant_ids: Collection[UUID] | None = None) -> list[InhibitionRule]:
    """The rules that apply: of these tenants in a platform transaction, or of the transaction's tenant."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM inhibition_rules WHERE ($1::uuid[] IS NULL OR tenant_id = ANY ($1)) AND is_enabled "
        "ORDER BY created_at, inhibition_rule_id",
        None if tenant_ids is None else list(tenant_ids),
    )
    return [from_row(row) for row in rows]


async def firing(tx: Transaction, tenant_ids: Collection[UUID]) -> list[Firing]:
    """The alerts of tenants that fire now, and may inhibit others."""
    rows = await tx.fetch(
        """
        SELECT i.tenant_id, i.instance_id,
            jsonb_build_object('alertname', r.name, 'severity', r.severity) || i.labels AS labels,
            r.labels AS rule_labels
        FROM alert_instances i JOIN alert_rules r USING (tenant_id, alert_rule_id)
        WHERE i.tenant_id = ANY ($1) AND i.status IN ('firing', 'no_data', 'error')
        UNION ALL SELECT tenant_id, external_alert_id, labels, '{}' FROM external_alerts
        WHERE tenant_id = ANY ($1) AND ends_at > now()
        """,
        list(tenant_ids),
    )
    return [convert(dict(row), Firing) for row in rows]
