"""Counters of login attempts, by a keyed hash of what is counted: rows only.

The rules are in identity/authentication/throttle.py.

All functions need a platform transaction, and lock the rows they touch in the order of their hashes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class Counter:
    """A row of `login_attempts`. `blocked_s` is 0 if it lets attempts through."""

    counter: bytes
    failures: int
    blocked_s: float
    is_known: bool


async def add(
    tx: Transaction, counters: Sequence[bytes], *, forget_s: float, known_for_s: float
) -> dict[bytes, Counter]:
    """Count an attempt as a failure until it turns out otherwise. Returns the counters including this attempt.

    The transaction does not wait for the disk: a count lost in a crash costs less than the wait.
    It locks the counters until the transaction ends; one that is rolled back, for example because of a block, counts
    nothing.
    """
    rows = await tx.fetch(
        """
        INSERT INTO login_attempts AS a (counter, failures)
        SELECT counter, 1 FROM unnest($1::bytea[]) AS counter, set_config('synchronous_commit', 'off', true)
        ORDER BY counter
        ON CONFLICT (counter) DO UPDATE SET updated_at = now(), failures = CASE
            WHEN a.updated_at < now() - make_interval(secs => $2) THEN 1 ELSE a.failures + 1 END
        RETURNING counter, failures,
            greatest(extract(epoch FROM blocked_until - clock_timestamp())::float8, 0) AS blocked_s,
            coalesce(succeeded_at > now() - make_interval(secs => $3), false) AS is_known
        """,
        *(sorted(counters), forget_s, known_for_s),
    )
    return {row["counter"]: Counter(**dict(row)) for row in rows}


async def block(tx: Transaction, delays_s: Mapping[bytes, float]) -> dict[bytes, datetime]:
    """Block further attempts for the given times. Returns when the blocks end."""
    rows = await tx.fetch(
        """
        UPDATE login_attempts AS a SET blocked_until = now() + make_interval(secs => d.delay_s)
        FROM unnest($1::bytea[], $2::float8[]) AS d (counter, delay_s) WHERE a.counter = d.counter
        RETURNING a.counter, a.blocked_until
        """,
        *(list(delays_s), list(delays_s.values())),
    )
    return {row["counter"]: row["blocked_until"] for row in rows}


async def take_back(tx: Transaction, charged: Mapping[bytes, datetime | None]) -> None:
    """Remove one failure, and the block if it is still the one that was set then."""
    await tx.execute(
        "SELECT FROM login_attempts WHERE counter = ANY ($1::bytea[]) ORDER BY counter FOR UPDATE", list(charged)
    )
    await tx.execute(
        """
        UPDATE login_attempts AS a SET failures = greatest(a.failures - 1, 0),
            blocked_until = CASE WHEN a.blocked_until = c.blocked_until THEN now() ELSE a.blocked_until END
        FROM unnest($1::bytea[], $2::timestamptz[]) AS c (counter, blocked_until) WHERE a.counter = c.counter
        """,
        *(list(charged), list(charged.values())),
    )


async def forgive(tx: Transaction, counters: Sequence[bytes]) -> None:
    """Reset the failures, and mark the clients counted there as known from now on."""
    await tx.execute(
        """
        INSERT INTO login_attempts (counter, succeeded_at)
        SELECT counter, now() FROM unnest($1::bytea[]) AS counter ORDER BY counter
        ON CONFLICT (counter) DO UPDATE SET failures = 0, blocked_until = now(), succeeded_at = now(),
            updated_at = now()
        """,
        list(counters),
    )


async def purge(tx: Transaction, *, forget_s: float, known_for_s: float) -> int:
    """Remove counters that no longer matter. Returns how many."""
    return await tx.execute(
        "DELETE FROM login_attempts WHERE updated_at < now() - make_interval(secs => $1) "
        "AND coalesce(succeeded_at < now() - make_interval(secs => $2), true) AND blocked_until < now()",
        *(forget_s, known_for_s),
    )
