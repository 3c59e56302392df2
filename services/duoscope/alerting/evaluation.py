"""One evaluation of a rule: its question is asked, its condition judges the answer, each instance advances.

`ask` reads; `advance` is pure, and knows neither the stores nor the clock.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np

from duoscope.alerting.comparing import Judged
from duoscope.alerting.composites import WatchedRules
from duoscope.alerting.conditions import Asked, Condition, asks, judge
from duoscope.alerting.definitions import Definition
from duoscope.alerting.instances import (
    Ended,
    Failed,
    FiredLate,
    Inconclusive,
    Kind,
    NoData,
    Outcome,
    Policy,
    Reason,
    State,
    Subject,
    Transition,
    Value,
    Vanished,
    WhenVanished,
    advanced,
    is_forgettable,
)
from duoscope.alerting.past import Past
from duoscope.kernel import clock, limits
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.times import SECOND_NS

BACKLOG_MIN_S: Final = limits.INGEST_SEGMENT_AGE_UNREAD_MAX_S + 5.0
"""What waits for less is on its usual way into the store."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a rule, with the labels of its series alone."""

    instance_id: UUID
    labels: Labels
    state: State

    @property
    def key(self) -> tuple[Subject, Labels]:
        """The subject and the labels: what it is known by among the instances of its rule."""
        return self.state.subject, self.labels


@dataclass(frozen=True, slots=True)
class Found:
    """The finding of an evaluation: series with what became of them, or that the question could not be answered.

    Attributes:
        judged: None if the question could not be answered, or was not asked.
        is_complete: whether there are no further series.
        problem: for the rule's authors; empty if there is none.
        is_late: it was not asked, since telemetry of its window is not stored yet.
        note: what else the authors should know.
        again: the verdicts on earlier slots, the oldest first, by what is stored now.
    """

    judged: Judged | None
    is_complete: bool = True
    problem: str = ""
    is_late: bool = False
    note: str = ""
    again: Sequence[tuple[datetime, Judged]] = ()

    @property
    def outcome(self) -> str:
        """The finding in one word, as the rule's row has it."""
        if self.judged is None:
            return "late" if self.is_late else "failed"
        return "learning" if self.judged.learning else "judged"


@dataclass(slots=True)
class Step:
    """The changes of an evaluation.

    Attributes:
        policy: the rule's.
        now: the slot.
        changed: instances with another state, to be stored.
        forgotten: instances that are not worth remembering.
        happened: what happened, to which instance.
        left_out: series that have no instance because there are too many.
    """

    policy: Policy
    now: datetime
    changed: list[Instance] = field(default_factory=list[Instance])
    forgotten: list[UUID] = field(default_factory=list[UUID])
    happened: list[tuple[Instance, Transition]] = field(default_factory=list[tuple[Instance, Transition]])
    left_out: int = 0


async def ask(reader: TelemetryReader, definition: Definition, slot: datetime, since: datetime | None = None) -> Found:
    """Ask a rule's question as of a slot, and judge the answer; and those of the slots that are judged again.

    Args:
        reader: of the tenant's telemetry.
        definition: of the rule.
        slot: the moment.
        since: no slot before it is judged again; None for none at all.

    Raises:
        DuoscopeError: INVALID, UNAVAILABLE: it could not be answered.
    """
    condition, question = definition.condition, definition.question
    assert not isinstance(question, WatchedRules)  # those are judged by states
    answers = [await asked.read(reader, steps) for asked, steps in _asks(definition, slot)]
    judged = judge(condition, question, answers)
    is_complete = all(answered.is_complete for answered in answers)
    problem = "" if is_complete else "The question has more groups than a rule looks at: group by less."
    earlier = definition.judged_again(slot, since)
    again: list[tuple[datetime, Judged]] = []
    if earlier:
        try:
            again = await _again(reader, definition, earlier)
        except DuoscopeError as error:  # what this slot says holds all the same
            problem = problem or f"Earlier slots could not be judged again: {error.message}"
    return Found(judged, is_complete, problem, note=_learning(judged), again=again)


def _asks(definition: Definition, slot: datetime) -> list[Asked]:
    assert not isinstance(definition.question, WatchedRules)
    end_ns = clock.unix_ns(slot) - definition.config.delay_seconds * SECOND_NS
    return asks(definition.condition, definition.question, end_ns, definition.interval_s)


async def _again(
    reader: TelemetryReader, definition: Definition, slots: Sequence[datetime]
) -> list[tuple[datetime, Judged]]:
    """The verdicts on slots, each question read once for all of them."""
    question = definition.question
    assert not isinstance(question, WatchedRules)
    past = Past([_asks(definition, slot) for slot in slots])
    await past.read(reader)
    return [(slot, judge(definition.condition, question, past.answers(number))) for number, slot in enumerate(slots)]


def waits(definition: Definition, slot: datetime, waiting_since: datetime | None, now: datetime) -> Found | None:
    """The finding that the window cannot be judged yet, if telemetry that came before its end is not stored; None if
    it can, or the rule waits no longer.

    Args:
        definition: of the rule.
        slot: the moment of the evaluation.
        waiting_since: when the oldest request was acknowledged that is not stored.
        now: the time.
    """
    end = slot - timedelta(seconds=definition.config.delay_seconds)
    if isinstance(definition.question, WatchedRules) or waiting_since is None or waiting_since >= end:
        return None
    age_s = (now - waiting_since).total_seconds()
    if not BACKLOG_MIN_S <= age_s <= definition.config.late_max_seconds:
        return None
    note = (
        f"Telemetry that came {age_s:.0f} s ago is not stored yet: nothing is judged until it is, for at most "
        f"{definition.config.late_max_seconds} s (late_max_seconds)."
    )
    return Found(None, is_late=True, note=note)


def _learning(judged: Judged) -> str:
    if not judged.learning:
        return ""
    return f"Learning: {judged.learning} of {len(judged.labels)} series have too few past days to be compared with."


def advance(known: Sequence[Instance], found: Found, policy: Policy, now: datetime, instances_max: int) -> Step:
    """Take all instances of a rule through one evaluation.

    Args:
        known: those that are remembered.
        found: by this evaluation.
        policy: the rule's.
        now: the slot.
        instances_max: beyond so many, no further series gets an instance.
    """
    step = Step(policy, now)
    by_key = {instance.key: instance for instance in known}
    judged = found.judged
    rows = {} if judged is None else {_storable(labels): row for row, labels in enumerate(judged.labels)}
    away: Outcome = Inconclusive() if found.is_late else Failed()
    whole: Outcome = away if judged is None else Value(None, is_breach=False)
    is_empty = judged is not None and not rows and not judged.is_filter
    for subject, outcome in ((Subject.HEALTH, whole), (Subject.DATA, NoData() if is_empty else whole)):
        instance = by_key.get((subject, label_sets.NONE)) or Instance(new_id(), label_sets.NONE, State(subject))
        _advance(step, instance, outcome, is_known=instance.key in by_key)
    missing = away if judged is None else _of_missing(judged, is_empty=is_empty)
    room, late = instances_max, missed(known, found.again, policy)
    for instance in known:
        if instance.state.subject is not Subject.SERIES:
            continue
        row = rows.pop(instance.labels, None)
        outcome = missing if judged is None or row is None else _outcome(judged, row)
        room -= _advance(step, instance, outcome, late.pop(instance.labels, None), is_known=True)
    if judged is not None:
        _meet(step, judged, rows, late, room)
    return step


def missed(
    known: Sequence[Instance], again: Sequence[tuple[datetime, Judged]], policy: Policy
) -> dict[Labels, FiredLate]:
    """The series that would have fired at earlier slots, had their data been there, and did not.

    Each is taken through these slots from the beginning, so that its `for` has to be served within them. A series that
    is not there is in no breach. What was resolved in a slot, and all before, is over and done with.

    Args:
        known: the instances that are remembered.
        again: the verdicts on earlier slots, the oldest first.
        policy: the rule's.
    """
    places = [{_storable(labels): row for row, labels in enumerate(judged.labels)} for _, judged in again]
    in_breach = {
        labels
        for (_, judged), rows in zip(again, places, strict=True)
        for labels, row in rows.items()
        if judged.is_breach[row] and judged.is_conclusive[row]
    }
    states = {each.labels: each.state for each in known if each.state.subject is Subject.SERIES}
    found: dict[Labels, FiredLate] = {}
    for labels in in_breach:
        before = states.get(labels, State())
        if before.is_alerting:
            continue
        state = State(seen_at=before.seen_at, resolved_at=before.resolved_at)
        for (slot, judged), rows in zip(again, places, strict=True):
            if before.resolved_at is not None and slot <= before.resolved_at:
                continue
            row = rows.get(labels)
            outcome = Value(None, is_breach=False) if row is None else _outcome(judged, row)
            if row is None and state.seen_at is None:
                continue
            state, transition = advanced(state, outcome, policy, slot)
            if transition is not None and transition.kind is Kind.FIRING:
                assert state.active_at is not None
                found[labels] = FiredLate(state.value, state.active_at)
                break
    return found


def end(known: Sequence[Instance], reason: Reason, now: datetime) -> Step:
    """End and forget all instances of a rule that is no longer what it was."""
    policy = Policy(timedelta(0))  # no policy can keep them
    step = Step(policy, now)
    for instance in known:
        state, transition = advanced(instance.state, Ended(reason), policy, now)
        step.forgotten.append(instance.instance_id)
        if transition is not None:
            step.happened.append((Instance(instance.instance_id, instance.labels, state), transition))
    return step


def _meet(step: Step, judged: Judged, rows: Mapping[Labels, int], late: Mapping[Labels, FiredLate], room: int) -> None:
    """Make instances of series that have none, of those in breach first; most series never get one."""
    named = {row: labels for labels, row in rows.items()}
    new = np.array(sorted(named), np.int64)
    if not (step.policy.grace or step.policy.vanished is WhenVanished.ALERT):
        new = new[judged.is_breach[new] & judged.is_conclusive[new]]
    ordered: list[int] = new[np.argsort(~judged.is_breach[new], kind="stable")].tolist()
    met: list[tuple[Labels, Outcome]] = [(named[row], _outcome(judged, row)) for row in ordered]
    of_now = {labels for labels, _ in met}
    met += [(labels, Inconclusive()) for labels in late if labels not in of_now]
    for labels, outcome in met:
        if room <= 0:
            step.left_out += 1
            continue
        instance = Instance(new_id(), labels, State())
        room -= _advance(step, instance, outcome, late.get(labels), is_known=False)


def _advance(
    step: Step, instance: Instance, outcome: Outcome, late: FiredLate | None = None, *, is_known: bool
) -> bool:
    """Take one instance through an evaluation; then, unless it fires, through what it missed. Returns whether it is
    remembered.
    """
    state, transition = advanced(instance.state, outcome, step.policy, step.now)
    told = [transition]
    if late is not None and not instance.state.is_alerting:
        state, transition = advanced(state, late, step.policy, step.now)
        told.append(transition)
    after = Instance(instance.instance_id, instance.labels, state)
    step.happened += [(after, each) for each in told if each is not None]
    if is_forgettable(state, step.policy, step.now):
        if is_known:
            step.forgotten.append(instance.instance_id)
        return False
    if state != instance.state or not is_known:
        step.changed.append(after)
    return True


def _of_missing(judged: Judged, *, is_empty: bool) -> Outcome:
    if judged.is_filter:
        return Value(None, is_breach=False)
    return NoData() if is_empty else Vanished()


def _outcome(judged: Judged, row: int) -> Outcome:
    if not judged.is_conclusive[row]:
        return Inconclusive()
    return Value(float(judged.values[row]), bool(judged.is_breach[row]), bool(judged.is_recovered[row]))


def _storable(labels: Labels) -> Labels:
    """Labels as PostgreSQL keeps them: without NUL."""
    if any("\0" in value or "\0" in name for name, value in labels):
        return label_sets.of((n.replace("\0", "\ufffd"), v.replace("\0", "\ufffd")) for n, v in labels)
    return labels


def fingerprint(labels: Labels) -> str:
    """A hash of labels: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:32]


def threshold_of(condition: Condition) -> float | None:
    """The number that a condition compares with, if there is one."""
    threshold = condition.threshold
    return threshold if threshold is not None and math.isfinite(threshold) else None
