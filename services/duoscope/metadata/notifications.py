"""The outbox of alerts: what each channel is owed of each episode, its beginning and its end.

A channel is owed the end of an episode if and only if it was told, or will be, of its beginning. Both are written and
sent in platform transactions; a tenant reads its rows, and replays them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Record, Transaction

_OWING: Final = 0x64756F2D6F776573
"""Held by whoever writes what is owed: the end of an episode must see its beginning."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of `notifications`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    notification_id: UUID
    channel_id: UUID
    alert_rule_id: UUID
    alert_rule_name: str
    instance_id: UUID
    transition_id: UUID
    number: int
    status: str
    alert: dict[str, Any]
    state: str
    key: UUID | None
    attempts: int
    queued_at: datetime
    next_attempt_at: datetime
    last_status: int | None
    last_answer: str
    settled_at: datetime | None
    silence_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """One transition that channels are owed; `alert` is what a message says of it, `silence_id` what holds it back."""

    tenant_id: UUID
    alert_rule_id: UUID
    alert_rule_name: str
    instance_id: UUID
    transition_id: UUID
    number: int
    status: str
    alert: dict[str, Any]
    silence_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Muted:
    """A beginning that was held back by a silence which is over."""

    tenant_id: UUID
    notification_id: UUID
    alert: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is to be sent now. `age_s` counts from when it was queued, or replayed."""

    notification_id: UUID
    alert_rule_id: UUID
    alert_rule_name: str
    instance_id: UUID
    status: str
    alert: dict[str, Any]
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


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, notification_id, channel_id, alert_rule_id, alert_rule_name, "
    "instance_id, transition_id, number, status, alert, state, key, attempts, queued_at, next_attempt_at, last_status, "
    "last_answer, settled_at, silence_id, created_at"
)
LISTING: Final = Listing(
    name="notifications",
    select=f"SELECT {_COLUMNS} FROM notifications",
    key="notification_id",
    sorts={"created_at": datetime},
    filters={
        "state": "state = ?",
        "channel_id": "channel_id = ?",
        "alert_rule_id": "alert_rule_id = ?",
        "instance_id": "instance_id = ?",
    },
)


def from_row(row: Record) -> Notification:
    """Build a Notification from a row of the listing or of the table."""
    return Notification(**dict(row))


async def lock_owing(tx: Transaction) -> bool:
    """Become the one transaction that writes what is owed. Returns False if there is another."""
    return bool(await tx.fetchval("SELECT pg_try_advisory_xact_lock($1)", _OWING))


async def owe_firing(tx: Transaction, owed: Sequence[Owed]) -> None:
    """Owe the beginning of episodes to the active channels of the active groups that each one's rule tells. One that a
    silence holds back waits for it.
    """
    await tx.execute(
        """
        INSERT INTO notifications (organization_id, workspace_id, tenant_id, notification_id, channel_id,
            alert_rule_id, alert_rule_name, instance_id, transition_id, number, status, alert, silence_id, state,
            next_attempt_at)
        SELECT c.organization_id, c.workspace_id, c.tenant_id, gen_random_uuid(), c.channel_id,
            o.alert_rule_id, o.alert_rule_name, o.instance_id, o.transition_id, o.number, 'firing', o.alert,
            o.silence_id, CASE WHEN o.silence_id IS NULL THEN 'queued' ELSE 'muted' END,
            CASE WHEN o.silence_id IS NULL THEN now() ELSE 'infinity' END
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::int[], $7::jsonb[], $8::uuid[])
            AS o (tenant_id, alert_rule_id, alert_rule_name, instance_id, transition_id, number, alert, silence_id)
        JOIN alert_rule_notification_groups l ON l.tenant_id = o.tenant_id AND l.alert_rule_id = o.alert_rule_id
        JOIN notification_groups g ON g.tenant_id = l.tenant_id AND g.group_id = l.notification_group_id
        JOIN notification_channels c ON c.tenant_id = g.tenant_id AND c.notification_group_id = g.group_id
        WHERE g.is_active AND c.is_active
        ON CONFLICT (tenant_id, channel_id, transition_id) DO NOTHING
        """,
        *_arrays(owed),
        [each.silence_id for each in owed],
    )


async def owe_resolved(tx: Transaction, owed: Sequence[Owed]) -> None:
    """Owe the end of episodes to the channels whose last row of the instance is its beginning, whatever the rule tells
    now. A beginning that a silence held back is needless, and nothing is owed for it.
    """
    await tx.execute(
        """
        UPDATE notifications n SET state = 'needless', settled_at = now(), next_attempt_at = now(),
            last_answer = 'It ended while it was silenced.'
        FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS o (tenant_id, instance_id, number)
        WHERE n.tenant_id = o.tenant_id AND n.instance_id = o.instance_id AND n.number < o.number AND n.state = 'muted'
        """,
        *([getattr(each, name) for each in owed] for name in ("tenant_id", "instance_id", "number")),
    )
    await tx.execute(
        """
        INSERT INTO notifications (organization_id, workspace_id, tenant_id, notification_id, channel_id,
            alert_rule_id, alert_rule_name, instance_id, transition_id, number, status, alert)
        SELECT n.organization_id, n.workspace_id, n.tenant_id, gen_random_uuid(), n.channel_id,
            o.alert_rule_id, o.alert_rule_name, o.instance_id, o.transition_id, o.number, 'resolved', o.alert
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::int[], $7::jsonb[])
            AS o (tenant_id, alert_rule_id, alert_rule_name, instance_id, transition_id, number, alert)
        JOIN LATERAL (
            SELECT DISTINCT ON (channel_id) organization_id, workspace_id, tenant_id, channel_id, status, state
            FROM notifications p
            WHERE p.tenant_id = o.tenant_id AND p.instance_id = o.instance_id AND p.number < o.number
            ORDER BY channel_id, p.number DESC
        ) n ON n.status = 'firing' AND n.state <> 'needless'
        ON CONFLICT (tenant_id, channel_id, transition_id) DO NOTHING
        """,
        *_arrays(owed),
    )


def _arrays(owed: Sequence[Owed]) -> list[list[Any]]:
    names = ("tenant_id", "alert_rule_id", "alert_rule_name", "instance_id", "transition_id", "number", "alert")
    return [[getattr(each, name) for each in owed] for name in names]


async def no_longer_muted(tx: Transaction, *, rows_max: int) -> list[Muted]:
    """Beginnings that wait for a silence which is over, or gone."""
    rows = await tx.fetch(
        "SELECT tenant_id, notification_id, alert FROM notifications n WHERE state = 'muted' AND NOT EXISTS ("
        "SELECT FROM silences s WHERE s.tenant_id = n.tenant_id AND s.silence_id = n.silence_id "
        "AND s.starts_at <= now() AND s.ends_at > now()) ORDER BY created_at LIMIT $1",
        rows_max,
    )
    return [Muted(**dict(row)) for row in rows]


async def mute(tx: Transaction, waiting: Muted, silence_id: UUID) -> None:
    """Let a beginning that was held back wait for another silence."""
    await tx.execute(
        "UPDATE notifications SET silence_id = $3 WHERE tenant_id = $1 AND notification_id = $2",
        *(waiting.tenant_id, waiting.notification_id, silence_id),
    )


async def unmute(tx: Transaction, waiting: Sequence[Muted]) -> None:
    """Send beginnings that were held back."""
    await tx.execute(
        "UPDATE notifications n SET state = 'queued', next_attempt_at = now(), queued_at = now() "
        "FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant_id, notification_id) "
        "WHERE n.tenant_id = w.tenant_id AND n.notification_id = w.notification_id",
        *([getattr(each, name) for each in waiting] for name in ("tenant_id", "notification_id")),
    )


async def due(tx: Transaction, *, tenant_id: UUID, channel_id: UUID, rows_max: int) -> list[Due]:
    """Read what a channel is to be sent now, in order: of each instance the first row that is not settled.

    Rows that were in one message come together.
    """
    rows = await tx.fetch(
        """
        SELECT n.notification_id, n.alert_rule_id, n.alert_rule_name, n.instance_id, n.status, n.alert, n.key,
            n.attempts, extract(epoch FROM now() - n.queued_at)::float8 AS age_s
        FROM notifications n
        WHERE n.tenant_id = $1 AND n.channel_id = $2 AND n.settled_at IS NULL AND n.next_attempt_at <= now()
        AND NOT EXISTS (
            SELECT FROM notifications b WHERE b.tenant_id = n.tenant_id AND b.channel_id = n.channel_id
            AND b.instance_id = n.instance_id AND b.number < n.number AND b.settled_at IS NULL
        )
        ORDER BY n.next_attempt_at, n.key, n.created_at, n.notification_id LIMIT $3
        """,
        *(tenant_id, channel_id, rows_max),
    )
    return [Due(**dict(row)) for row in rows]


async def drop_needless(tx: Transaction, *, tenant_id: UUID, channel_id: UUID) -> int:
    """Settle ends of episodes whose beginning the channel was not told, because it was given up. Returns how many."""
    return await tx.execute(
        """
        UPDATE notifications n SET state = 'needless', settled_at = now(),
            last_answer = 'The message that it fired was given up.'
        WHERE n.tenant_id = $1 AND n.channel_id = $2 AND n.settled_at IS NULL AND n.status = 'resolved'
        AND 'given_up' = (
            SELECT b.state FROM notifications b WHERE b.tenant_id = n.tenant_id AND b.channel_id = n.channel_id
            AND b.instance_id = n.instance_id AND b.number < n.number ORDER BY b.number DESC LIMIT 1
        )
        """,
        *(tenant_id, channel_id),
    )


async def begin_attempt(tx: Transaction, key: UUID, *, tenant_id: UUID, notification_ids: Sequence[UUID]) -> None:
    """Count an attempt at rows that go out in one message, under its key."""
    await tx.execute(
        "UPDATE notifications SET key = $1, attempts = attempts + 1 WHERE tenant_id = $2 "
        "AND notification_id = ANY ($3)",
        *(key, tenant_id, list(notification_ids)),
    )


async def settle(tx: Transaction, attempt: Attempt, *, state: str) -> None:
    """Record that the rows of an attempt were sent, or given up."""
    await tx.execute(
        "UPDATE notifications SET state = $3, settled_at = now(), last_status = $4, last_answer = $5 "
        "WHERE tenant_id = $1 AND notification_id = ANY ($2)",
        *(attempt.tenant_id, list(attempt.notification_ids), state, attempt.status, attempt.answer),
    )


async def postpone(tx: Transaction, attempt: Attempt, *, delay_s: float) -> None:
    """Try the rows of an attempt again later."""
    await tx.execute(
        "UPDATE notifications SET state = 'failed', next_attempt_at = now() + make_interval(secs => $3), "
        "last_status = $4, last_answer = $5 WHERE tenant_id = $1 AND notification_id = ANY ($2)",
        *(attempt.tenant_id, list(attempt.notification_ids), delay_s, attempt.status, attempt.answer),
    )


async def lock(tx: Transaction, notification_id: UUID) -> Notification | None:
    """The row, locked for a change, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM notifications WHERE notification_id = $1 FOR UPDATE", notification_id
    )
    return from_row(row) if row else None


async def get(tx: Transaction, notification_id: UUID) -> Notification | None:
    """The row, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM notifications WHERE notification_id = $1", notification_id)
    return from_row(row) if row else None


async def replay(tx: Transaction, row: Notification) -> Notification:
    """Queue a given up row again, and the end of the same episode where it was dropped for that. Their keys stay."""
    await tx.execute(
        """
        UPDATE notifications n SET state = 'queued', settled_at = NULL, attempts = 0, queued_at = now(),
            next_attempt_at = now()
        WHERE n.channel_id = $1 AND n.instance_id = $2 AND (n.notification_id = $3 OR n.state = 'needless'
            AND n.status = 'resolved' AND n.number = (SELECT min(number) FROM notifications f
                WHERE f.channel_id = $1 AND f.instance_id = $2 AND f.number > $4))
        """,
        *(row.channel_id, row.instance_id, row.notification_id, row.number),
    )
    after = await get(tx, row.notification_id)
    assert after is not None
    return after


async def purge(tx: Transaction, *, older_than_s: float, rows_max: int) -> int:
    """Remove rows that were settled that long ago. Returns how many.

    The beginning of an episode stays until its end is there, or that would be owed to nobody; and the end until the
    beginning is gone, or that would look as if it had none.
    """
    return await tx.execute(
        """
        DELETE FROM notifications WHERE (tenant_id, notification_id) IN (
            SELECT n.tenant_id, n.notification_id FROM notifications n
            WHERE n.settled_at < now() - make_interval(secs => $1)
            AND (n.status = 'resolved' OR n.state = 'needless' OR EXISTS (
                SELECT FROM notifications e WHERE e.tenant_id = n.tenant_id AND e.channel_id = n.channel_id
                AND e.instance_id = n.instance_id AND e.number > n.number
            )) AND (n.status = 'firing' OR NOT EXISTS (
                SELECT FROM notifications b WHERE b.tenant_id = n.tenant_id AND b.channel_id = n.channel_id
                AND b.instance_id = n.instance_id AND b.number < n.number
            )) LIMIT $2
        )
        """,
        *(older_than_s, rows_max),
    )
