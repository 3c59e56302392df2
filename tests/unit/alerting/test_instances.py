"""The life of an instance: a table of every state, outcome and policy, and what holds for any sequence of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duoscope.alerting.instances import (
    ALERTING,
    Ended,
    Failed,
    FiredLate,
    Inconclusive,
    Kind,
    NoData,
    Policy,
    Reason,
    State,
    Status,
    Subject,
    Value,
    Vanished,
    WhenNoData,
    WhenVanished,
    advanced,
    is_forgettable,
)

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BEFORE = NOW - MINUTE

OUTCOMES = {
    "breach": Value(9.0, is_breach=True),
    "between": Value(5.0, is_breach=False, is_recovered=False),
    "fine": Value(1.0, is_breach=False),
    "no data": NoData(),
    "vanished": Vanished(),
    "failed": Failed(),
    "late": Inconclusive(),
    "ended": Ended(Reason.RULE_CHANGED),
    "fired late": FiredLate(9.0, BEFORE),
}
_ACTIVE = {"active_at": BEFORE, "judged_at": BEFORE, "seen_at": BEFORE, "number": 3}
_FIRING = State(status=Status.FIRING, fired_at=BEFORE, since=BEFORE, recent=1, **_ACTIVE)
STATES = {
    "new": State(),
    "pending": State(status=Status.PENDING, recent=1, **_ACTIVE),
    "served": State(status=Status.PENDING, held=4 * MINUTE, recent=1, **_ACTIVE),
    "firing": _FIRING,
    "recovering": replace(_FIRING, recovering_at=BEFORE, recent=0),
    "cooling": State(resolved_at=BEFORE, number=3, seen_at=BEFORE),
    "data new": State(Subject.DATA),
    "data pending": State(Subject.DATA, Status.PENDING, **_ACTIVE),
    "data served": State(Subject.DATA, Status.PENDING, held=4 * MINUTE, **_ACTIVE),
    "data firing": State(Subject.DATA, Status.FIRING, fired_at=BEFORE, **_ACTIVE),
    "data no_data": State(Subject.DATA, Status.NO_DATA, fired_at=BEFORE, **_ACTIVE),
    "health new": State(Subject.HEALTH),
    "health failing": State(Subject.HEALTH, failures=2, active_at=BEFORE),
    "health error": State(Subject.HEALTH, Status.ERROR, failures=3, fired_at=BEFORE, **_ACTIVE),
}
PLAIN = Policy(MINUTE, pending_for=5 * MINUTE)
POLICIES = {
    "plain": PLAIN,
    "at once": Policy(MINUTE),
    "keeps firing": replace(PLAIN, keep_firing_for=2 * MINUTE),
    "has kept": replace(PLAIN, keep_firing_for=MINUTE),
    "cooldown": Policy(MINUTE, cooldown=2 * MINUTE),
    "two of three": replace(PLAIN, breaches_min=2, of_last=3),
    "grace": Policy(MINUTE, grace=5 * MINUTE),
    "no data alerts": replace(PLAIN, no_data=WhenNoData.ALERT),
    "no data keeps": replace(PLAIN, no_data=WhenNoData.KEEP),
    "no data own": replace(PLAIN, no_data=WhenNoData.OWN, no_data_for=10 * MINUTE),
    "vanished in two": replace(PLAIN, vanished_after=2),
    "vanished keeps": replace(PLAIN, vanished=WhenVanished.KEEP),
    "vanished alerts": replace(PLAIN, vanished=WhenVanished.ALERT),
}
# P pending, C cleared, F firing, N no_data, E error, R resolved; . nothing happens, but it is counted; = not even that.
TABLE = """
                   breach between fine no_data vanished failed late ended fired_late

plain              new           P . . . . = = = F
plain              pending       . C C C C = = C F
plain              served        F C C C C = = C F
plain              firing        . . R R R = = R =
plain              recovering    . . R R R = = R =
plain              cooling       P . . . . = = . F
at_once            new           F . . . . = = = F
at_once            pending       F C C C C = = C F
at_once            served        F C C C C = = C F
at_once            firing        . . R R R = = R =
at_once            recovering    . . R R R = = R =
at_once            cooling       F . . . . = = . F
keeps_firing       firing        . . . . . = = R =
keeps_firing       recovering    . . . . . = = R =
has_kept           firing        . . . . . = = R =
has_kept           recovering    . . R R R = = R =
cooldown           new           F . . . . = = = F
cooldown           cooling       P . . . . = = . F
two_of_three       new           . . . . . = = = F
two_of_three       pending       . C C C C = = C F
two_of_three       firing        . . R R R = = R =
grace              new           . . . . . = = = F
grace              pending       . . . C C = = C F
grace              firing        . . R R R = = R =
no_data_alerts     new           P . . = . = = = F
no_data_alerts     pending       . C C = C = = C F
no_data_alerts     firing        . . R = R = = R =
no_data_alerts     data_new      . . . P . = = = =
no_data_alerts     data_pending  C C C . C = = C =
no_data_alerts     data_served   C C C F C = = C =
no_data_alerts     data_firing   R R R . R = = R =
no_data_keeps      new           P . . = . = = = F
no_data_keeps      pending       . C C = C = = C F
no_data_keeps      firing        . . R = R = = R =
no_data_keeps      data_new      . . . = . = = = =
no_data_keeps      data_firing   R R R = R = = R =
no_data_keeps      data_no_data  R R R = R = = R =
plain              data_new      . . . = . = = = =
plain              data_firing   R R R = R = = R =
no_data_own        firing        . . R = R = = R =
no_data_own        data_new      . . . P . = = = =
no_data_own        data_pending  C C C . C = = C =
no_data_own        data_served   C C C . C = = C =
no_data_own        data_no_data  R R R . R = = R =
vanished_in_two    pending       . C C C . = = C F
vanished_in_two    firing        . . R R . = = R =
vanished_keeps     new           P . . . . = = = F
vanished_keeps     pending       . C C C . = = C F
vanished_keeps     firing        . . R R . = = R =
vanished_alerts    new           P . . . P = = = F
vanished_alerts    pending       . C C C . = = C F
vanished_alerts    served        F C C C F = = C F
vanished_alerts    firing        . . R R . = = R =
plain              health_new     . . . . . . = = =
plain              health_failing . . . . . E = . =
plain              health_error   R R R R R . = R =
"""
LETTERS = {
    Kind.PENDING: "P", Kind.CLEARED: "C", Kind.FIRING: "F", Kind.NO_DATA: "N", Kind.ERROR: "E", Kind.RESOLVED: "R",
}  # fmt: skip
_HEAD, *_ROWS = (line.split() for line in TABLE.splitlines() if line)


def case(policy, state, outcome):
    return POLICIES[policy.replace("_", " ")], _named(STATES, state), OUTCOMES[outcome.replace("_", " ")]


def _named(states, name):
    return next(state for known, state in states.items() if known.replace(" ", "_") == name)


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: "-".join(row[:2]))
def test_table(row):
    policy, state, *expected = row
    got = []
    for outcome in _HEAD:
        how, before, what = case(policy, state, outcome)
        after, transition = advanced(before, what, how, NOW)
        got.append("=" if after == before and not transition else LETTERS[transition.kind] if transition else ".")
    assert " ".join(got) == " ".join(expected)


def test_the_table_is_of_all():
    assert {outcome.replace("_", " ") for outcome in _HEAD} == set(OUTCOMES)
    assert {row[0].replace("_", " ") for row in _ROWS} == set(POLICIES)
    assert {row[1] for row in _ROWS} == {name.replace(" ", "_") for name in STATES}


STEPS = st.lists(
    st.tuples(
        st.sampled_from([OUTCOMES["breach"]] * 8 + list(OUTCOMES.values())),
        st.sampled_from([60, 60, 60, 0, 1, -3600, 45, 7200]),
    ),
    max_size=60,
)
ANY_POLICY = st.builds(
    Policy,
    interval=st.just(MINUTE),
    pending_for=st.sampled_from([timedelta(0), MINUTE, 3 * MINUTE]),
    of_last=st.sampled_from([2, 3]),
    breaches_min=st.sampled_from([1, 2]),
    keep_firing_for=st.sampled_from([timedelta(0), 2 * MINUTE]),
    cooldown=st.sampled_from([timedelta(0), 3 * MINUTE]),
    no_data=st.sampled_from(WhenNoData),
    no_data_for=st.sampled_from([timedelta(0), 2 * MINUTE]),
    vanished=st.sampled_from(WhenVanished),
    vanished_after=st.sampled_from([1, 3]),
    errors_max=st.sampled_from([1, 3]),
    grace=st.sampled_from([timedelta(0), 2 * MINUTE]),
)


def lived(subject, policy, steps):
    """The states and transitions of a life whose clock steps as it likes; what is forgotten begins anew."""
    state, now, seen = State(subject), NOW, []
    for outcome, seconds in steps:
        now += timedelta(seconds=seconds)
        state, transition = advanced(state, outcome, policy, now)
        seen.append((outcome, state, transition))
    return seen


@settings(max_examples=300)
@given(subject=st.sampled_from(Subject), policy=ANY_POLICY, steps=STEPS)
def test_whoever_got_a_firing_gets_one_resolved(subject, policy, steps):
    told = [transition for _, _, transition in lived(subject, policy, steps) if transition]
    assert [transition.number for transition in told] == list(range(1, len(told) + 1))
    episodes = [each for each in told if each.kind not in (Kind.PENDING, Kind.CLEARED)]
    for earlier, later in pairwise([None, *episodes]):
        begins = later.kind is not Kind.RESOLVED
        assert begins == (earlier is None or earlier.kind is Kind.RESOLVED)
        if earlier and not begins:
            assert later.fired_at == earlier.fired_at == earlier.at


@settings(max_examples=300)
@given(subject=st.sampled_from(Subject), policy=ANY_POLICY, steps=STEPS)
def test_states_and_transitions_agree(subject, policy, steps):
    before = State(subject)
    for outcome, after, transition in lived(subject, policy, steps):
        assert (transition is None) == (after.status is before.status)
        assert after.number == before.number + bool(transition)
        if isinstance(outcome, Inconclusive):
            assert after == before
        if isinstance(outcome, Failed) and subject is not Subject.HEALTH:
            assert after == before
        assert (after.active_at is not None) >= (after.status is not Status.INACTIVE)
        if after.is_alerting:
            assert after.fired_at is not None
            assert not is_forgettable(after, policy, NOW)
        before = after


@settings(max_examples=500)
@given(policy=ANY_POLICY, steps=STEPS)
def test_for_is_served_in_evaluations_whatever_the_clock_does(policy, steps):
    """A firing has as many evaluations in breach behind it, in a row, as `for` has intervals, and one to begin with."""
    policy = replace(policy, breaches_min=1, of_last=1, vanished=WhenVanished.KEEP)
    breaches = 0
    for outcome, state, transition in lived(Subject.SERIES, policy, steps):
        if isinstance(outcome, Value):
            breaches = breaches + 1 if outcome.is_breach else 0
        elif isinstance(outcome, Ended) or (transition and transition.kind is Kind.CLEARED):
            breaches = 0
        if transition and transition.reason is Reason.LATE_DATA:
            breaches = 10**6  # it was served before, as tests/unit/alerting/test_judged_again.py has it
        elif transition and transition.kind is Kind.FIRING:
            assert breaches > policy.pending_for / policy.interval
            assert state.status in ALERTING


def test_for_is_over_in_time():
    state, kinds = State(), []
    for minute in range(6):
        state, transition = advanced(state, OUTCOMES["breach"], PLAIN, NOW + minute * MINUTE)
        kinds.append(transition and transition.kind)
    assert kinds == [Kind.PENDING, None, None, None, None, Kind.FIRING]
    assert (state.active_at, state.fired_at) == (NOW, NOW + 5 * MINUTE)


def test_downtime_counts_as_one_interval():
    state, _ = advanced(STATES["pending"], OUTCOMES["breach"], PLAIN, NOW + timedelta(hours=2))
    assert (state.status, state.held, state.active_at) == (Status.PENDING, MINUTE, BEFORE)


def test_keep_firing_ends_over_a_downtime_when_it_would_have():
    policy = POLICIES["keeps firing"]
    state, transition = advanced(STATES["recovering"], OUTCOMES["fine"], policy, NOW + timedelta(hours=2))
    assert transition.kind is Kind.RESOLVED
    assert state.status is Status.INACTIVE


def test_a_breach_ends_recovering():
    policy = POLICIES["keeps firing"]
    state, _ = advanced(STATES["recovering"], OUTCOMES["breach"], policy, NOW)
    assert state.recovering_at is None


def test_one_error_is_told_an_episode():
    state, kinds = State(Subject.HEALTH), []
    for failed in (True, True, True, True, False, True, True, True):
        outcome = Failed() if failed else OUTCOMES["fine"]
        state, transition = advanced(state, outcome, PLAIN, NOW)
        kinds.append(transition and transition.kind)
    assert kinds == [None, None, Kind.ERROR, None, Kind.RESOLVED, None, None, Kind.ERROR]


def test_the_end_of_a_rule_leaves_no_cooldown():
    policy = POLICIES["cooldown"]
    state, transition = advanced(STATES["firing"], Ended(Reason.RULE_CHANGED), policy, NOW)
    assert (transition.kind, transition.reason) == (Kind.RESOLVED, Reason.RULE_CHANGED)
    assert is_forgettable(state, policy, NOW)
    _, transition = advanced(state, OUTCOMES["breach"], policy, NOW + MINUTE)
    assert transition.kind is Kind.FIRING
