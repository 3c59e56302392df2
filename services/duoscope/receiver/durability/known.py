"""The outcomes of requests that are in the log or stored, for as long as the same bytes count as a retry."""

from collections import deque
from typing import Final

from duoscope.kernel import limits
from duoscope.receiver.decoder import Outcome

_NS: Final = 1_000_000_000
_SLOT_NS: Final = 60 * _NS
_SLOTS: Final = limits.INGEST_SAME_REQUEST_S * _NS // _SLOT_NS


class KnownRequests:
    """Outcomes of requests by their digest, which includes the tenant, by minute of arrival.

    Memory is little: a digest as bytes, and one object for all equal outcomes. Safe within one event loop.
    """

    def __init__(self, entries_max: int = limits.INGEST_KNOWN_REQUESTS_MAX) -> None:
        self._entries_max = entries_max
        self._minutes: deque[tuple[int, dict[bytes, Outcome]]] = deque()
        self._outcomes: dict[tuple[int, int], Outcome] = {}
        self._entries = 0
        self._complete_from_ns: int | None = None

    def complete_from(self, since_ns: int) -> None:
        """Record that all requests since a time are known."""
        self._complete_from_ns = since_ns

    def covers(self, now_ns: int) -> bool:
        """Whether every request is known that one of now could repeat, so that no one else has to be asked."""
        since = self._complete_from_ns
        return since is not None and since <= now_ns - limits.INGEST_SAME_REQUEST_S * _NS

    def add(self, digest: str, received_ns: int, outcome: Outcome) -> None:
        """Remember a request. Outdated ones are forgotten, and the oldest if there are too many."""
        minute = received_ns // _SLOT_NS
        found = self._minutes[-1] if self._minutes else None
        if found is None or minute > found[0]:
            found = minute, dict[bytes, Outcome]()
            self._minutes.append(found)
        found[1][bytes.fromhex(digest)] = self._shared(outcome)
        self._entries += 1
        while self._minutes:
            oldest, entries = self._minutes[0]
            if oldest >= minute - _SLOTS - 1:
                if self._entries <= self._entries_max:
                    return
                self._complete_from_ns = max(self._complete_from_ns or 0, received_ns, (oldest + 1) * _SLOT_NS)
            self._entries -= len(entries)
            self._minutes.popleft()

    def get(self, digest: str, received_ns: int) -> Outcome | None:
        """The outcome of the same request, if it came within the window, which is right to a minute."""
        key, oldest = bytes.fromhex(digest), received_ns // _SLOT_NS - _SLOTS
        for minute, entries in reversed(self._minutes):
            if minute < oldest:
                return None
            if outcome := entries.get(key):
                return outcome
        return None

    def _shared(self, outcome: Outcome) -> Outcome:
        if outcome.reasons:
            return outcome
        if len(self._outcomes) > 10_000:  # noqa: PLR2004 - sizes of requests repeat; these would be made up
            self._outcomes.clear()
        return self._outcomes.setdefault((outcome.items, outcome.stored), outcome)
