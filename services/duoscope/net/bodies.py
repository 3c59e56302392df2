"""The clock of a request's body: how long its sender may pause, and how long the whole body may take."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from duoscope.kernel import limits

Message = MutableMapping[str, Any]


class GoneError(Exception):
    """The client disconnected before its request had arrived: there is nobody to answer, and nothing is wrong."""


class TimedBody:
    """`receive` of an ASGI request with a clock that runs from the first call to the end of the body."""

    def __init__(self, receive: Callable[[], Awaitable[Message]]) -> None:
        self._receive = receive
        self._ends_at: float | None = None
        self._complete = False
        self.beginning = b""
        """The first part that arrived."""

    async def receive(self) -> Message:
        """Receive the next ASGI event.

        Raises:
            TimeoutError: the sender paused too long, or the whole body takes too long.
            GoneError: the client disconnected.
        """
        if self._complete:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        if self._ends_at is None:
            self._ends_at = now + limits.HTTP_BODY_MAX_S
        async with asyncio.timeout_at(min(now + limits.HTTP_BODY_PAUSE_MAX_S, self._ends_at)):
            event = await self._receive()
        if event["type"] == "http.disconnect":
            raise GoneError
        self._complete = not event.get("more_body", False)
        self.beginning = self.beginning or event.get("body", b"")
        return event
