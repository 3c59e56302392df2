"""The sending of what channels are owed: which rows go out in one message, and what became of it.

All of it is done across tenants, in platform transactions, by whoever holds the lease of the channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.stores.postgres import Transaction

ROWS_MAX: Final = 20_000
"""Of one message."""


@dataclass(frozen=True, slots=True)
class Place:
    """The channel that is sent to."""

    tenant_id: UUID
    channel_id: UUID


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is to be sent now.

    Attributes:
        alert_rule_id: of its rule, if it has one.
        group_key: of the group in which it is told.
        alert: what a message says of it; None for those that a message only counts.
        key: of the message in which it was tried before.
        age_s: from when it was queued, or replayed.
    """

    notification_id: UUID
    alert_rule_id: UUID | None
    instance_id: UUID
    group_key: str
    status: str
    alert: dict[str, Any] | None
    key: UUID | None
    attempts: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to send rows of a tenant in one message: the status of the answer, if one came, and its text."""

    tenant_id: UUID
    notification_ids: Sequence[UUID]
    status: int | None
    answer: str


# Of each instance the first row that is not settled; one that was never tried waits for its group's message.
IS_DUE: Final[LiteralString] = """
    n.settled_at IS NULL AND n.next_attempt_at <= now() AND (n.key IS NOT NULL OR NOT EXISTS (
        SELECT FROM aggregation_groups a WHERE a.tenant_id = n.tenant_id AND a.channel_id = n.channel_id
        AND a.group_key = n.group_key AND a.next_at > now()))
    AND NOT EXISTS (SELECT FROM notifications b WHERE b.tenant_id = n.tenant_id AND b.channel_id = n.channel_id
        AND b.instance_id = n.instance_id AND b.number < n.number AND b.settled_at IS NULL)"""
_ORDERED: Final[LiteralString] = (
    "WITH rows AS (SELECT tenant_id, notification_id FROM notifications WHERE tenant_id = $1 "
    "AND notification_id = ANY ($2) ORDER BY notification_id FOR UPDATE) "
)
"""Rows are locked in one order, so that nobody who changes several at once waits for another who waits for them."""


async def due(tx: Transaction, place: Place, *, is_summary: bool, alerts_max: int) -> list[Due]:
    """Read the rows of the next message to a channel: those of a message that is tried again, or the oldest that are
    due with all others of their group; those that fire first, with as many alerts as are told.

    Args:
        tx: a platform transaction.
        place: the channel.
        is_summary: all that is due is told in one message, of whatever group.
        alerts_max: beyond so many, rows come without their alerts.
    """
    first = await tx.fetchrow(
        f"SELECT n.key, n.group_key FROM notifications n WHERE n.tenant_id = $1 AND n.channel_id = $2 AND {IS_DUE} "
        "ORDER BY n.next_attempt_at, n.key, n.created_at, n.notification_id LIMIT 1",
        *(place.tenant_id, place.channel_id),
    )
    if first is None:
        return []
    together: LiteralString
    if first["key"] is not None:
        together, value = "n.key = $3", first["key"]
    elif is_summary:
        together, value = "n.key IS NULL AND $3::text IS NULL", None
    else:
        together, value = "n.key IS NULL AND n.group_key = $3", first["group_key"]
    rows = await tx.fetch(
        f"""
        WITH together AS (
            SELECT n.*, row_number() OVER (ORDER BY n.status, n.created_at, n.notification_id) AS place
            FROM notifications n WHERE n.tenant_id = $1 AND n.channel_id = $2 AND {together} AND {IS_DUE}
        )
        SELECT notification_id, alert_rule_id, instance_id, group_key, status,
            CASE WHEN place <= $4 THEN alert END AS alert, key, attempts,
            extract(epoch FROM now() - queued_at)::float8 AS age_s
        FROM together ORDER BY place LIMIT $5
        """,
        *(place.tenant_id, place.channel_id, value, alerts_max, ROWS_MAX),
    )
    return [Due(**dict(row)) for row in rows]


async def group_labels(tx: Transaction, place: Place, group_key: str) -> dict[str, str] | None:
    """The labels that a group was made by; None for one of before there were any."""
    return await tx.fetchval(
        "SELECT labels FROM aggregation_groups WHERE tenant_id = $1 AND channel_id = $2 AND group_key = $3",
        *(place.tenant_id, place.channel_id, group_key),
    )


async def drop_needless(tx: Transaction, place: Place) -> int:
    """Settle ends of episodes whose beginning the channel was not told, because it was given up. Returns how many."""
    return await tx.execute(
        """
        UPDATE notifications n SET state = 'needless', settled_at = now(),
            last_answer = 'The message that it fired was given up.'
        WHERE n.tenant_id = $1 AND n.channel_id = $2 AND n.settled_at IS NULL AND n.status = 'resolved'
        AND 'given_up' = (
            SELECT b.state FROM notifications b WHERE b.tenant_id = n.tenant_id AND b.channel_id = n.channel_id
            AND b.instance_id = n.instance_id AND b.number < n.number AND NOT b.is_repeat
            ORDER BY b.number DESC LIMIT 1
        )
        """,
        *(place.tenant_id, place.channel_id),
    )


async def begin_attempt(tx: Transaction, key: UUID, place: Place, notification_ids: Sequence[UUID]) -> None:
    """Count an attempt at rows that go out in one message, under its key. What their groups are owed besides, or will
    be, is told after an interval.
    """
    await tx.execute(
        f"{_ORDERED} UPDATE notifications n SET key = $3, attempts = attempts + 1 FROM rows "
        "WHERE n.tenant_id = rows.tenant_id AND n.notification_id = rows.notification_id",
        *(place.tenant_id, list(notification_ids), key),
    )
    await tx.execute(
        """
        UPDATE aggregation_groups a SET last_at = now(), next_at = CASE WHEN EXISTS (
            SELECT FROM notifications n WHERE n.tenant_id = a.tenant_id AND n.channel_id = a.channel_id
            AND n.group_key = a.group_key AND n.settled_at IS NULL AND n.key IS NULL AND n.state <> 'muted'
        ) THEN now() + make_interval(secs => a.interval_seconds) END
        WHERE a.tenant_id = $1 AND a.channel_id = $2 AND a.group_key IN (
            SELECT group_key FROM notifications WHERE tenant_id = $1 AND notification_id = ANY ($3))
        """,
        *(place.tenant_id, place.channel_id, list(notification_ids)),
    )


async def settle(tx: Transaction, attempt: Attempt, *, state: str) -> None:
    """Record that the rows of an attempt were sent, or given up."""
    await tx.execute(
        f"{_ORDERED} UPDATE notifications n SET state = $3, settled_at = now(), last_status = $4, last_answer = $5 "
        "FROM rows WHERE n.tenant_id = rows.tenant_id AND n.notification_id = rows.notification_id",
        *(attempt.tenant_id, list(attempt.notification_ids), state, attempt.status, attempt.answer),
    )


async def postpone(tx: Transaction, attempt: Attempt, *, delay_s: float) -> None:
    """Try the rows of an attempt again later."""
    await tx.execute(
        f"{_ORDERED} UPDATE notifications n SET state = 'failed', "
        "next_attempt_at = now() + make_interval(secs => $3), last_status = $4, last_answer = $5 FROM rows "
        "WHERE n.tenant_id = rows.tenant_id AND n.notification_id = rows.notification_id AND n.settled_at IS NULL",
        *(attempt.tenant_id, list(attempt.notification_ids), delay_s, attempt.status, attempt.answer),
    )


async def take_turn(tx: Transaction, tenant_id: UUID, *, messages_max: int) -> bool:
    """Count a new message among those of the tenant's hour. Returns False, and counts nothing, if it has had them."""
    return bool(
        await tx.fetchval(
            """
            INSERT INTO message_budgets AS b (organization_id, workspace_id, tenant_id, hour, messages)
            SELECT organization_id, workspace_id, tenant_id, date_trunc('hour', now()), 1 FROM tenants
            WHERE tenant_id = $1
            ON CONFLICT (tenant_id) DO UPDATE SET hour = EXCLUDED.hour,
                messages = CASE WHEN b.hour = EXCLUDED.hour THEN b.messages + 1 ELSE 1 END
            WHERE b.hour <> EXCLUDED.hour OR b.messages < $2 RETURNING messages
            """,
            *(tenant_id, messages_max),
        )
    )


async def take_summary(tx: Transaction, place: Place, *, every: timedelta) -> float:
    """Let a channel be sent a summary now if its last was so long ago. Returns in how many seconds it may be otherwise,
    and 0 if it may now.
    """
    return await tx.fetchval(
        """
        WITH before AS (
            SELECT summarized_at + $3 AS again_at FROM notification_channels WHERE tenant_id = $1 AND channel_id = $2
        ), now_sent AS (
            UPDATE notification_channels SET summarized_at = now() FROM before
            WHERE tenant_id = $1 AND channel_id = $2 AND again_at <= now()
        )
        SELECT greatest(extract(epoch FROM again_at - now()), 0)::float8 FROM before
        """,
        *(place.tenant_id, place.channel_id, every),
    )
