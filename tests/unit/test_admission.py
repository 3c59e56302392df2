"""Buckets, shares of memory, turns: admission with a clock of the test's own."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel import ingest_limits, organization_limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.organization_limits import OrganizationLimits, rates, with_largest
from duoscope.kernel.scope import Scope
from duoscope.receiver.admission import limits
from duoscope.receiver.admission.fair_queue import QUANTUM_BYTES, FairQueue
from duoscope.receiver.admission.limits import Admission
from duoscope.receiver.admission.memory import Budget
from duoscope.receiver.admission.tenant_series import PERIOD_S, TenantSeries

KEPT = {"items_per_second": 100, "bytes_per_second": 1000, "burst_seconds": 2, "requests_in_flight": 3}


def principal(scope=None, **more):
    scope = scope or Scope(new_id(), new_id(), new_id())
    return IngestPrincipal(scope, new_id(), frozenset(), 30, **more)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def house(clock):
    """Admission with small limits for everybody."""
    return Admission(Budget(1000), IngestLimits(**KEPT), clock=clock)


def refused(kind, work, *arguments):
    with pytest.raises(DuoscopeError) as caught:
        work(*arguments)
    assert caught.value.kind is kind
    return caught.value


def test_a_burst_then_the_rate_and_the_wait_is_what_the_bucket_needs(house, clock):
    one = principal()
    house.charge(one, 150, 100)
    error = refused(ErrorKind.RATE_LIMITED, house.charge, one, 100, 100)
    assert error.code == "items-limited"
    assert error.retry_after_s == pytest.approx(0.5)
    assert "100 items a second" in error.message
    clock.now += error.retry_after_s
    house.charge(one, 100, 100)
    error = refused(ErrorKind.RATE_LIMITED, house.charge, one, 0, 2000)
    assert error.code == "bytes-limited"
    assert "1,000 bytes a second" in error.message


def test_one_is_told_as_one(clock):
    house = Admission(Budget(1000), IngestLimits(items_per_second=1, burst_seconds=1), clock=clock)
    one = principal()
    house.charge(one, 1, 1)
    error = refused(ErrorKind.RATE_LIMITED, house.charge, one, 1, 1)
    assert "may send 1 item a second" in error.message


def test_what_never_fits_is_refused_for_good_and_says_the_limit(house):
    one = principal()
    error = refused(ErrorKind.TOO_LARGE, house.charge, one, 201, 1)
    assert (error.code, error.retry_after_s) == ("larger-than-limit", None)
    assert "201 items" in error.message
    assert "200 at once" in error.message
    refused(ErrorKind.TOO_LARGE, house.charge, one, 1, 2001)


def test_small_requests_do_not_starve_a_large_one(house, clock):
    one = principal()
    house.charge(one, 200, 1)
    error = refused(ErrorKind.RATE_LIMITED, house.charge, one, 200, 1)
    while (wait_s := error.retry_after_s) > 0.11:
        clock.now += 0.1
        error = refused(ErrorKind.RATE_LIMITED, house.enter, one)
        assert error.retry_after_s == pytest.approx(wait_s - 0.1)
    clock.now += 0.11
    with house.enter(one) as entry:
        entry.settle()
        house.charge(one, 200, 1)


def test_who_used_up_the_limit_is_refused_before_anything_is_read(house, clock):
    one, other = principal(), principal()
    house.charge(one, 100, 500)
    house.charge(one, 100, 500)
    refused(ErrorKind.RATE_LIMITED, house.enter, one)
    with house.enter(other):
        pass
    # Requests as large as the last ones: as many enter as will be taken, and no more.
    clock.now += 2
    entries = [house.enter(one), house.enter(one)]
    refused(ErrorKind.RATE_LIMITED, house.enter, one)
    for entry in entries:
        with entry:
            entry.settle()
            house.charge(one, 100, 500)


def test_an_entry_that_leads_to_nothing_costs_nothing(house):
    one = principal()
    house.charge(one, 150, 1)
    house.give_back(one, 150, 1)
    for _ in range(50):
        with house.enter(one):
            pass
    house.charge(one, 200, 1)


def test_requests_in_flight(house):
    one = principal()
    entries = [house.enter(one) for _ in range(3)]
    error = refused(ErrorKind.RATE_LIMITED, house.enter, one)
    assert (error.code, error.retry_after_s) == ("in-flight-limited", limits.IN_FLIGHT_RETRY_S)
    with entries.pop():
        pass
    with house.enter(one):
        pass


def test_a_keys_requests_a_minute(house, clock):
    one = principal(rate_limit=2)
    for _ in range(2):
        with house.enter(one):
            pass
    error = refused(ErrorKind.RATE_LIMITED, house.enter, one)
    assert error.code == "requests-limited"
    assert error.retry_after_s == pytest.approx(30)
    with house.enter(principal(one.scope)):
        pass
    clock.now += 30
    with house.enter(one):
        pass


def test_a_key_has_limits_within_its_tenants(house):
    own = (("key_items_per_second", 10),)
    one = principal(own_limits=own)
    sister = principal(one.scope, own_limits=own)
    house.charge(one, 20, 1)
    assert "API key" in refused(ErrorKind.RATE_LIMITED, house.charge, one, 5, 1).message
    house.charge(sister, 20, 1)
    # What the key could not take was not charged to the tenant.
    for _ in range(8):
        house.charge(principal(one.scope, own_limits=own), 20, 1)
    assert "tenant" in refused(ErrorKind.RATE_LIMITED, house.charge, principal(one.scope, own_limits=own), 1, 1).message


def test_other_limits_of_a_tenant_hold_from_its_next_request(house):
    one = principal()
    house.charge(one, 150, 1)
    more = principal(one.scope, own_limits=(("items_per_second", 1000),))
    house.charge(more, 1850, 1)
    refused(ErrorKind.RATE_LIMITED, house.charge, more, 1, 1)
    free = principal(one.scope, own_limits=(("bytes_per_second", 0), ("items_per_second", 0)))
    for _ in range(10):
        house.charge(free, 10**9, 10**9)
    assert house.limits_of(principal(one.scope)).items_per_second == 100


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 3)), max_size=60))
def test_never_more_than_the_rate_and_one_burst(asked):
    clock = Clock()
    house = Admission(Budget(), IngestLimits(items_per_second=100, burst_seconds=2), clock=clock)
    one, taken = principal(), 0
    for items, pause_s in asked:
        clock.now += pause_s
        try:
            house.charge(one, items, 1)
        except DuoscopeError:
            continue
        taken += items
        assert taken <= 200 + 100 * (clock.now - Clock.now) + 1e-6


def test_a_tenant_alone_fills_half_of_the_memory_and_leaves_room_for_the_next(house):
    rooms = [house.room(principal()) for _ in range(3)]
    for _ in range(5):
        rooms[0].take(100)
    assert refused(ErrorKind.UNAVAILABLE, rooms[0].take, 100).code == "tenant-busy"
    for _ in range(2):
        rooms[1].take(100)
    refused(ErrorKind.UNAVAILABLE, rooms[1].take, 200)
    rooms[2].take(300)
    refused(ErrorKind.UNAVAILABLE, rooms[1].take, 1)
    rooms[2].give_back(300)
    rooms[1].take(100)


def test_a_request_larger_than_the_memory_enters_an_empty_house(house):
    room = house.room(principal())
    room.take(5000)
    assert refused(ErrorKind.UNAVAILABLE, house.room(principal()).take, 1).code == "receiver-busy"
    room.give_back(5000)


def test_tenants_that_are_gone_are_forgotten_but_never_while_they_send(clock, monkeypatch):
    monkeypatch.setattr(limits, "ACCOUNTS_MAX", 10)
    house = Admission(Budget(1000), IngestLimits(**KEPT), clock=clock)
    busy = principal()
    entry = house.enter(busy)
    for _ in range(100):
        with house.enter(principal()):
            pass
    assert len(house._tenants._found) <= 11
    entries = [house.enter(busy), house.enter(busy)]
    refused(ErrorKind.RATE_LIMITED, house.enter, busy)
    for each in (entry, *entries):
        with each:
            pass


def test_limits_are_read_and_refused_by_name():
    assert IngestLimits.parse("items_per_second=5, burst_seconds=3 active_series=0") == IngestLimits(
        items_per_second=5, burst_seconds=3, active_series=0
    )
    assert IngestLimits.parse("") == IngestLimits()
    for wrong in ("items=5", "items_per_second", "items_per_second=-1", "burst_seconds=0", "attributes=1e3"):
        refused(ErrorKind.INVALID, IngestLimits.parse, wrong)
    assert ingest_limits.NAMED.changed({"attributes": 5, "body_bytes": 7}, {"attributes": None, "body_bytes": 9}) == {
        "body_bytes": 9
    }
    refused(ErrorKind.INVALID, ingest_limits.NAMED.changed, {}, {"attributes": True})
    assert ingest_limits.NAMED.names == tuple(field.name for field in fields(IngestLimits))
    assert set(organization_limits.NAMED.names) == {field.name for field in fields(OrganizationLimits)}
    for wrong in ({"tenants": -1}, {"tenants": "5"}, {"burst_seconds": 5}, {"requests_in_flight": 0}):
        refused(ErrorKind.INVALID, organization_limits.NAMED.changed, {}, wrong)
    # What another version wrote, or nobody should have, changes nothing.
    assert IngestLimits().with_own({"new_limit": 5, "attributes": "x", "body_bytes": -1}) == IngestLimits()


def test_receivers_share_rates_and_requests_in_flight_and_not_what_may_come_at_once(clock):
    living = 1
    applied = IngestLimits(**KEPT, key_items_per_second=80)
    house = Admission(Budget(1000), applied, receivers=lambda: living, clock=clock)
    one = principal(rate_limit=60)
    house.charge(one, 150, 0)
    living = 2
    # 10 of 160 are left, and come at 40 a second for the key: half of its 80.
    error = refused(ErrorKind.RATE_LIMITED, house.charge, one, 50, 0)
    assert error.retry_after_s == pytest.approx(1.0)
    assert "80 items a second" in error.message
    clock.now += 100
    refused(ErrorKind.TOO_LARGE, house.charge, one, 161, 0)
    house.charge(one, 160, 0)
    clock.now += 100
    with house.enter(one), house.enter(one):
        assert refused(ErrorKind.RATE_LIMITED, house.enter, one).code == "in-flight-limited"
    living = 5
    with house.enter(one):
        assert "3 requests in flight" in refused(ErrorKind.RATE_LIMITED, house.enter, one).message
    # Of an API key's requests a minute the same.
    living = 1
    clock.now += 100
    for _ in range(60):
        house.enter(one).__exit__(None, None, None)
    assert refused(ErrorKind.RATE_LIMITED, house.enter, one).retry_after_s == pytest.approx(1.0)
    living = 3
    assert refused(ErrorKind.RATE_LIMITED, house.enter, one).retry_after_s == pytest.approx(3.0)


def test_tenants_take_turns_by_bytes():
    queue = FairQueue()
    loud, quiet = new_id(), new_id()
    for number in range(100):
        queue.add(loud, QUANTUM_BYTES, ("loud", number))
    for number in range(3):
        queue.add(quiet, QUANTUM_BYTES, ("quiet", number))
    taken = queue.take(6 * QUANTUM_BYTES)
    assert sorted(taken) == [*(("loud", n) for n in range(3)), *(("quiet", n) for n in range(3))]
    assert queue.bytes == 97 * QUANTUM_BYTES
    assert queue.take(2 * QUANTUM_BYTES) == [("loud", 3), ("loud", 4)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4 * QUANTUM_BYTES)), max_size=50), st.integers(0, 10**6))
def test_a_queue_loses_nothing_and_keeps_each_tenants_order(added, bytes_max):
    tenants = [new_id() for _ in range(4)]
    queue = FairQueue()
    for number, (tenant, size) in enumerate(added):
        queue.add(tenants[tenant], size, (tenant, number, size))
    taken = []
    while queue:
        batch = queue.take(bytes_max)
        assert batch
        assert len(batch) == 1 or sum(size for _, _, size in batch) <= bytes_max
        taken += batch
    assert queue.bytes == 0
    for tenant in range(4):
        mine = [entry for entry in taken if entry[0] == tenant]
        assert mine == [(t, n, s) for n, (t, s) in enumerate(added) if t == tenant]


def test_series_of_tenants_turn_with_the_periods(clock):
    found = TenantSeries(tenants_max=2, clock=clock)
    one, two, three = new_id(), new_id(), new_id()
    first = found.of(one)
    assert found.of(one) is first
    clock.now += PERIOD_S
    assert found.of(one) is first
    found.of(two)
    found.of(three)
    assert found.of(one) is not first


def test_tenants_of_one_organization_share_what_one_of_them_may_send():
    """However many it makes; others' requests are nobody's business of theirs."""
    admission, now = _admission(items_per_second=100, burst_seconds=1, requests_in_flight=3)
    organization = new_id()
    tenants = [_of(organization) for _ in range(4)]
    stranger = _of(new_id())
    for tenant in tenants[:2]:
        admission.charge(tenant, 50, 10)
    with pytest.raises(DuoscopeError, match="This organization may send 100 items a second") as refused:
        admission.charge(tenants[2], 50, 10)
    assert (refused.value.kind, refused.value.code) == (ErrorKind.RATE_LIMITED, "items-limited")
    admission.charge(stranger, 100, 10)
    now[0] += refused.value.retry_after_s
    admission.charge(tenants[2], 50, 10)
    admission, _ = _admission(items_per_second=0, requests_in_flight=3)
    entries = [admission.enter(tenant) for tenant in tenants[:3]]
    with pytest.raises(DuoscopeError, match="This organization may have 3 requests in flight"):
        admission.enter(tenants[3])
    admission.enter(stranger).__exit__(None, None, None)
    for entry in entries:
        entry.__exit__(None, None, None)
    admission.enter(tenants[3]).__exit__(None, None, None)


def test_an_organization_may_send_as_much_as_its_largest_tenant_or_what_it_was_given():
    defaults = IngestLimits(items_per_second=100, bytes_per_second=0, requests_in_flight=10)
    assert rates((), defaults) == (100, 0, 10)
    largest = with_largest({}, [{"items_per_second": 500}, {"items_per_second": 20, "requests_in_flight": 40}])
    assert rates(largest, defaults) == (500, 0, 40)
    assert rates(with_largest({"items_per_second": 50}, [{"items_per_second": 500}]), defaults) == (50, 0, 10)
    assert rates(with_largest({}, [{"items_per_second": 0}, {"items_per_second": 5}]), defaults)[0] == 0
    assert rates(with_largest({}, [{"items_per_second": 5}]), defaults)[0] == 100


def _of(organization):
    return IngestPrincipal(Scope(organization, new_id(), new_id()), new_id(), frozenset(), 30)


def _admission(**limits):
    now = [0.0]
    return Admission(Budget(10**9), IngestLimits(**limits), clock=lambda: now[0]), now
