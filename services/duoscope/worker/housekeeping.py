"""What the worker does at set times: forget refresh tokens that ended, and what was deleted long ago."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.stores.postgres import MetadataStore
from duoscope.worker.purge import purge_deleted

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 3600.0
_REASON: Final = PlatformScope(reason="ended refresh tokens of all tenants are removed")


async def forget_ended_tokens(metadata: MetadataStore) -> int:
    """Delete refresh tokens that ended over a day ago; answers how many. May run twice at once."""
    async with metadata.open_platform(_REASON, "worker.forget_ended_tokens") as m:
        return await m.execute("DELETE FROM refresh_tokens WHERE expires_at < now() - interval '1 day'")


def start_worker(metadata: MetadataStore) -> Callable[[], Awaitable[None]]:
    """Start the worker's loop; answers the coroutine function that stops it."""
    task = asyncio.create_task(_run(metadata), name="worker")

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return stop


async def _run(metadata: MetadataStore) -> None:
    while True:
        try:
            removed = await forget_ended_tokens(metadata)
            _log.info("housekeeping: %d ended refresh tokens removed", removed)
            await purge_deleted(metadata)
        except DuoscopeError as error:
            _log.warning("housekeeping: %s (%s)", error.message, error.detail)
        await asyncio.sleep(INTERVAL_S)
