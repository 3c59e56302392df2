"""What an organization may have and send, all of its tenants together: a tenant's limits do not multiply by tenants.

The instance has defaults (`DUOSCOPE_ORGANIZATION_LIMITS`), an organization may have values of its own. Counts hold for
what the organization makes. Rates hold over all of its tenants, and over all receivers; an organization without a rate
of its own may send as much as the largest of its tenants.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from duoscope.kernel.errors import invalid
from duoscope.kernel.ingest_limits import IngestLimits

RATES: Final = ("items_per_second", "bytes_per_second", "requests_in_flight")
"""Named as a tenant's are (kernel/ingest_limits.py), which they add up."""
LARGEST: Final = "largest."
"""Before the name of a rate: that of the largest tenant, which holds where the organization has none of its own."""
_DELETED_TIMES: Final = 4
"""What was deleted and can be restored counts too, this many times later: so that making and deleting has an end."""


@dataclass(frozen=True, slots=True)
class OrganizationLimits:
    """What holds for an organization.

    Attributes:
        workspaces, tenants, roles, identity_providers: of its own; built-in roles are not counted.
        users: with an account, and open invitations besides.
        invitations: that are open.
        api_keys: that are not revoked, of all tenants.
        items_per_second, bytes_per_second, requests_in_flight: of all tenants together. None: as much as the largest
            of its tenants may; 0 for the first two: no limit.
    """

    workspaces: int = 20
    tenants: int = 50
    users: int = 1000
    invitations: int = 100
    api_keys: int = 500
    roles: int = 100
    identity_providers: int = 10
    items_per_second: int | None = None
    bytes_per_second: int | None = None
    requests_in_flight: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The defaults, with values from a text such as `tenants=200,api_keys=5000`.

        Raises:
            DuoscopeError: INVALID.
        """
        values: dict[str, int] = {}
        for part in filter(None, text.replace(",", " ").split()):
            name, _, value = part.partition("=")
            values[name] = check(name, int(value) if value.isascii() and value.isdigit() else value)
        return cls(**values)

    def with_own(self, own: Mapping[str, object]) -> Self:
        """These, with an organization's own values in place of some; what is not known here is left out."""
        known = {name: value for name, value in own.items() if _is_valid(name, value)}
        return dataclasses.replace(self, **known) if known else self

    def allows(self, name: str, living: int, kept: int) -> bool:
        """Whether another one may be made, where there are so many, and so many with those that can be restored."""
        most: int = getattr(self, name)
        return living < most and kept < most * _DELETED_TIMES


NAMES: Final = tuple(field.name for field in dataclasses.fields(OrganizationLimits))
COUNTS: Final = tuple(name for name in NAMES if name not in RATES)
_RANGES: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(COUNTS, (0, 1_000_000)),
    "items_per_second": (0, 10**9),
    "bytes_per_second": (0, 2**40),
    "requests_in_flight": (1, 1_000_000),
}


def check(name: str, value: object) -> int:
    """The value itself; INVALID for a limit that there is not, or a number that it cannot be."""
    if name not in _RANGES:
        raise invalid(f"There is no limit {name!r} of an organization; there are {', '.join(NAMES)}.")
    if not _is_valid(name, value):
        low, high = _RANGES[name]
        raise invalid(f"{name} is a whole number from {low} to {high:,}.")
    assert isinstance(value, int)
    return value


def changed(own: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, int]:
    """An organization's own values after `changes`, in which None takes a value away.

    Raises:
        DuoscopeError: INVALID.
    """
    after = {name: value for name, value in own.items() if _is_valid(name, value)}
    for name, value in changes.items():
        if value is None and name in _RANGES:
            after.pop(name, None)
        else:
            after[name] = check(name, value)
    return after


def rates(
    own: tuple[tuple[str, int], ...], defaults: IngestLimits, of_tenant: IngestLimits | None = None
) -> tuple[int, int, int]:
    """The RATES that hold for all tenants of an organization together; 0 is no limit.

    Args:
        own: the organization's rates, and those of its largest tenant, as a key's credential has them.
        defaults: what a tenant without limits of its own may send.
        of_tenant: what the tenant may that sends.
    """
    known = dict(own)

    def of(name: str) -> int:
        default: int = getattr(defaults, name)
        if name in known:
            return known[name]
        most = default, known.get(LARGEST + name, default), getattr(of_tenant or defaults, name)
        return max(most) if all(most) else 0

    items, size, in_flight = RATES
    return of(items), of(size), of(in_flight)


def with_largest(
    own: Mapping[str, int], limits_of_tenants: Sequence[Mapping[str, object]]
) -> tuple[tuple[str, int], ...]:
    """The organization's own rates, and for the others those of its largest tenant: what `rates` takes."""
    found = {name: value for name, value in own.items() if name in RATES}
    most = largest(limits_of_tenants)
    found |= {f"{LARGEST}{name}": value for name, value in most.items() if name not in found}
    return tuple(sorted(found.items()))


def largest(limits_of_tenants: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """Of each rate the largest that a tenant has of its own; 0, no limit, is the largest of all."""
    found: dict[str, int] = {}
    for own in limits_of_tenants:
        for name in RATES:
            value = own.get(name)
            if type(value) is int and value >= 0:
                found[name] = 0 if value == 0 or found.get(name) == 0 else max(value, found.get(name, 0))
    return found


def _is_valid(name: str, value: object) -> bool:
    if name not in _RANGES or type(value) is not int:
        return False
    low, high = _RANGES[name]
    return low <= value <= high
