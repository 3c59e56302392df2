"""Which receivers live. All functions take a platform transaction: receivers are nobody's data."""

from uuid import UUID

from duoscope.stores.postgres import Transaction


async def beat(tx: Transaction, receiver_id: UUID, *, for_s: float) -> int:
    """Say that a receiver lives for so long; answers how many do, with it."""
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
    """The receiver takes no more requests. Those that never said so go with it."""
    await tx.execute(
        "DELETE FROM receivers WHERE receiver_id = $1 OR alive_until < now() - interval '1 hour'", receiver_id
    )
