"""Groups of alerts that are told to a channel together, and their repetition while they fire."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class Told:
    """A beginning that a channel was told, whose alert still fires."""

    tenant_id: UUID
    notification_id: UUID
    instance_id: UUID
    alert: dict[str, Any]


async def to_repeat(tx: Transaction, *, groups_max: int) -> list[Told]:
    """The alerts that still fire of groups of which nothing was told for the repeat interval, which begins anew."""
    rows = await tx.fetch(
        """
        WITH overdue AS (
            SELECT a.tenant_id, a.channel_id, a.group_key FROM aggregation_groups a
            JOIN notification_channels c USING (tenant_id, channel_id)
            JOIN notification_groups g ON g.tenant_id = c.tenant_id AND g.group_id = c.notification_group_id
            WHERE g.repeat_interval_seconds > 0 AND c.is_active AND g.is_active AND a.next_at IS NULL
            AND greatest(a.last_at, a.repeated_at) <= now() - make_interval(secs => g.repeat_interval_seconds)
            ORDER BY a.last_at LIMIT $1 FOR UPDATE OF a SKIP LOCKED
        ), noted AS (
            UPDATE aggregation_groups a SET repeated_at = now() FROM overdue o
            WHERE a.tenant_id = o.tenant_id AND a.channel_id = o.channel_id AND a.group_key = o.group_key
        )
        SELECT n.tenant_id, n.notification_id, n.instance_id, n.alert FROM overdue o JOIN notifications n
            ON n.tenant_id = o.tenant_id AND n.channel_id = o.channel_id AND n.group_key = o.group_key
        WHERE n.status = 'firing' AND n.state = 'sent' AND NOT n.is_repeat AND NOT EXISTS (
            SELECT FROM notifications e WHERE e.tenant_id = n.tenant_id AND e.channel_id = n.channel_id
            AND e.instance_id = n.instance_id AND (e.number > n.number OR e.is_repeat AND e.settled_at IS NULL))
        """,
        groups_max,
    )
    return [Told(**dict(row)) for row in rows]


async def repeat(tx: Transaction, told: Sequence[Told]) -> None:
    """Owe once more, and now, what channels were told."""
    await tx.execute(
        """
        WITH again AS (
            INSERT INTO notifications (organization_id, workspace_id, tenant_id, notification_id, channel_id,
                alert_rule_id, alert_rule_name, instance_id, transition_id, number, status, alert, group_key, is_repeat)
            SELECT organization_id, workspace_id, tenant_id, gen_random_uuid(), channel_id, alert_rule_id,
                alert_rule_name, instance_id, gen_random_uuid(), number, status, alert, group_key, true
            FROM notifications n JOIN unnest($1::uuid[], $2::uuid[]) AS t (tenant_id, notification_id)
                USING (tenant_id, notification_id)
            RETURNING tenant_id, channel_id, group_key
        )
        UPDATE aggregation_groups a SET next_at = now() FROM again
        WHERE a.tenant_id = again.tenant_id AND a.channel_id = again.channel_id AND a.group_key = again.group_key
        """,
        *([getattr(each, name) for each in told] for name in ("tenant_id", "notification_id")),
    )


async def forget(tx: Transaction, *, rows_max: int) -> int:
    """Remove groups of which nothing is left. Returns how many."""
    return await tx.execute(
        """
        DELETE FROM aggregation_groups WHERE (tenant_id, channel_id, group_key) IN (
            SELECT a.tenant_id, a.channel_id, a.group_key FROM aggregation_groups a
            WHERE a.next_at IS NULL AND a.last_at < now() - interval '2 days' AND NOT EXISTS (
                SELECT FROM notifications n WHERE n.tenant_id = a.tenant_id AND n.channel_id = a.channel_id
                AND n.group_key = a.group_key
            ) LIMIT $1
        )
        """,
        rows_max,
    )
