"""Notification groups: who is told of alerts, by the channels that each has; and which rules tell which groups."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct, convert, to_builtins

from duoscope.kernel.ids import new_id
from duoscope.metadata.columns import IsActive
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.metadata.silences import Matcher
from duoscope.stores.postgres import Record, Transaction

GroupBy = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]],
    Meta(
        max_length=20,
        description="Alerts with the same values of these labels are told in one message; `...` stands for all labels.",
        examples=[["alertname", "service"]],
    ),
]
GroupWait = Annotated[
    int, Meta(ge=0, le=3600, description="How long a message waits for further alerts of its group.", examples=[30])
]
GroupInterval = Annotated[
    int, Meta(ge=0, le=86_400, description="The least time between two messages of a group.", examples=[300])
]
RepeatInterval = Annotated[
    int,
    Meta(
        ge=0, le=2_592_000, description="After so long without a message, what still fires is told again; 0 for never.",
        examples=[14_400],
    ),
]  # fmt: skip
TELLING: Final = (
    *("group_by", "group_wait_seconds", "group_interval_seconds", "repeat_interval_seconds", "external_matchers"),
)
"""How alerts are told together."""


class NotificationGroup(Struct, frozen=True):
    """A group of channels that rules name together."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    group_id: UUID
    name: Annotated[str, Meta(examples=["Shop on call"])]
    description: str
    is_active: IsActive
    created_at: datetime
    updated_at: datetime
    group_by: GroupBy
    group_wait_seconds: GroupWait
    group_interval_seconds: GroupInterval
    repeat_interval_seconds: RepeatInterval
    external_matchers: Annotated[
        list[Matcher] | None,
        Meta(description="It is told of alerts that others post and that meet all of these; null: of none."),
    ]

    @property
    def notification_group_id(self) -> UUID:
        """The group's id, by the name that the audit log expects of a resource."""
        return self.group_id


LISTING: Final = Listing(
    name="notification_groups",
    select="SELECT * FROM notification_groups",
    key="group_id",
    sorts={"name": str, "created_at": datetime},
    filters={"name": CONTAINS, "is_active": "is_active = ?"},
)


def from_row(row: Record) -> NotificationGroup:
    """Build a NotificationGroup from a row of the listing or of the table."""
    return convert(dict(row), NotificationGroup)


async def create(tx: Transaction, *, name: str, description: str, telling: Mapping[str, object]) -> NotificationGroup:
    """Store a group in the transaction's tenant; `telling` has some of TELLING. Raises CONFLICT for a name that is
    taken in the tenant.
    """
    with taken("notification-group", "name"):
        row = await tx.fetchrow(
            "INSERT INTO notification_groups (organization_id, workspace_id, tenant_id, group_id, name, description, "
            "group_by, group_wait_seconds, group_interval_seconds, repeat_interval_seconds, external_matchers) "
            "VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), $1, $2, $3, "
            "coalesce($4::text[], '{alertname}'), coalesce($5, 0), coalesce($6, 0), coalesce($7, 0), $8) RETURNING *",
            *(new_id(), name, description, *(to_builtins(telling.get(each)) for each in TELLING)),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, group_id: UUID) -> NotificationGroup | None:
    """The group, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM notification_groups WHERE group_id = $1", group_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, group_id: UUID) -> NotificationGroup | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow("SELECT * FROM notification_groups WHERE group_id = $1 FOR UPDATE", group_id)
    return from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many groups the transaction's tenant has."""
    return await tx.fetchval("SELECT count(*) FROM notification_groups WHERE tenant_id = app_tenant_id()")


async def save(tx: Transaction, group: NotificationGroup) -> NotificationGroup:
    """Save the columns that may change. Raises CONFLICT for a name that is taken in the tenant."""
    with taken("notification-group", "name"):
        row = await tx.fetchrow(
            "UPDATE notification_groups SET name = $2, description = $3, is_active = $4, group_by = $5, "
            "group_wait_seconds = $6, group_interval_seconds = $7, repeat_interval_seconds = $8, "
            "external_matchers = $9 WHERE group_id = $1 RETURNING *",
            *(group.group_id, group.name, group.description, group.is_active),
            *(to_builtins(getattr(group, each)) for each in TELLING),
        )
    assert row is not None
    return from_row(row)


async def delete(tx: Transaction, group_id: UUID) -> None:
    """Delete a group with its channels, and what they are owed."""
    await tx.execute("DELETE FROM notification_groups WHERE group_id = $1", group_id)


async def of_tenant(tx: Transaction) -> list[NotificationGroup]:
    """The active groups of the transaction's tenant, by name."""
    rows = await tx.fetch(
        "SELECT * FROM notification_groups WHERE tenant_id = app_tenant_id() AND is_active ORDER BY name"
    )
    return [from_row(row) for row in rows]


async def of_external(tx: Transaction, tenant_ids: Collection[UUID]) -> list[NotificationGroup]:
    """The active groups of tenants that are told of alerts that others post."""
    rows = await tx.fetch(
        "SELECT * FROM notification_groups WHERE tenant_id = ANY ($1) AND is_active AND external_matchers IS NOT NULL",
        list(tenant_ids),
    )
    return [from_row(row) for row in rows]


async def of_rules(tx: Transaction) -> list[tuple[UUID, UUID]]:
    """Rules of the transaction's tenant, each with an active group that it tells."""
    rows = await tx.fetch(
        "SELECT l.alert_rule_id, l.notification_group_id FROM alert_rule_notification_groups l "
        "JOIN notification_groups g ON g.tenant_id = l.tenant_id AND g.group_id = l.notification_group_id "
        "WHERE l.tenant_id = app_tenant_id() AND g.is_active ORDER BY g.name"
    )
    return [(row["alert_rule_id"], row["notification_group_id"]) for row in rows]


async def of_rule(tx: Transaction, alert_rule_id: UUID) -> list[UUID]:
    """The groups that a rule tells, in the order of their ids."""
    rows = await tx.fetch(
        "SELECT notification_group_id FROM alert_rule_notification_groups WHERE alert_rule_id = $1 "
        "ORDER BY notification_group_id",
        alert_rule_id,
    )
    return [row["notification_group_id"] for row in rows]


async def set_of_rule(tx: Transaction, alert_rule_id: UUID, group_ids: Sequence[UUID]) -> None:
    """Replace the groups that a rule tells. Ids of groups that the transaction may not see are left out."""
    await tx.execute(
        "DELETE FROM alert_rule_notification_groups WHERE alert_rule_id = $1 AND notification_group_id <> ALL ($2)",
        *(alert_rule_id, list(group_ids)),
    )
    await tx.execute(
        "INSERT INTO alert_rule_notification_groups (organization_id, workspace_id, tenant_id, id, alert_rule_id, "
        "notification_group_id) SELECT organization_id, workspace_id, tenant_id, gen_random_uuid(), $1, group_id "
        "FROM notification_groups WHERE group_id = ANY ($2) ON CONFLICT DO NOTHING",
        *(alert_rule_id, list(group_ids)),
    )
