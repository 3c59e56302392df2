"""Rate limits and requests in flight: checked before a request is read, and exactly once its items are counted.

Token buckets for the items and bytes of each tenant and of each API key, requests per minute of a key, requests in
flight of a tenant, and a tenant's share of the memory for requests. A request is accepted whole or refused whole. If it
is refused for now, the sender is told when it would fit, and until then no other request of the tenant goes before it:
small requests must not starve large ones. A request that never fits is refused permanently.

All tenants of an organization together have limits too, charged in the same way, so that creating tenants creates no
capacity.

A tenant's limits apply to all receivers together: of each rate, and of the requests in flight, this one admits its
share. The size of a burst is not shared; otherwise the number of receivers would decide what is refused permanently.

The cheapest moment to refuse is before anything is read. So a request first reserves the least that the tenant's last
ones cost; when its items are counted, that estimate is returned and the true cost is charged.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar
from uuid import UUID

from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel import organization_limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.receiver.admission.memory import Budget, MemoryShare

ACCOUNTS_MAX: Final = 20_000
"""Tenants, and keys, that are remembered; the ones idle for longest are forgotten, with full buckets."""

_LOOKED_AT_MAX: Final = 8
"""How many accounts are checked for one to forget, each time that there are too many."""

IN_FLIGHT_RETRY_S: Final = 1.0
_PLEDGE_GROWTH: Final = 1.25
"""How fast the estimate follows requests that grow; when they shrink it falls at once."""

T = TypeVar("T")


class Bucket:
    """A token bucket: tokens come at a rate, up to a capacity. A rate of 0 means no limit. Times are seconds of a
    monotonic clock.

    `limit` is the whole rate, `rate` the share of it that this receiver admits.
    """

    __slots__ = ("_at", "_level", "capacity", "limit", "rate")

    def __init__(self) -> None:
        self.limit = 0.0
        self.rate = 0.0
        self.capacity = 0.0
        self._level = 0.0
        self._at = 0.0

    def configure(self, limit: float, capacity: float, receivers: int, now: float) -> None:
        """Change the rate and capacity; tokens already used stay used."""
        rate = limit / receivers
        if (rate, limit, capacity) == (self.rate, self.limit, self.capacity):
            return
        self._fill(now)
        used = self.capacity - self._level
        self.rate, self.limit, self.capacity = rate, limit, capacity
        self._level = max(0.0, capacity - used)
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until that many tokens are there; the amount must not exceed the capacity."""
        if not self.rate:
            return 0.0
        self._fill(now)
        return max(0.0, (amount - self._level) / self.rate)

    def holds_ever(self, amount: float) -> bool:
        """Whether the bucket can ever hold that many tokens."""
        return not self.rate or amount <= self.capacity

    def take(self, amount: float) -> None:
        """Use tokens, or fewer if there are fewer."""
        self._level = max(0.0, self._level - amount)

    def give_back(self, amount: float) -> None:
        """Put back tokens that were taken in vain."""
        self._level = min(self.capacity, self._level + amount)

    def _fill(self, now: float) -> None:
        self._level = min(self.capacity, self._level + max(0.0, now - self._at) * self.rate)
        self._at = now


class RateMeter:
    """The item and byte buckets of one tenant or one key."""

    __slots__ = ("_expected_bytes", "_expected_items", "_refused_until", "bytes", "items", "whose")

    def __init__(self, whose: str) -> None:
        self.whose = whose
        self.items = Bucket()
        self.bytes = Bucket()
        self._expected_items = 0.0
        self._expected_bytes = 0.0
        self._refused_until = 0.0

    def pledge(self, now: float) -> tuple[float, float]:
        """Take the tokens that a request is expected to cost.

        Raises:
            DuoscopeError: RATE_LIMITED; nothing was taken.
        """
        if self._refused_until > now:
            raise self._limited(self._refused_until - now, self._fullest(now))
        items = min(self._expected_items, self.items.capacity)
        size = min(self._expected_bytes, self.bytes.capacity)
        self._require(items, size, now)
        self.take(items, size)
        return items, size

    def check(self, items: int, size: int, now: float) -> None:
        """Raise unless a request of these items and bytes fits now.

        Raises:
            DuoscopeError: RATE_LIMITED, or TOO_LARGE if it never will.
        """
        self._expected_items = _nearer(self._expected_items, items)
        self._expected_bytes = _nearer(self._expected_bytes, size)
        for bucket, amount, unit in ((self.items, items, "item"), (self.bytes, size, "byte")):
            if not bucket.holds_ever(amount):
                self.bytes.take(size)  # it was read for nothing, and whoever goes on like this waits
                raise DuoscopeError(
                    ErrorKind.TOO_LARGE,
                    "larger-than-limit",
                    f"The request holds {_counted(amount, unit)}; this {self.whose} may send {bucket.capacity:,.0f} "
                    "at once. Send smaller batches.",
                )
        try:
            self._require(items, size, now)
        except DuoscopeError as error:
            self._refused_until = now + (error.retry_after_s or 0.0)
            raise

    def take(self, items: float, size: float) -> None:
        """Charge a request's items and bytes."""
        self.items.take(items)
        self.bytes.take(size)

    def give_back(self, items: float, size: float) -> None:
        """Undo a charge."""
        self.items.give_back(items)
        self.bytes.give_back(size)

    def _require(self, items: float, size: float, now: float) -> None:
        for bucket, amount in ((self.items, items), (self.bytes, size)):
            wait_s = bucket.wait_s(amount, now)
            if wait_s > 0:
                raise self._limited(max(self.items.wait_s(items, now), self.bytes.wait_s(size, now)), bucket)

    def _fullest(self, now: float) -> Bucket:
        """The bucket with the least left, relative to its capacity."""
        return max((self.items, self.bytes), key=lambda b: b.wait_s(b.capacity, now) * b.rate / (b.capacity or 1))

    def _limited(self, wait_s: float, bucket: Bucket) -> DuoscopeError:
        unit = "item" if bucket is self.items else "byte"
        return _limited(
            f"{unit}s-limited", f"This {self.whose} may send {_counted(bucket.limit, unit)} a second", wait_s
        )


class TenantLimiter:
    """One tenant: its requests in flight, and its limits."""

    __slots__ = ("_own", "_receivers", "held", "in_flight", "in_flight_max", "limits", "meter")

    def __init__(self, applied: IngestLimits) -> None:
        self.limits = applied
        self._own: tuple[tuple[str, int], ...] | None = None
        self._receivers = 0
        self.meter = RateMeter("tenant")
        self.in_flight = 0
        self.in_flight_max = 0
        self.held = 0

    def follow(self, own: tuple[tuple[str, int], ...], defaults: IngestLimits, receivers: int, now: float) -> None:
        """Apply this receiver's share of the tenant's limits, if they changed."""
        if own == self._own and receivers == self._receivers:
            return
        self._own, self._receivers = own, receivers
        applied = self.limits = defaults.with_own(dict(own))
        self.in_flight_max = math.ceil(applied.requests_in_flight / receivers)
        _configure(self.meter, applied.items_per_second, applied.bytes_per_second, applied, receivers, now)

    @property
    def is_idle(self) -> bool:
        """Whether the account may be forgotten."""
        return not self.in_flight and not self.held


class Group:
    """One organization: the limits and requests in flight of all its tenants together."""

    __slots__ = ("_burst_seconds", "_receivers", "in_flight", "in_flight_max", "limits", "meter")

    def __init__(self) -> None:
        self.meter = RateMeter("organization")
        self._burst_seconds = 0
        self.limits = (0, 0, 0)
        self.in_flight = 0
        self.in_flight_max = 0
        self._receivers = 0

    def follow(
        self,
        own: tuple[tuple[str, int], ...],
        defaults: IngestLimits,
        of_tenant: IngestLimits,
        receivers: int,
        now: float,
    ) -> None:
        """Apply this receiver's share of the organization's limits, if they changed.

        The burst is that of the tenant with the longest burst.
        """
        burst_seconds = max(self._burst_seconds, of_tenant.burst_seconds)
        found = items, size, in_flight = organization_limits.rates(own, defaults, of_tenant)
        if (found, receivers, burst_seconds) == (self.limits, self._receivers, self._burst_seconds):
            return
        self.limits, self._receivers, self._burst_seconds = found, receivers, burst_seconds
        self.in_flight_max = math.ceil(in_flight / receivers)
        self.meter.items.configure(items, items * burst_seconds, receivers, now)
        self.meter.bytes.configure(size, size * burst_seconds, receivers, now)

    @property
    def is_idle(self) -> bool:
        """Whether the account may be forgotten."""
        return not self.in_flight


class Key:
    """One API key."""

    __slots__ = ("_limits", "_rate_limit", "_receivers", "meter", "requests")

    is_idle: Final = True

    def __init__(self) -> None:
        self.meter = RateMeter("API key")
        self.requests = Bucket()
        self._limits: IngestLimits | None = None
        self._rate_limit: int | None = None
        self._receivers = 0

    def follow(self, applied: IngestLimits, rate_limit: int | None, receivers: int, now: float) -> None:
        """Apply this receiver's share of the limits, if they changed. `rate_limit` is in requests per minute."""
        if applied is self._limits and rate_limit == self._rate_limit and receivers == self._receivers:
            return
        self._limits, self._rate_limit, self._receivers = applied, rate_limit, receivers
        items, size = applied.key_items_per_second, applied.key_bytes_per_second
        _configure(self.meter, items, size, applied, receivers, now)
        self.requests.configure((rate_limit or 0) / 60, rate_limit or 0, receivers, now)


class _Known(Generic[T]):
    """Accounts by id; those unused for longest are forgotten first."""

    def __init__(self, make: Callable[[], T], is_idle: Callable[[T], bool]) -> None:
        self._make = make
        self._is_idle = is_idle
        self._found: OrderedDict[UUID, T] = OrderedDict()

    def get(self, identifier: UUID) -> T:
        found = self._found.get(identifier)
        if found is not None:
            self._found.move_to_end(identifier)
            return found
        made = self._found[identifier] = self._make()
        for _ in range(_LOOKED_AT_MAX):
            if len(self._found) <= ACCOUNTS_MAX:
                break
            oldest, account = next(iter(self._found.items()))
            if self._is_idle(account):
                del self._found[oldest]
            else:
                self._found.move_to_end(oldest)
        return made


class Admission:
    """Admits requests. Safe for concurrent use within one event loop. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        budget: Budget,
        defaults: IngestLimits,
        *,
        receivers: Callable[[], int] = lambda: 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it. `receivers` returns how many receivers share the limits, including this one."""
        self._budget = budget
        self._defaults = defaults
        self._receivers = receivers
        self._clock = clock
        self._tenants: _Known[TenantLimiter] = _Known(lambda: TenantLimiter(defaults), lambda account: account.is_idle)
        self._keys: _Known[Key] = _Known(Key, lambda _: True)
        self._groups: _Known[Group] = _Known(Group, lambda group: group.is_idle)

    def limits_of(self, principal: IngestPrincipal) -> IngestLimits:
        """The limits that apply to the principal's tenant."""
        return self._accounts(principal, self._clock())[0].limits

    def enter(self, principal: IngestPrincipal) -> "InFlightRequest":
        """Admit a request to be read. Leave the context when it is answered.

        Raises:
            DuoscopeError: RATE_LIMITED with the seconds after which to retry.
        """
        now = self._clock()
        account, group, key = self._accounts(principal, now)
        for whose, one, most in (
            ("tenant", account, account.limits.requests_in_flight),
            ("organization", group, group.limits[2]),
        ):
            if one.in_flight >= one.in_flight_max:
                what = f"This {whose} may have {_counted(most, 'request')} in flight"
                raise _limited("in-flight-limited", what, IN_FLIGHT_RETRY_S)
        wait_s = key.requests.wait_s(1, now)
        if wait_s > 0:
            raise _limited(
                "requests-limited",
                f"This API key may send {_counted(principal.rate_limit or 0, 'request')} a minute",
                wait_s,
            )
        pledges: list[tuple[RateMeter, tuple[float, float]]] = []
        try:
            pledges.extend((meter, meter.pledge(now)) for meter in (account.meter, group.meter, key.meter))
        except DuoscopeError:
            for meter, pledged in pledges:
                meter.give_back(*pledged)
            raise
        key.requests.take(1)
        account.in_flight += 1
        group.in_flight += 1
        return InFlightRequest(self._budget, account, group, pledges)

    def charge(self, principal: IngestPrincipal, items: int, size: int) -> None:
        """Charge a request to its tenant, its organization and its key, or to none of them.

        Raises:
            DuoscopeError: RATE_LIMITED, or TOO_LARGE if it never fits.
        """
        now = self._clock()
        charged = [one.meter for one in self._accounts(principal, now)]
        for meter in charged:
            meter.check(items, size, now)
        for meter in charged:
            meter.take(items, size)

    def give_back(self, principal: IngestPrincipal, items: int, size: int) -> None:
        """Undo a charge: the request could not be stored, and will be sent again."""
        for one in self._accounts(principal, self._clock()):
            one.meter.give_back(items, size)

    def room(self, principal: IngestPrincipal) -> MemoryShare:
        """The tenant's share of the memory."""
        return MemoryShare(self._budget, self._accounts(principal, self._clock())[0])

    def _accounts(self, principal: IngestPrincipal, now: float) -> tuple[TenantLimiter, Group, Key]:
        account = self._tenants.get(principal.scope.tenant_id)
        receivers = self._receivers()
        account.follow(principal.own_limits, self._defaults, receivers, now)
        group = self._groups.get(principal.scope.organization_id)
        group.follow(principal.organization_limits, self._defaults, account.limits, receivers, now)
        key = self._keys.get(principal.api_key_id)
        key.follow(account.limits, principal.rate_limit, receivers, now)
        return account, group, key


class InFlightRequest(MemoryShare):
    """A request in progress: counts as in flight, and holds its estimate until `settle`."""

    __slots__ = ("_group", "_pledges", "_tenant")

    def __init__(
        self, budget: Budget, account: TenantLimiter, group: Group, pledges: list[tuple[RateMeter, tuple[float, float]]]
    ) -> None:
        super().__init__(budget, account)
        self._tenant = account
        self._group = group
        self._pledges = pledges

    def settle(self) -> None:
        """Return the estimate: the true cost is charged now, or nothing. May be called twice."""
        for meter, pledged in self._pledges:
            meter.give_back(*pledged)
        self._pledges = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.settle()
        self._tenant.in_flight -= 1
        self._group.in_flight -= 1


def _nearer(expected: float, seen: float) -> float:
    return min(seen, expected * _PLEDGE_GROWTH) if expected else seen


def _configure(  # noqa: PLR0917 - two buckets
    meter: RateMeter, items: int, size: int, applied: IngestLimits, receivers: int, now: float
) -> None:
    meter.items.configure(items, items * applied.burst_seconds, receivers, now)
    meter.bytes.configure(size, size * applied.burst_seconds, receivers, now)


def _counted(amount: float, unit: str) -> str:
    shown = f"{amount:,.0f}"
    return f"{shown} {unit}" if shown == "1" else f"{shown} {unit}s"


def _limited(code: str, what: str, wait_s: float) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.RATE_LIMITED,
        code,
        f"{what}, and that is used up; send the same request again in {max(wait_s, 0.1):.1f} s.",
        retry_after_s=wait_s,
    )
