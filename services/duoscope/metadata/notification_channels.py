"""Notification channels: where messages go, with a sealed configuration; and the leases under which they are sent to.

Leases are taken across tenants and need a platform transaction; all else is of one tenant.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.metadata.notification_attempts import IS_DUE
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class NotificationChannel:
    """A row of `notification_channels`, without its lease."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    channel_id: UUID
    notification_group_id: UUID
    name: str
    channel_type: str
    config_encrypted: str = field(repr=False)
    target: str
    is_active: bool
    version: int
    last_problem: str
    created_at: datetime
    updated_at: datetime

    @property
    def notification_channel_id(self) -> UUID:
        """The channel's id, by the name that the audit log expects of a resource."""
        return self.channel_id


@dataclass(frozen=True, slots=True)
class LeasedChannel:
    """A channel to which one sender may send now.

    Attributes:
        channel: as it was when the lease was taken.
        receiver: the name of its group.
        fence: the number of the lease.
        failures: attempts in a row that the other side did not take.
        own_limits: of the tenant, by name.
    """

    channel: NotificationChannel
    receiver: str
    fence: int
    failures: int
    own_limits: dict[str, int]


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, channel_id, notification_group_id, name, channel_type, "
    "config_encrypted, target, is_active, version, last_problem, created_at, updated_at"
)
LISTING: Final = Listing(
    name="notification_channels",
    select=f"SELECT {_COLUMNS} FROM notification_channels",
    key="channel_id",
    sorts={"name": str, "created_at": datetime},
    filters={
        "name": CONTAINS,
        "is_active": "is_active = ?",
        "channel_type": "channel_type = ?",
        "notification_group_id": "notification_group_id = ?",
    },
)


def from_row(row: Record) -> NotificationChannel:
    """Build a NotificationChannel from a row of the listing or of the table."""
    return NotificationChannel(**dict(row))


async def create(
    tx: Transaction,
    *,
    channel_id: UUID,
    notification_group_id: UUID,
    name: str,
    channel_type: str,
    config_encrypted: str,
    target: str,
) -> NotificationChannel:
    """Store a channel of a group that the transaction sees. Raises CONFLICT for a name that the group has already."""
    with taken("notification-channel", "name"):
        row = await tx.fetchrow(
            "INSERT INTO notification_channels (organization_id, workspace_id, tenant_id, channel_id, "
            "notification_group_id, name, channel_type, config_encrypted, target) "
            "VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), $1, $2, $3, $4, $5, $6) "
            f"RETURNING {_COLUMNS}",
            *(channel_id, notification_group_id, name, channel_type, config_encrypted, target),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, channel_id: UUID) -> NotificationChannel | None:
    """The channel, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM notification_channels WHERE channel_id = $1", channel_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, channel_id: UUID) -> NotificationChannel | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM notification_channels WHERE channel_id = $1 FOR UPDATE", channel_id
    )
    return from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many channels the transaction's tenant has."""
    return await tx.fetchval("SELECT count(*) FROM notification_channels WHERE tenant_id = app_tenant_id()")


async def save(tx: Transaction, channel: NotificationChannel) -> NotificationChannel:
    """Save the columns that may change, as the next version: what kept the channel from sending is forgotten."""
    with taken("notification-channel", "name"):
        row = await tx.fetchrow(
            "UPDATE notification_channels SET name = $2, config_encrypted = $3, target = $4, is_active = $5, "
            "version = version + 1, last_problem = '', not_before = '-infinity', failures = 0 WHERE channel_id = $1 "
            f"RETURNING {_COLUMNS}",
            *(channel.channel_id, channel.name, channel.config_encrypted, channel.target, channel.is_active),
        )
    assert row is not None
    return from_row(row)


async def delete(tx: Transaction, channel_id: UUID) -> None:
    """Delete a channel, and what it is owed."""
    await tx.execute("DELETE FROM notification_channels WHERE channel_id = $1", channel_id)


async def lease(tx: Transaction, *, rows_max: int, lease_s: float) -> list[LeasedChannel]:
    """Lease active channels that are owed something that is due. One whose sender is silent for `lease_s` is leased
    again.
    """
    rows = await tx.fetch(
        f"""
        UPDATE notification_channels c SET leased_until = now() + make_interval(secs => $2), fence = fence + 1
        WHERE (tenant_id, channel_id) IN (
            SELECT c.tenant_id, c.channel_id FROM notification_channels c
            WHERE c.is_active AND c.not_before <= now() AND c.leased_until <= now() AND EXISTS (
                SELECT FROM notifications n WHERE n.tenant_id = c.tenant_id AND n.channel_id = c.channel_id AND {IS_DUE}
            )
            ORDER BY c.leased_until LIMIT $1 FOR UPDATE OF c SKIP LOCKED
        )
        RETURNING {_COLUMNS}, fence, failures, (SELECT g.name FROM notification_groups g
            WHERE g.tenant_id = c.tenant_id AND g.group_id = c.notification_group_id) AS receiver,
            (SELECT coalesce(settings -> 'limits', '{{}}') FROM tenants t WHERE t.tenant_id = c.tenant_id) AS own_limits
        """,
        *(rows_max, lease_s),
    )
    leased: list[LeasedChannel] = []
    for row in rows:
        values = dict(row)
        more = {name: values.pop(name) for name in ("receiver", "fence", "failures", "own_limits")}
        leased.append(LeasedChannel(NotificationChannel(**values), **more))
    return leased


async def renew(tx: Transaction, leased: LeasedChannel, *, lease_s: float) -> bool:
    """Hold a lease for `lease_s` more. Returns False if it is not the last one any more, or the channel was changed,
    switched off or deleted.
    """
    touched = await tx.execute(
        "UPDATE notification_channels SET leased_until = now() + make_interval(secs => $4) "
        "WHERE tenant_id = $1 AND channel_id = $2 AND fence = $3 AND version = $5 AND is_active",
        *(leased.channel.tenant_id, leased.channel.channel_id, leased.fence, lease_s, leased.channel.version),
    )
    return touched > 0


async def release(
    tx: Transaction, leased: LeasedChannel, *, failures: int, pause_s: float, problem: str, is_active: bool = True
) -> None:
    """End a lease, if it is the last one and the channel is as it was: how many attempts failed in a row, for how long
    nothing is sent, and what the other side said.
    """
    await tx.execute(
        "UPDATE notification_channels SET leased_until = '-infinity', failures = $3, last_problem = $5, "
        "not_before = now() + make_interval(secs => $4), is_active = is_active AND $6 "
        "WHERE tenant_id = $1 AND channel_id = $2 AND fence = $7 AND version = $8",
        *(leased.channel.tenant_id, leased.channel.channel_id, failures, pause_s, problem, is_active),
        *(leased.fence, leased.channel.version),
    )
