"""Limits that are set by name: in a setting of the instance, by a tenant or for an organization. They are checked here.

`ingest_limits.py` and `organization_limits.py` say which limits there are.
"""

from collections.abc import Collection, Mapping
from typing import Any

from duoscope.kernel.errors import invalid


class NamedLimits:
    """The names of the limits of one kind of owner, each with the range of its values."""

    def __init__(
        self, owner: str, ranges: Mapping[str, tuple[int, int]], *, unlimited_at_zero: Collection[str] = ()
    ) -> None:
        """Create the list.

        Args:
            owner: who has the limits, such as `A tenant`, for messages.
            ranges: the smallest and the largest value of each limit.
            unlimited_at_zero: the limits of which 0 means that there is none.
        """
        self._owner = owner
        self._ranges = ranges
        self._unlimited_at_zero = unlimited_at_zero

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all limits."""
        return tuple(self._ranges)

    def check(self, name: str, value: object) -> int:
        """Return the value, if it is a valid one for the limit `name`.

        Raises:
            DuoscopeError: INVALID for an unknown limit, or a value out of its range.
        """
        if name not in self._ranges:
            raise invalid(f"{self._owner} has no limit {name!r}; the limits are {', '.join(self._ranges)}.")
        if type(value) is not int or not self._is_valid(name, value):
            low, high = self._ranges[name]
            unlimited = ", 0 for no limit" if name in self._unlimited_at_zero else ""
            raise invalid(f"{name} is a whole number from {low} to {high:,}{unlimited}.")
        return value

    def parse(self, text: str) -> dict[str, int]:
        """The values of a text such as `burst_seconds=20,active_series=5000`.

        Raises:
            DuoscopeError: INVALID.
        """
        values: dict[str, int] = {}
        for part in filter(None, text.replace(",", " ").split()):
            name, _, value = part.partition("=")
            values[name] = self.check(name, int(value) if value.isascii() and value.isdigit() else value)
        return values

    def known(self, own: Mapping[str, Any]) -> dict[str, int]:
        """The valid ones of stored values. What another version of duoscope wrote and this one does not know is left
        out.
        """
        return {name: value for name, value in own.items() if self._is_valid(name, value)}

    def changed(self, own: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, int]:
        """An owner's own values after `changes`. None in `changes` removes a value: the instance's applies again.

        Raises:
            DuoscopeError: INVALID.
        """
        after = self.known(own)
        for name, value in changes.items():
            if value is None and name in self._ranges:
                after.pop(name, None)
            else:
                after[name] = self.check(name, value)
        return after

    def _is_valid(self, name: str, value: object) -> bool:
        if name not in self._ranges or type(value) is not int:
            return False
        low, high = self._ranges[name]
        return low <= value <= high
