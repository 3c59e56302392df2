"""What was computed from a tenant's telemetry and may be wanted again. Whoever keeps something keeps with it what says
whether it still holds.
"""

from collections import OrderedDict
from uuid import UUID

from duoscope.kernel.limits import READ_KEPT_BYTES_MAX

_Key = tuple[UUID, str, object]


class Kept:
    """Values by tenant and name. Those that nobody wanted for the longest time go first. Of the event loop's thread."""

    def __init__(self, bytes_max: int = READ_KEPT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._values: OrderedDict[_Key, tuple[object, int]] = OrderedDict()
        self.size = 0
        """About how many bytes the values take."""

    def get(self, key: _Key) -> object | None:
        """Return what is kept."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: _Key, value: object, size: int) -> None:
        """Keep a value, which takes about so many bytes, in place of the one before."""
        _, before = self._values.pop(key, (None, 0))
        self._values[key] = value, size
        self.size += size - before
        while self.size > self._bytes_max and self._values:
            _, (_, freed) = self._values.popitem(last=False)
            self.size -= freed


class KeptValues:
    """The values of one tenant and one name."""

    def __init__(self, kept: Kept, tenant_id: UUID, name: str) -> None:
        self._kept = kept
        self._tenant_id = tenant_id
        self._name = name

    def get(self, key: object) -> object | None:
        """Return what is kept."""
        return self._kept.get((self._tenant_id, self._name, key))

    def put(self, key: object, value: object, size: int) -> None:
        """Keep a value, which takes about so many bytes."""
        self._kept.put((self._tenant_id, self._name, key), value, size)
