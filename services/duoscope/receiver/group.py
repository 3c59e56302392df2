"""A group of requests that are appended and synced together."""

import asyncio
from dataclasses import dataclass, field

from duoscope.kernel.errors import DuoscopeError
from duoscope.receiver.durability.records import Record
from duoscope.receiver.requests import Request


@dataclass(slots=True, eq=False)
class Group:
    """Requests that are synced together.

    Attributes:
        requests: in the order of their arrival.
        asked: whether it is sure that none of them was stored before.
        may_go_on: set when the next group may be decoded.
        results: of the first requests, their records, or why there is none; the others have no room in the segment.
        is_written: whether they are in the file, and need only be synced.
        error: of the disk.
        work: what a thread does.
        task: what follows.
        is_lost: whether it was answered together with the group before, which failed.
    """

    requests: list[Request]
    asked: bool
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    results: list[Record | DuoscopeError] = field(default_factory=list["Record | DuoscopeError"])
    is_written: bool = False
    error: OSError | None = None
    work: asyncio.Future[None] | None = None
    task: asyncio.Task[None] | None = None
    is_lost: bool = False

    @property
    def failed(self) -> bool:
        """Whether its requests are not, or perhaps not, on the disk."""
        broke = self.work is not None and self.work.done() and self.work.exception() is not None
        return broke or self.error is not None

    def sound(self) -> list[tuple[Request, Record]]:
        """The requests that have items, with their records."""
        pairs = zip(self.requests, self.results, strict=False)
        return [(request, result) for request, result in pairs if isinstance(result, Record) and result.outcome.items]

    def answer_others(self) -> list[Request]:
        """Answer the requests that are not sound; they are in no file. Returns them."""
        others: list[Request] = []
        for request, result in zip(self.requests, self.results, strict=False):
            if isinstance(result, DuoscopeError):
                request.resolve(result)
            elif not result.outcome.items:
                request.resolve(result.outcome)
            else:
                continue
            others.append(request)
        return others
