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
    """A row of `notifications`; without a rule for an alert that others posted."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    notification_id: UUID
    channel_id: UUID
    alert_rule_id: UUID | None
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
    maintenance_window_id: UUID | None
    inhibition_rule_id: UUID | None
    inhibited_by: UUID | None
    is_repeat: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Mute:
    """A reason to hold a beginning back: a silence, maintenance, or a rule by which another instance inhibits it."""

    silence_id: UUID | None = None
    maintenance_window_id: UUID | None = None
    inhibition_rule_id: UUID | None = None
    inhibited_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Owed:
    """One transition that channels are owed; `alert` is what a message says of it, `mute` what holds it back,
    `group_ids` are told of it beside those of its rule.
    """

    tenant_id: UUID
    alert_rule_id: UUID | None
    alert_rule_name: str
    instance_id: UUID
    transition_id: UUID
    number: int
    status: str
    alert: dict[str, Any]
    mute: Mute | None = None
    group_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Muted:
    """A beginning that was held back by what is over."""

    tenant_id: UUID
    notification_id: UUID
    instance_id: UUID
    alert: dict[str, Any]


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
    "last_answer, settled_at, silence_id, maintenance_window_id, inhibition_rule_id, inhibited_by, is_repeat, "
    "created_at"
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


_MUTES: Final = ("silence_id", "maintenance_window_id", "inhibition_rule_id", "inhibited_by")
_NOT_MUTED: Final = Mute()
ONE_BY_ONE: Final = ("pagerduty", "opsgenie")
"""Types of channels where each instance is an incident, which is opened and closed by itself."""
SWITCHED_OFF: Final = "The channel was switched off."
_GROUP_LABELS: Final[LiteralString] = """
    CASE WHEN '...' = ANY (g.group_by) THEN o.alert -> 'labels'
        ELSE (SELECT coalesce(jsonb_object_agg(name, o.alert -> 'labels' -> name), '{}') FROM unnest(g.group_by) AS name
            WHERE o.alert -> 'labels' ? name) END"""


def from_row(row: Record) -> Notification:
    """Build a Notification from a row of the listing or of the table."""
    return Notification(**dict(row))


async def lock_owing(tx: Transaction) -> bool:
    """Become the one transaction that writes what is owed. Returns False if there is another."""
    return bool(await tx.fetchval("SELECT pg_try_advisory_xact_lock($1)", _OWING))


async def owe_firing(tx: Transaction, owed: Sequence[Owed]) -> None:
    """Owe the beginning of episodes to the active channels of the active groups that each one's rule tells. One that a
    mute holds back waits for it; each other for the message of its group.
    """
    await tx.execute(
        f"""
        WITH told AS (
            SELECT c.organization_id, c.workspace_id, c.channel_id, c.channel_type, g.group_wait_seconds,
                g.group_interval_seconds, o.*, {_GROUP_LABELS} AS group_labels
            FROM (SELECT *, num_nonnulls(silence_id, maintenance_window_id, inhibition_rule_id) > 0 AS is_muted
                FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::int[], $7::jsonb[],
                    $8::uuid[], $9::uuid[], $10::uuid[], $11::uuid[], $12::jsonb[])
                AS given (tenant_id, alert_rule_id, alert_rule_name, instance_id, transition_id, number, alert,
                    silence_id, maintenance_window_id, inhibition_rule_id, inhibited_by, group_ids)) AS o
            JOIN LATERAL (SELECT l.notification_group_id AS group_id FROM alert_rule_notification_groups l
                WHERE l.tenant_id = o.tenant_id AND l.alert_rule_id = o.alert_rule_id
                UNION SELECT value::uuid FROM jsonb_array_elements_text(o.group_ids -> 'all')) AS l ON true
            JOIN notification_groups g ON g.tenant_id = o.tenant_id AND g.group_id = l.group_id
            JOIN notification_channels c ON c.tenant_id = g.tenant_id AND c.notification_group_id = g.group_id
            WHERE g.is_active AND c.is_active
        ), keyed AS (
            SELECT *, CASE WHEN channel_type = ANY ($13) THEN instance_id::text
                ELSE encode(sha256(convert_to(group_labels::text, 'UTF8')), 'hex') END AS group_key FROM told
        ), waiting AS (
            INSERT INTO aggregation_groups AS a (organization_id, workspace_id, tenant_id, channel_id, group_key,
                labels, interval_seconds, next_at)
            SELECT DISTINCT ON (tenant_id, channel_id, group_key) organization_id, workspace_id, tenant_id, channel_id,
                group_key, group_labels, group_interval_seconds,
                CASE WHEN NOT is_muted THEN now() + make_interval(secs => group_wait_seconds) END
            FROM keyed ORDER BY tenant_id, channel_id, group_key, is_muted
            ON CONFLICT (tenant_id, channel_id, group_key) DO UPDATE SET
                interval_seconds = EXCLUDED.interval_seconds,
                next_at = CASE WHEN EXCLUDED.next_at IS NULL THEN a.next_at ELSE coalesce(a.next_at, greatest(
                    EXCLUDED.next_at, a.last_at + make_interval(secs => EXCLUDED.interval_seconds))) END
        )
        INSERT INTO notifications (organization_id, workspace_id, tenant_id, notification_id, channel_id,
            alert_rule_id, alert_rule_name, instance_id, transition_id, number, status, alert, silence_id,
            maintenance_window_id, inhibition_rule_id, inhibited_by, muted_at, state, next_attempt_at, group_key)
        SELECT organization_id, workspace_id, tenant_id, gen_random_uuid(), channel_id, alert_rule_id,
            alert_rule_name, instance_id, transition_id, number, 'firing', alert, silence_id, maintenance_window_id,
            inhibition_rule_id, inhibited_by, CASE WHEN is_muted THEN now() END,
            CASE WHEN is_muted THEN 'muted' ELSE 'queued' END,
            CASE WHEN is_muted THEN 'infinity' ELSE now() END, group_key
        FROM keyed ON CONFLICT (tenant_id, channel_id, transition_id) DO NOTHING
        """,
        *_arrays(owed),
        *([getattr(each.mute or _NOT_MUTED, name) for each in owed] for name in _MUTES),
        [{"all": [str(group_id) for group_id in each.group_ids]} for each in owed],
        list(ONE_BY_ONE),
    )


async def owe_resolved(tx: Transaction, owed: Sequence[Owed]) -> None:
    """Owe the end of episodes to the channels whose last row of the instance is its beginning, whatever the rule tells
    now, in the group of the beginning. A beginning that was held back is needless, and nothing is owed for it;
    so is a repetition that was not sent yet. A channel that is switched off is not told.
    """
    await tx.execute(
        """
        WITH over AS (
            SELECT n.tenant_id, n.notification_id
            FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS o (tenant_id, instance_id, number)
            JOIN notifications n ON n.tenant_id = o.tenant_id AND n.instance_id = o.instance_id AND n.number < o.number
            WHERE n.state = 'muted' OR n.is_repeat AND n.settled_at IS NULL
            ORDER BY n.notification_id FOR UPDATE OF n
        )
        UPDATE notifications n SET state = 'needless', settled_at = now(), next_attempt_at = now(),
            last_answer = CASE WHEN n.is_repeat THEN 'It ended before it was repeated.'
                ELSE 'It ended while it was held back.' END
        FROM over WHERE n.tenant_id = over.tenant_id AND n.notification_id = over.notification_id
        """,
        *([getattr(each, name) for each in owed] for name in ("tenant_id", "instance_id", "number")),
    )
    await tx.execute(
        """
        WITH told AS (
            SELECT n.*, o.alert_rule_id, o.alert_rule_name, o.instance_id, o.transition_id, o.number, o.alert,
                c.is_active, g.group_wait_seconds, g.group_interval_seconds
            FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::int[], $7::jsonb[])
                AS o (tenant_id, alert_rule_id, alert_rule_name, instance_id, transition_id, number, alert)
            JOIN LATERAL (
                SELECT DISTINCT ON (channel_id) organization_id, workspace_id, tenant_id, channel_id, group_key, status,
                    state
                FROM notifications p
                WHERE p.tenant_id = o.tenant_id AND p.instance_id = o.instance_id AND p.number < o.number
                    AND NOT p.is_repeat
                ORDER BY channel_id, p.number DESC
            ) n ON n.status = 'firing' AND n.state <> 'needless'
            JOIN notification_channels c ON c.tenant_id = n.tenant_id AND c.channel_id = n.channel_id
            JOIN notification_groups g ON g.tenant_id = c.tenant_id AND g.group_id = c.notification_group_id
        ), waiting AS (
            UPDATE aggregation_groups a SET next_at = coalesce(a.next_at, greatest(
                now() + make_interval(secs => group_wait_seconds),
                a.last_at + make_interval(secs => group_interval_seconds)))
            FROM told t WHERE a.tenant_id = t.tenant_id AND a.channel_id = t.channel_id AND a.group_key = t.group_key
        )
        INSERT INTO notifications (organization_id, workspace_id, tenant_id, notification_id, channel_id,
            alert_rule_id, alert_rule_name, instance_id, transition_id, number, status, alert, group_key,
            state, settled_at, last_answer)
        SELECT organization_id, workspace_id, tenant_id, gen_random_uuid(), channel_id, alert_rule_id, alert_rule_name,
            instance_id, transition_id, number, 'resolved', alert, group_key,
            CASE WHEN is_active THEN 'queued' ELSE 'given_up' END, CASE WHEN NOT is_active THEN now() END,
            CASE WHEN is_active THEN '' ELSE $8 END
        FROM told ON CONFLICT (tenant_id, channel_id, transition_id) DO NOTHING
        """,
        *_arrays(owed),
        SWITCHED_OFF,
    )


def _arrays(owed: Sequence[Owed]) -> list[list[Any]]:
    names = ("tenant_id", "alert_rule_id", "alert_rule_name", "instance_id", "transition_id", "number", "alert")
    return [[getattr(each, name) for each in owed] for name in names]


async def no_longer_muted(tx: Transaction, *, rows_max: int) -> list[Muted]:
    """Beginnings that were held back by what is over, gone, or another than it was."""
    rows = await tx.fetch(
        """
        SELECT tenant_id, notification_id, instance_id, alert FROM notifications n
        WHERE state = 'muted' AND NOT EXISTS (
            SELECT FROM silences s WHERE s.tenant_id = n.tenant_id AND s.silence_id = n.silence_id
            AND s.starts_at <= now() AND s.ends_at > now()
        ) AND NOT EXISTS (
            SELECT FROM maintenance_windows w WHERE w.tenant_id = n.tenant_id
            AND w.maintenance_window_id = n.maintenance_window_id AND w.is_enabled AND w.updated_at <= n.muted_at
            AND w.active_from <= now() AND w.active_until > now()
        ) AND NOT EXISTS (
            SELECT FROM inhibition_rules r WHERE r.tenant_id = n.tenant_id
            AND r.inhibition_rule_id = n.inhibition_rule_id AND r.is_enabled AND r.updated_at <= n.muted_at
            AND (EXISTS (SELECT FROM alert_instances i WHERE i.tenant_id = r.tenant_id
                    AND i.instance_id = n.inhibited_by AND i.status IN ('firing', 'no_data', 'error'))
                OR EXISTS (SELECT FROM external_alerts e WHERE e.tenant_id = r.tenant_id
                    AND e.external_alert_id = n.inhibited_by AND e.ends_at > now()))
        ) ORDER BY created_at LIMIT $1
        """,
        rows_max,
    )
    return [Muted(**dict(row)) for row in rows]


async def mute(tx: Transaction, waiting: Muted, mute: Mute) -> None:
    """Let a beginning that was held back wait for something else."""
    await tx.execute(
        "UPDATE notifications SET silence_id = $3, maintenance_window_id = $4, inhibition_rule_id = $5, "
        "inhibited_by = $6, muted_at = now() WHERE tenant_id = $1 AND notification_id = $2",
        *(waiting.tenant_id, waiting.notification_id, *(getattr(mute, name) for name in _MUTES)),
    )


async def unmute(tx: Transaction, waiting: Sequence[Muted]) -> None:
    """Send beginnings that were held back, each in the next message of its group."""
    await tx.execute(
        """
        WITH told AS (
            UPDATE notifications n SET state = 'queued', next_attempt_at = now(), queued_at = now()
            FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant_id, notification_id)
            WHERE n.tenant_id = w.tenant_id AND n.notification_id = w.notification_id
            RETURNING n.tenant_id, n.channel_id, n.group_key
        )
        UPDATE aggregation_groups a SET next_at = coalesce(a.next_at, greatest(
            now(), a.last_at + make_interval(secs => a.interval_seconds)))
        FROM told WHERE a.tenant_id = told.tenant_id AND a.channel_id = told.channel_id
            AND a.group_key = told.group_key
        """,
        *([getattr(each, name) for each in waiting] for name in ("tenant_id", "notification_id")),
    )


async def give_up_queued(tx: Transaction, *, tenant_id: UUID, channel_id: UUID) -> int:
    """Give up what a channel is owed that was switched off: nobody wants it a week later. Returns how many rows."""
    return await tx.execute(
        "UPDATE notifications SET state = 'given_up', settled_at = now(), next_attempt_at = now(), last_answer = $3 "
        "WHERE tenant_id = $1 AND channel_id = $2 AND settled_at IS NULL",
        *(tenant_id, channel_id, SWITCHED_OFF),
    )


async def tell_others(tx: Transaction, *, tenant_id: UUID, channel_id: UUID, reason: str) -> None:
    """Tell the other channels of a channel's group that it was switched off. Nothing is open at them for it."""
    await tx.execute(
        """
        INSERT INTO notifications (organization_id, workspace_id, tenant_id, notification_id, channel_id,
            alert_rule_id, alert_rule_name, instance_id, transition_id, number, status, alert, group_key)
        SELECT o.organization_id, o.workspace_id, o.tenant_id, gen_random_uuid(), o.channel_id, c.channel_id, $3,
            c.channel_id, gen_random_uuid(), c.version, 'resolved', jsonb_build_object('status', 'resolved',
                'labels', jsonb_build_object('alertname', $3::text, 'severity', 'warning', 'channel', c.name),
                'annotations', jsonb_build_object('summary', c.name || ' is told of no more alerts: ' || $4::text),
                'starts_at', now(), 'ends_at', now(), 'fingerprint', replace(c.channel_id::text, '-', '')),
            'switched-off/' || c.channel_id
        FROM notification_channels c JOIN notification_channels o ON o.tenant_id = c.tenant_id
            AND o.notification_group_id = c.notification_group_id AND o.channel_id <> c.channel_id
        WHERE c.tenant_id = $1 AND c.channel_id = $2 AND o.is_active
        """,
        *(tenant_id, channel_id, "Notification channel switched off", reason),
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


@dataclass(frozen=True, slots=True)
class Reached:
    """The channels of a transition.

    Attributes:
        transition_id: of the transition.
        channels: each with its `channel_id`, `name` and `channel_type`.
        mute: what held it back at first; None if nothing did.
    """

    transition_id: UUID
    channels: list[dict[str, str]]
    mute: Mute | None


async def reached(tx: Transaction, history_part: UUID) -> dict[UUID, Reached]:
    """The channels of each transition of a part of history that has any, in a platform transaction."""
    rows = await tx.fetch(
        """
        SELECT t.transition_id, jsonb_agg(jsonb_build_object('channel_id', c.channel_id, 'name', c.name,
                'channel_type', c.channel_type) ORDER BY c.channel_id) AS channels,
            bool_or(n.muted_at IS NOT NULL) AS is_muted, (array_agg(n.silence_id))[1] AS silence_id,
            (array_agg(n.maintenance_window_id))[1] AS maintenance_window_id,
            (array_agg(n.inhibition_rule_id))[1] AS inhibition_rule_id, (array_agg(n.inhibited_by))[1] AS inhibited_by
        FROM alert_transitions t JOIN notifications n ON n.tenant_id = t.tenant_id AND n.instance_id = t.instance_id
            AND n.transition_id = t.transition_id
        JOIN notification_channels c ON c.tenant_id = n.tenant_id AND c.channel_id = n.channel_id
        WHERE t.history_part = $1 AND t.shipped_at IS NULL GROUP BY t.transition_id
        """,
        history_part,
    )
    return {
        row["transition_id"]: Reached(
            row["transition_id"], row["channels"],
            Mute(**{name: row[name] for name in _MUTES}) if row["is_muted"] else None,
        )
        for row in rows
    }  # fmt: skip


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
