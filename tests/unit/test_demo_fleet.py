"""The simulated fleet: an incident is one release of one service, and nothing else of it."""

import random

from duoscope.demo.fleet import SCENARIOS, SERVICES, play

OUTAGE = SCENARIOS["checkout-outage"]


def _calls(call):
    yield call
    for inner in call.calls:
        yield from _calls(inner)


def _played(incident):
    rng = random.Random(7)
    return [play(rng, 10**18, incident) for _ in range(600)]


def test_a_release_makes_checkouts_slow_and_fail():
    def checkouts(requests):
        found = [one.call for one in requests if one.call.operation.name == "POST /checkout"]
        slow = sum(call.end_ns - call.start_ns > 400 * 10**6 for call in found)
        return sum(call.failed is not None for call in found) / len(found), slow / len(found)

    (failed, slow), (failed_in, slow_in) = checkouts(_played(None)), checkouts(_played(OUTAGE))
    assert failed < 0.15
    assert failed_in > 0.4
    assert slow_in > slow + 0.2
    assert all(one.call.end_ns == 10**18 for one in _played(OUTAGE))


def test_the_release_is_where_it_fails():
    calls = [call for one in _played(OUTAGE) for call in _calls(one.call)]
    released = [call for call in calls if call.version == OUTAGE.version]
    assert {call.operation.service for call in released} == {OUTAGE.service}
    assert {call.version for call in calls if call.operation.service == OUTAGE.service} == {
        OUTAGE.version,
        SERVICES[OUTAGE.service],
    }
    for call in released:  # what a request began in one version goes on in it
        assert {inner.version for inner in call.calls} <= {OUTAGE.version}
    assert {call.version for call in calls if call.failed == OUTAGE.failure and not call.caused_by_call} == {
        OUTAGE.version
    }
    assert all(call.version == SERVICES[call.operation.service] for one in _played(None) for call in _calls(one.call))
