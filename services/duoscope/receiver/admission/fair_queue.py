"""A fair queue between tenants: each takes its turn, by bytes.

Deficit round robin (Shreedhar and Varghese, 1995): a tenant with a long queue does not make another's longer. With one
tenant it is first come, first served.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")

QUANTUM_BYTES: Final = 256 * 1024
"""How much a tenant may send in one turn; a larger request waits for several turns."""


@dataclass(slots=True)
class _Line(Generic[T]):
    """The waiting requests of one tenant, with their sizes."""

    waiting: deque[tuple[int, T]] = field(default_factory=deque[tuple[int, T]])
    credit: int = 0


class FairQueue(Generic[T]):
    """The waiting requests of tenants. `bytes` is their total size."""

    def __init__(self) -> None:
        self._lines: OrderedDict[UUID, _Line[T]] = OrderedDict()
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, tenant_id: UUID, size: int, request: T) -> None:
        """Queue a request behind the tenant's others."""
        line = self._lines.get(tenant_id)
        if line is None:
            line = self._lines[tenant_id] = _Line()
        line.waiting.append((size, request))
        self.bytes += size

    def take(self, bytes_max: int) -> list[T]:
        """The next requests, up to `bytes_max`; at least one, if any waits."""
        taken: list[T] = []
        left = bytes_max
        while self._lines:
            tenant_id, line = next(iter(self._lines.items()))
            size, request = line.waiting[0]
            if taken and size > left:
                break
            # No other tenant waits: there is no turn to wait for.
            if line.credit < size and len(self._lines) > 1:
                line.credit += QUANTUM_BYTES
                if line.credit < size:
                    self._lines.move_to_end(tenant_id)
                    continue
            line.waiting.popleft()
            line.credit = max(0, line.credit - size)
            left -= size
            self.bytes -= size
            taken.append(request)
            if not line.waiting:
                del self._lines[tenant_id]
            elif line.credit < line.waiting[0][0]:
                self._lines.move_to_end(tenant_id)
        return taken
