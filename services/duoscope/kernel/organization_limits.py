"""The limits of an organization, over all its tenants together, so that limits do not multiply with tenants.

The instance has defaults (`DUOSCOPE_ORGANIZATION_LIMITS`); an organization may have its own values. Counts apply to
what the organization creates. Rates apply to all of its tenants and all receivers together; an organization without a
rate of its own may send as much as its largest tenant.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.named_limits import NamedLimits

RATES: Final = ("items_per_second", "bytes_per_second", "requests_in_flight")
"""The rates, with the same names as a tenant's (kernel/ingest_limits.py)."""
LARGEST: Final = "largest."
"""Prefix of the name of a rate: the rate of the largest tenant, which applies if the organization has none of its
own."""
_DELETED_TIMES: Final = 4
"""Existing resources, and deleted ones that can be restored, may together be this many times the limit: so that
creating and deleting cannot go on without end."""


@dataclass(frozen=True, slots=True)
class OrganizationLimits:
    """The limits that apply to an organization.

    Attributes:
        workspaces, tenants, roles, identity_providers: of its own; built-in roles are not counted.
        users: those with an account, and open invitations.
        invitations: open ones.
        api_keys: of all tenants, without revoked ones.
        items_per_second, bytes_per_second, requests_in_flight: of all tenants together. None: as much as the largest of
        its tenants may; 0 for the first two: no limit.
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
        return cls(**NAMED.parse(text))

    def with_own(self, own: Mapping[str, object]) -> Self:
        """Replace some of these limits by an organization's own values. Unknown names are ignored."""
        known = NAMED.known(own)
        return dataclasses.replace(self, **known) if known else self

    def allows(self, name: str, living: int, kept: int) -> bool:
        """Whether one more may be created.

        Args:
            name: the limit.
            living: how many exist.
            kept: how many exist or can be restored.
        """
        most: int = getattr(self, name)
        return living < most and kept < most * _DELETED_TIMES


COUNTS: Final = tuple(field.name for field in dataclasses.fields(OrganizationLimits) if field.name not in RATES)
NAMED: Final = NamedLimits(
    "An organization",
    {
        **dict.fromkeys(COUNTS, (0, 1_000_000)),
        "items_per_second": (0, 10**9),
        "bytes_per_second": (0, 2**40),
        "requests_in_flight": (1, 1_000_000),
    },
    unlimited_at_zero=("items_per_second", "bytes_per_second"),
)


def rates(
    own: tuple[tuple[str, int], ...], defaults: IngestLimits, of_tenant: IngestLimits | None = None
) -> tuple[int, int, int]:
    """The RATES that apply to all tenants of an organization together; 0 means no limit.

    Args:
        own: the organization's rates, and those of its largest tenant, as in a key's credential.
        defaults: the limits of a tenant without limits of its own.
        of_tenant: the limits of the sending tenant.
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
    """The organization's own rates, and for the others those of its largest tenant, in the form that `rates` takes."""
    found = {name: value for name, value in own.items() if name in RATES}
    most = largest(limits_of_tenants)
    found |= {f"{LARGEST}{name}": value for name, value in most.items() if name not in found}
    return tuple(sorted(found.items()))


def largest(limits_of_tenants: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """The largest value that a tenant has of its own, for each rate; 0, no limit, counts as the largest."""
    found: dict[str, int] = {}
    for own in limits_of_tenants:
        for name in RATES:
            value = own.get(name)
            if type(value) is int and value >= 0:
                found[name] = 0 if value == 0 or found.get(name) == 0 else max(value, found.get(name, 0))
    return found
