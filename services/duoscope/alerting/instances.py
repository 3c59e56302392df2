"""The life of an instance: a pure function from a state and an outcome to the next state and, perhaps, a transition.

Nothing else decides what an alert is. The evaluator reads a state, calls `advanced` once for each slot, and stores what
it returns; the preview of a rule calls the same function over the past. An instance is a rule with one label set.
Besides those of its series, a rule has two instances of its own: one says whether there is any data, the other whether
the rule can be evaluated. So series that fire go on firing while data are away or a query fails.

    inactive ──breach──► pending ──for, cooldown──► firing ──recovered, keep-firing-for──► inactive
                            └──no breach──► inactive

`for` is served in evaluations: between two of them it counts the time that passed, but never more than an interval, and
nothing for a clock that steps back. Downtime and skipped slots therefore do not count, and pending keeps what it had.
Keep-firing-for and cooldown go by the clock, and end over a downtime when they would have.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

_NONE: Final = timedelta(0)


class Subject(StrEnum):
    """The three things that an instance can tell of."""

    SERIES = "series"
    DATA = "data"
    """Whether the rule's question found anything."""
    HEALTH = "health"
    """Whether the rule can be evaluated."""


class Status(StrEnum):
    """The place of an instance in its life. One that keeps firing after its condition ended is firing."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "no_data"
    ERROR = "error"


ALERTING: Final = frozenset({Status.FIRING, Status.NO_DATA, Status.ERROR})
"""What has been told, and is owed a resolved."""


class Kind(StrEnum):
    """The kinds of transition. `firing`, `no_data` and `error` begin an episode, which `resolved` ends."""

    PENDING = "pending"
    CLEARED = "cleared"
    """It was pending, and did not fire."""
    FIRING = "firing"
    NO_DATA = "no_data"
    ERROR = "error"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """The reasons of a transition."""

    BREACH = "breach"
    RECOVERED = "recovered"
    NO_DATA = "no-data"
    DATA_BACK = "data-back"
    SERIES_VANISHED = "series-vanished"
    LATE_DATA = "late-data"
    """It would have fired, had its data been there in time."""
    QUERY_FAILED = "query-failed"
    QUERY_WORKS = "query-works"
    RULE_CHANGED = "rule-changed"
    RULE_DISABLED = "rule-disabled"
    RULE_DELETED = "rule-deleted"
    TENANT_GONE = "tenant-gone"
    """The tenant is deleted or switched off, by itself or with its workspace or organization."""


class WhenNoData(StrEnum):
    """The meaning of a question that found nothing at all."""

    OK = "ok"
    """No series is in breach."""
    ALERT = "alert"
    """The rule's instance for data fires, after the rule's `for`."""
    KEEP = "keep"
    """Nothing changes."""
    OWN = "own"
    """The rule's instance for data is in `no_data`, after a `for` of its own."""


class WhenVanished(StrEnum):
    """The meaning of one series that is not there while others are."""

    RESOLVE = "resolve"
    """It resolves after `vanished_after` evaluations in a row without it."""
    KEEP = "keep"
    """Nothing changes until it is back."""
    ALERT = "alert"
    """It is in breach until it is back."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How outcomes are judged; times of zero mean at once.

    Attributes:
        interval: between two evaluations.
        pending_for: how long a breach must hold; the rule's `for`.
        breaches_min, of_last: a series is in breach if that many of its last evaluations were (m of n).
        keep_firing_for: how long a series fires on after its breach.
        cooldown: after a resolved, for so long nothing fires.
        no_data, no_data_for: without any data; the time is for OWN.
        vanished, vanished_after: without this series; the number is for RESOLVE.
        errors_max: the rule is in error after so many failed evaluations in a row.
        grace: a series is not judged before it is so old.
        judged_again_for: how far back slots are judged again: what was resolved since is remembered.
    """

    interval: timedelta
    pending_for: timedelta = _NONE
    breaches_min: int = 1
    of_last: int = 1
    keep_firing_for: timedelta = _NONE
    cooldown: timedelta = _NONE
    no_data: WhenNoData = WhenNoData.OK
    no_data_for: timedelta = _NONE
    vanished: WhenVanished = WhenVanished.RESOLVE
    vanished_after: int = 1
    errors_max: int = 3
    grace: timedelta = _NONE
    judged_again_for: timedelta = _NONE


@dataclass(frozen=True, slots=True)
class Value:
    """The series has a value; for the rule's own instances: there are data.

    Attributes:
        value: for people.
        is_breach: whether it meets the rule's condition.
        is_recovered: whether it is beyond the recovery threshold; without one, whether it is not in breach.
    """

    value: float | None
    is_breach: bool
    is_recovered: bool | None = None


@dataclass(frozen=True, slots=True)
class NoData:
    """The question found nothing at all."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """Others are there, this series is not."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The question could not be answered."""


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """Data are late or too few to judge: nothing changes, and nothing is counted."""


@dataclass(frozen=True, slots=True)
class FiredLate:
    """Data that came late show that the series would have fired at a slot that was judged without them.

    Attributes:
        value: of that slot.
        active_at: when the breach began.
    """

    value: float | None
    active_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """The rule is no longer what it was: whatever was told is resolved for that reason."""

    reason: Reason


Outcome = Value | NoData | Vanished | Failed | Inconclusive | FiredLate | Ended


@dataclass(frozen=True, slots=True)
class State:
    """An instance between two evaluations. All of it is stored.

    Attributes:
        subject: what it tells of.
        status: where it stands.
        number: of its last transition; 0 before the first.
        since: when it came to stand there; None if it never left the beginning.
        value: the last one.
        seen_at: when the series was first seen.
        judged_at: when it was last judged.
        active_at: when the breach began that is pending or firing.
        held: how much of `for` it has served.
        fired_at: when it began to fire, or its last episode did.
        recovering_at: when the breach ended of a series that keeps firing.
        resolved_at: the end of its last episode.
        recent: verdicts of the last evaluations as bits, the latest lowest.
        missing: evaluations in a row without it.
        failures: failed evaluations in a row.
    """

    subject: Subject = Subject.SERIES
    status: Status = Status.INACTIVE
    number: int = 0
    since: datetime | None = None
    value: float | None = None
    seen_at: datetime | None = None
    judged_at: datetime | None = None
    active_at: datetime | None = None
    held: timedelta = _NONE
    fired_at: datetime | None = None
    recovering_at: datetime | None = None
    resolved_at: datetime | None = None
    recent: int = 0
    missing: int = 0
    failures: int = 0

    @property
    def is_alerting(self) -> bool:
        """Whether a resolved is owed."""
        return self.status in ALERTING


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened to an instance, in the order of its numbers. History and notification read nothing else.

    Attributes:
        number: of the instance: 1, 2, 3, ... without a gap.
        kind: what happened.
        reason: why.
        at: when.
        active_at: when the breach began.
        fired_at: when the episode began that it begins or ends; None for `pending` and `cleared`.
        value: at that time.
    """

    number: int
    kind: Kind
    reason: Reason
    at: datetime
    active_at: datetime | None = None
    fired_at: datetime | None = None
    value: float | None = None


Advanced = tuple[State, Transition | None]


def advanced(state: State, outcome: Outcome, policy: Policy, now: datetime) -> Advanced:
    """Take an instance through one evaluation. Returns its next state, and what happened if something did.

    Args:
        state: as it was returned and stored last.
        outcome: of this evaluation, for this instance.
        policy: the rule's.
        now: the time of the evaluation.
    """
    if isinstance(outcome, Ended):
        return _ended(state, outcome, now)
    if isinstance(outcome, Inconclusive):
        return state, None
    if isinstance(outcome, FiredLate):
        return _fired_late(state, outcome, now)
    match state.subject:
        case Subject.HEALTH:
            return _health(state, outcome, policy, now)
        case Subject.DATA:
            return _data(state, outcome, policy, now)
        case Subject.SERIES:
            return _series(state, outcome, policy, now)


def is_forgettable(state: State, policy: Policy, now: datetime) -> bool:
    """Whether nothing is lost if the instance is forgotten: should its series be seen again, it begins anew."""
    if state.status is not Status.INACTIVE or state.failures:
        return False
    if state.resolved_at is not None and now - state.resolved_at < policy.cooldown + policy.judged_again_for:
        return False
    if state.subject is not Subject.SERIES:
        return True
    if policy.vanished is WhenVanished.ALERT or (policy.grace and not state.missing):
        return False
    return not state.recent or state.missing >= policy.of_last


def _ended(state: State, outcome: Ended, now: datetime) -> Advanced:
    blank = State(state.subject, number=state.number, since=state.since, fired_at=state.fired_at)
    if state.is_alerting:
        return _told(replace(blank, active_at=state.active_at), Kind.RESOLVED, outcome.reason, now, state.value)
    if state.status is Status.PENDING:
        return _told(replace(blank, active_at=state.active_at), Kind.CLEARED, outcome.reason, now, state.value)
    return blank, None


def _fired_late(state: State, outcome: FiredLate, now: datetime) -> Advanced:
    """Fire what was missed. Whether it still is in breach, the next evaluation says."""
    if state.is_alerting or state.subject is not Subject.SERIES:
        return state, None
    state = replace(state, value=outcome.value, active_at=outcome.active_at, seen_at=state.seen_at or outcome.active_at)
    return _told(state, Kind.FIRING, Reason.LATE_DATA, now, outcome.value)


def _health(state: State, outcome: Outcome, policy: Policy, now: datetime) -> Advanced:
    if not isinstance(outcome, Failed):
        state = replace(state, failures=0, judged_at=now)
        return _cleared(state, Reason.QUERY_WORKS, now)
    active_at = state.active_at if state.failures else now
    state = replace(state, failures=state.failures + 1, judged_at=now, active_at=active_at)
    if state.status is Status.ERROR or state.failures < policy.errors_max:
        return state, None
    return _told(state, Kind.ERROR, Reason.QUERY_FAILED, now)


def _data(state: State, outcome: Outcome, policy: Policy, now: datetime) -> Advanced:
    if isinstance(outcome, Failed):
        return state, None
    if not isinstance(outcome, NoData):
        return _cleared(replace(state, judged_at=now), Reason.DATA_BACK, now)
    if policy.no_data is WhenNoData.OWN:
        return _breached(state, policy, policy.no_data_for, Kind.NO_DATA, Reason.NO_DATA, now)
    if policy.no_data is WhenNoData.ALERT:
        return _breached(state, policy, policy.pending_for, Kind.FIRING, Reason.NO_DATA, now)
    return state, None


def _series(state: State, outcome: Outcome, policy: Policy, now: datetime) -> Advanced:
    match outcome:
        case Value():
            return _valued(state, outcome, policy, now)
        case NoData() if policy.no_data is WhenNoData.OK:
            return _judged(replace(state, value=None), policy, Reason.NO_DATA, now, is_breach=False)
        case Vanished():
            return _vanished(replace(state, missing=state.missing + 1), policy, now)
        case _:
            return state, None


def _valued(state: State, outcome: Value, policy: Policy, now: datetime) -> Advanced:
    seen_at = state.seen_at or now
    state = replace(state, value=outcome.value, seen_at=seen_at, missing=0)
    if now - seen_at < policy.grace and not state.is_alerting:
        return state, None
    is_recovered = not outcome.is_breach if outcome.is_recovered is None else outcome.is_recovered
    is_breach = not is_recovered if state.is_alerting else outcome.is_breach
    return _judged(state, policy, Reason.RECOVERED, now, is_breach=is_breach)


def _vanished(state: State, policy: Policy, now: datetime) -> Advanced:
    if policy.vanished is WhenVanished.ALERT:
        state = replace(state, value=None)
        return _breached(state, policy, policy.pending_for, Kind.FIRING, Reason.SERIES_VANISHED, now)
    if policy.vanished is WhenVanished.RESOLVE and state.missing >= policy.vanished_after:
        return _judged(replace(state, recent=0), policy, Reason.SERIES_VANISHED, now, is_breach=False)
    return state, None


def _judged(state: State, policy: Policy, reason: Reason, now: datetime, *, is_breach: bool) -> Advanced:
    """Count a verdict on a series among its last ones, and act on them together."""
    recent = (state.recent << 1 | is_breach) & ((1 << policy.of_last) - 1)
    state = replace(state, recent=recent)
    if recent.bit_count() >= policy.breaches_min:
        return _breached(state, policy, policy.pending_for, Kind.FIRING, Reason.BREACH, now)
    if state.is_alerting and policy.keep_firing_for:
        state = replace(state, recovering_at=state.recovering_at or now, judged_at=now)
        assert state.recovering_at is not None
        if now - state.recovering_at < policy.keep_firing_for:
            return state, None
    return _cleared(replace(state, judged_at=now), reason, now)


def _breached(  # noqa: PLR0917 - what it is, and how it is judged
    state: State, policy: Policy, pending_for: timedelta, kind: Kind, reason: Reason, now: datetime
) -> Advanced:
    if state.is_alerting:
        return replace(state, judged_at=now, recovering_at=None), None
    if state.status is Status.PENDING:
        passed = now - state.judged_at if state.judged_at else _NONE
        held = state.held + max(_NONE, min(passed, policy.interval))
        state = replace(state, held=held, judged_at=now)
    else:
        state = replace(state, held=_NONE, judged_at=now, active_at=now)
    cools = state.resolved_at is not None and now - state.resolved_at < policy.cooldown
    if state.held >= pending_for and not cools:
        return _told(state, kind, reason, now, state.value)
    if state.status is Status.PENDING:
        return state, None
    return _told(state, Kind.PENDING, reason, now, state.value)


def _cleared(state: State, reason: Reason, now: datetime) -> Advanced:
    if state.is_alerting:
        return _told(state, Kind.RESOLVED, reason, now, state.value)
    if state.status is Status.PENDING:
        return _told(state, Kind.CLEARED, reason, now, state.value)
    return state, None


_AFTER: Final = {
    Kind.PENDING: Status.PENDING,
    Kind.FIRING: Status.FIRING,
    Kind.NO_DATA: Status.NO_DATA,
    Kind.ERROR: Status.ERROR,
    Kind.RESOLVED: Status.INACTIVE,
    Kind.CLEARED: Status.INACTIVE,
}


def _told(state: State, kind: Kind, reason: Reason, now: datetime, value: float | None = None) -> Advanced:
    """Put the instance where a transition leads. The only place that makes one, and that sets a status."""
    status = _AFTER[kind]
    fired_at = now if status in ALERTING else state.fired_at if kind is Kind.RESOLVED else None
    transition = Transition(state.number + 1, kind, reason, now, state.active_at, fired_at, value)
    after = replace(state, number=transition.number, status=status, since=now, recovering_at=None)
    if status in ALERTING:
        return replace(after, fired_at=now), transition
    if status is Status.INACTIVE:
        is_over = kind is Kind.RESOLVED and reason not in _OF_RULES
        after = replace(after, active_at=None, held=_NONE, resolved_at=now if is_over else state.resolved_at)
    return after, transition


_OF_RULES: Final = frozenset({Reason.RULE_CHANGED, Reason.RULE_DISABLED, Reason.RULE_DELETED, Reason.TENANT_GONE})
"""After these, nothing of the past counts: no cooldown either."""
