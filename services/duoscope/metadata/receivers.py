"""The running receivers. All functions need a platform transaction: receivers belong to no tenant."""

from datetime import datetime
from uuid import UUID

from duoscope.stores.postgres import Transaction


async def beat(tx: Transaction, receiver_id: UUID, *, for_s: float, waiting_since: datetime | None = None) -> int:
    """Record that a receiver runs for the next `for_s` seconds. Returns how many receivers run, including it.

    Args:
        tx: a platform transaction.
        receiver_id: of the receiver.
        for_s: how long this holds.
        waiting_since: when it acknowledged the oldest request that is on its disk and not in ClickHouse.
    """
    others = await tx.fetchval(
        """
        WITH own AS (
            INSERT INTO receivers (receiver_id, alive_until, waiting_since)
            VALUES ($1, now() + make_interval(secs => $2), $3)
            ON CONFLICT (receiver_id) DO UPDATE
            SET alive_until = excluded.alive_until, waiting_since = excluded.waiting_since
        )
        SELECT count(*) FROM receivers WHERE alive_until > now() AND receiver_id <> $1
        """,
        receiver_id,
        for_s,
        waiting_since,
    )
    return 1 + int(others)


async def leave(tx: Transaction, receiver_id: UUID) -> None:
    """Record that the receiver accepts no more requests. Removes receivers that expired, too.

    What it leaves on its disk is remembered for an hour.
    """
    await tx.execute(
        "DELETE FROM receivers WHERE receiver_id = $1 AND waiting_since IS NULL "
        "OR alive_until < now() - interval '1 hour'",
        receiver_id,
    )
    await tx.execute("UPDATE receivers SET alive_until = now() WHERE receiver_id = $1", receiver_id)
