"""The outcomes of answered requests, for as long as the same bytes count as a retry."""

from collections import OrderedDict
from typing import Final

from duoscope.kernel import limits
from duoscope.receiver.decoder import Outcome

_SAME_REQUEST_NS: Final = limits.INGEST_SAME_REQUEST_S * 1_000_000_000


class KnownRequests:
    """Outcomes of requests by `Part.key`."""

    def __init__(self, entries_max: int | None = None) -> None:
        self._entries_max = entries_max
        self._outcomes: OrderedDict[str, tuple[int, Outcome]] = OrderedDict()

    def add(self, key: str, received_ns: int, outcome: Outcome) -> None:
        """Remember a request. Outdated requests are forgotten."""
        self._outcomes[key] = (received_ns, outcome)
        while self._outcomes:
            oldest_ns, _ = next(iter(self._outcomes.values()))
            too_many = self._entries_max is not None and len(self._outcomes) > self._entries_max
            if not too_many and oldest_ns >= received_ns - _SAME_REQUEST_NS:
                return
            self._outcomes.popitem(last=False)

    def get(self, key: str, received_ns: int) -> Outcome | None:
        """The outcome of the same request, if it came within the window."""
        found = self._outcomes.get(key)
        return found[1] if found and received_ns - found[0] <= _SAME_REQUEST_NS else None

    def discard(self, key: str) -> None:
        """Forget a request."""
        self._outcomes.pop(key, None)
