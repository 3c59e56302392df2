"""Sends the mail of the outbox as it falls due."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from duoscope.delivery.mail import BATCH_MAX, Mailer, Writer, deliver_due
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.postgres import MetadataStore

INTERVAL_S: Final = 1.0
"""How often the outbox is looked at: one small indexed query."""
OUTAGE_S: Final = 5.0
STOP_S: Final = 3.0

_log = logging.getLogger(__name__)


def start_mail(metadata: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer]) -> Callable[[], Awaitable[None]]:
    """Start the loop; answers the coroutine function that stops it, which gives a mail under way a few seconds."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_run(metadata, mailer, writers, stopping), name="mail")

    async def stop() -> None:
        stopping.set()
        # Not cancelled at first: a mail that was taken and not settled would be sent twice.
        _, running = await asyncio.wait({task}, timeout=STOP_S)
        if running:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_S)

    return stop


async def _run(metadata: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer], stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        pause_s = INTERVAL_S
        try:
            if await deliver_due(metadata, mailer, writers, stopping=stopping) == BATCH_MAX:
                continue
        except DuoscopeError as error:
            _log.warning("mail: %s (%s)", error.message, error.detail)
            pause_s = OUTAGE_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause_s)
