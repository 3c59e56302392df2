"""Streams of log records: how many there may be, how long they last, and that they end when the process does."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec
from litestar.response import ServerSentEventMessage

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.telemetry.logs import TAIL_INTERVAL_S, TailBatch

TAILS_MAX: Final = 50
"""Streams of one process at a time: each is a query a second."""
TAIL_DURATION_MAX_S: Final = 900.0
RETRY_AFTER_S: Final = 10.0

_log = logging.getLogger(__name__)


class Tails:
    """The streams of one process."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._open = 0

    async def wait(self) -> None:
        """Until the next look, or until the process stops."""
        try:
            await asyncio.wait_for(self._stopping.wait(), TAIL_INTERVAL_S)
        except TimeoutError:
            return

    def stream(self, batches: AsyncGenerator[TailBatch]) -> AsyncGenerator[ServerSentEventMessage]:
        """The batches as server-sent events.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-tails` at TAILS_MAX.
        """
        if self._open >= TAILS_MAX:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                "too-many-tails",
                "Too many log streams are open; close one, or try again shortly.",
                retry_after_s=RETRY_AFTER_S,
            )
        return self._events(batches)

    async def _events(self, batches: AsyncGenerator[TailBatch]) -> AsyncGenerator[ServerSentEventMessage]:
        ends_at = asyncio.get_running_loop().time() + TAIL_DURATION_MAX_S
        self._open += 1
        try:
            yield ServerSentEventMessage(comment="connected", data=None)
            async with aclosing(batches):
                async for batch in batches:
                    for record in batch.items:
                        yield ServerSentEventMessage(event="log", data=msgspec.json.encode(record).decode())
                    if batch.gap:
                        yield ServerSentEventMessage(event="gap", data="{}")
                    if not batch.items:
                        # Tells a dead connection from a quiet one.
                        yield ServerSentEventMessage(comment="nothing new", data=None)
                    if self._stopping.is_set() or asyncio.get_running_loop().time() > ends_at:
                        return
        except DuoscopeError as error:
            _log.warning("tail ended", extra={"code": error.code, "detail": error.detail or ""})
            content = msgspec.json.encode({"code": error.code, "detail": error.message}).decode()
            yield ServerSentEventMessage(event="error", data=content)
        finally:
            self._open -= 1
