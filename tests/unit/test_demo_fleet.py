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


def test_a_past_has_the_form_of_a_day_a_release_and_the_incident():
    from duoscope.demo import history

    hour = 3600 * 10**9
    noon = 20_000 * 24 * hour + 12 * hour
    found = list(history.requests(random.Random(3), noon, noon + 24 * hour))
    afternoon = sum(one.call.end_ns < noon + 6 * hour for one, _ in found)
    night = sum(noon + 12 * hour <= one.call.end_ns < noon + 18 * hour for one, _ in found)
    assert afternoon > 2 * night
    by_version = {}
    for one, _ in found:
        for call in _calls(one.call):
            by_version.setdefault((call.operation.service, call.version), []).append(one.call.end_ns)
    assert min(by_version["catalogue", "1.10.0"]) > max(by_version["catalogue", SERVICES["catalogue"]])
    outage = by_version[OUTAGE.service, OUTAGE.version]
    assert noon + 0.6 * 24 * hour <= min(outage)
    assert max(outage) < noon + 0.75 * 24 * hour
