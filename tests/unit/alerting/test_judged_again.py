"""Slots that are judged again: a missed alert fires once, late, and what was judged as it is fires never again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from duoscope.alerting.comparing import Judged
from duoscope.alerting.evaluation import Found, Instance, advance
from duoscope.alerting.instances import Kind, Policy, Reason, Status, WhenVanished
from duoscope.telemetry.promql import labels as label_sets

MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 30, 12, tzinfo=UTC)
A, B = (label_sets.of({"queue": name}) for name in "ab")
PLAIN = Policy(MINUTE)


def judged(verdicts):
    """Verdicts by series: True, False, None for one that cannot be judged; one that is not there is not in it."""
    known = np.array([each is not None for each in verdicts.values()], np.bool_)
    breach = np.array([each is True for each in verdicts.values()], np.bool_)
    return Judged(list(verdicts), breach.astype(np.float64), breach, ~breach, known)


def lived(slots, policy, *, again=0, arriving=None):
    """What happens over slots of verdicts, of which so many are judged again; in slot n, those of `arriving[n]` become
    known of all slots until then.
    """
    policy = replace(policy, judged_again_for=again * MINUTE)
    seen, known, told = list(slots), {}, []
    for number, verdicts in enumerate(slots):
        now = START + number * MINUTE
        for earlier, late in (arriving or {}).get(number, {}).items():
            seen[earlier] = late
        earlier = [(START + place * MINUTE, judged(seen[place])) for place in range(max(0, number - again), number)]
        step = advance(list(known.values()), Found(judged(verdicts), again=earlier), policy, now, 100)
        known |= {each.instance_id: each for each in step.changed}
        for identifier in step.forgotten:
            known.pop(identifier, None)
        told += [(number, each.labels, transition) for each, transition in step.happened]
    return told, list[Instance](known.values())


def short(told):
    return [(number, transition.kind.value, transition.reason.value) for number, _, transition in told]


FINE, BAD = {A: False}, {A: True}


def test_a_missed_alert_fires_late_and_is_resolved_by_the_next_evaluation():
    told, known = lived([FINE] * 12, PLAIN, again=4, arriving={4: {2: BAD}})
    assert short(told) == [(4, "firing", "late-data"), (5, "resolved", "recovered")]
    assert told[0][2].active_at == START + 2 * MINUTE
    assert told[0][2].fired_at == START + 4 * MINUTE
    assert known == []


def test_what_arrives_after_the_slots_that_are_judged_again_is_too_late():
    told, _ = lived([FINE] * 9, PLAIN, again=2, arriving={6: {2: BAD}})
    assert told == []


def test_for_has_to_be_served_within_the_slots():
    waits = replace(PLAIN, pending_for=2 * MINUTE)
    late = dict.fromkeys((2, 3), BAD)
    assert lived([FINE] * 9, waits, again=4, arriving={5: late})[0] == []
    told, _ = lived([FINE] * 9, waits, again=4, arriving={5: late | {4: BAD}})
    assert short(told) == [(5, "firing", "late-data"), (6, "resolved", "recovered")]


def test_one_that_fires_by_then_is_not_told_again():
    told, _ = lived([FINE, FINE, BAD, BAD, FINE, FINE, FINE], PLAIN, again=5, arriving={3: {1: BAD}})
    assert short(told) == [(2, "firing", "breach"), (4, "resolved", "recovered")]


def test_a_series_that_is_not_there_any_more():
    told, _ = lived([{A: False}, {A: False}, {A: False}, {A: False}], PLAIN, again=3, arriving={2: {1: {B: True}}})
    assert [(number, labels, each.kind) for number, labels, each in told] == [
        (2, B, Kind.FIRING), (3, B, Kind.RESOLVED),
    ]  # fmt: skip


def _sorted(told):
    return sorted((number, labels, each.kind.value) for number, labels, each in told)


VERDICTS = st.lists(st.dictionaries(st.sampled_from([A, B]), st.sampled_from([True, True, False, None])), max_size=25)
POLICIES = st.builds(
    Policy,
    interval=st.just(MINUTE),
    pending_for=st.sampled_from([timedelta(0), MINUTE, 3 * MINUTE]),
    of_last=st.sampled_from([2, 3]),
    breaches_min=st.sampled_from([1, 2]),
    keep_firing_for=st.sampled_from([timedelta(0), 2 * MINUTE]),
    cooldown=st.sampled_from([timedelta(0), 3 * MINUTE]),
    vanished=st.sampled_from(WhenVanished),
    vanished_after=st.sampled_from([1, 3]),
    grace=st.sampled_from([timedelta(0), 2 * MINUTE]),
)


@settings(max_examples=300, deadline=None)
@given(slots=VERDICTS, policy=POLICIES, again=st.integers(1, 6))
def test_without_late_data_nothing_fires_late(slots, policy, again):
    told, _ = lived(slots, policy, again=again)
    assert not [each for _, _, each in told if each.reason is Reason.LATE_DATA]
    plain, _ = lived(slots, policy)
    assert _sorted(told) == _sorted(plain)


@settings(max_examples=300, deadline=None)
@given(slots=VERDICTS, policy=POLICIES, again=st.integers(1, 6), data=st.data())
def test_firings_and_ends_take_turns_whatever_arrives(slots, policy, again, data):
    places = st.integers(0, max(0, len(slots) - 1))
    late = st.dictionaries(places, st.dictionaries(st.sampled_from([A, B]), st.just(True)))
    arriving = data.draw(st.dictionaries(places, late))
    told, known = lived(slots, policy, again=again, arriving=arriving)
    for labels in (A, B):
        kinds = [each.kind for _, of, each in told if of == labels and each.kind in (Kind.FIRING, Kind.RESOLVED)]
        assert all(one is not other for one, other in pairwise([Kind.RESOLVED, *kinds]))
        fires = any(each.labels == labels and each.state.status is Status.FIRING for each in known)
        assert (kinds[-1:] == [Kind.FIRING]) == fires
