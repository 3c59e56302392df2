"""The running receivers. All functions need a platform transaction: receivers belong to no tenant."""

from uuid import UUID

from duoscope.stores.postgres import Transaction


async def beat(tx: Transaction, receiver_id: UUID, *, for_s: float) -> int:
    """Record that a receiver runs for the next `for_s` seconds. Returns how many receivers run, including it."""
    others = await tx.fetchval(
        """
        WITH own AS (
            INSERT INTO receivers (receiver_id, alive_until) VALUES ($1, now() + make_interval(secs => $2))
            ON CONFLICT (receiver_id) DO UPDATE SET alive_until = excluded.alive_until
        )
        SELECT count(*) FROM receivers WHERE alive_until > now() AND receiver_id <> $1
        """,
        receiver_id,
        for_s,
    )
    return 1 + int(others)


async def leave(tx: Transaction, receiver_id: UUID) -> None:
    """Record that the receiver accepts no more requests. Removes receivers that expired, too."""
    await tx.execute(
        "DELETE FROM receivers WHERE receiver_id = $1 OR alive_until < now() - interval '1 hour'", receiver_id
    )
