"""Threads with a client each: the client is synchronous, and one client serves one call at a time."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from clickhouse_connect.driver.client import Client

T = TypeVar("T")


class Pool:
    """Threads with a client each, made when first needed.

    A client whose call failed is never used again: the embedded engine puts the rows that a failed query had already
    written before the rows of the next query of that client, which may be another tenant's.
    """

    def __init__(self, open_client: Callable[[], Client], size: int, name: str) -> None:
        self._open_client = open_client
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._idle: queue.SimpleQueue[Client] = queue.SimpleQueue()
        self._failed: queue.SimpleQueue[Client] = queue.SimpleQueue()

    async def run(self, work: Callable[[Client], T]) -> T:
        """Run `work` in a thread, with a client that no other call uses meanwhile."""
        return await self.begin(work)

    def begin(self, work: Callable[[Client], T]) -> "asyncio.Future[T]":
        """Begin to run `work`, whether anybody waits for it or not."""
        return asyncio.get_running_loop().run_in_executor(self._threads, self._with_client, work)

    def _with_client(self, work: Callable[[Client], T]) -> T:
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = self._open_client()
            # Only now: the embedded engine ends with its last client.
            _close_all(self._failed)
        try:
            result = work(client)
        except BaseException:
            self._failed.put(client)
            raise
        self._idle.put(client)
        return result

    def close(self) -> None:
        """Wait for running calls to end, then close every client."""
        self._threads.shutdown(wait=True)
        _close_all(self._failed)
        _close_all(self._idle)


def _close_all(clients: "queue.SimpleQueue[Client]") -> None:
    while True:
        try:
            clients.get_nowait().close()
        except queue.Empty:
            return
