"""A rule over the past, before it wakes anyone: what it would have fired, when, how high, how often.

The evaluations that would have been are made one after the other, by the functions that make those of now; only the
questions are asked differently, once over the whole range (`past`). So a preview and the history of the same time
agree, but for data that came late.
"""

import asyncio
import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct, structs

from duoscope.alerting.composites import Composite, RuleState, WatchedRules
from duoscope.alerting.composites import judged as judged_states
from duoscope.alerting.conditions import Condition, Judged, asks, judge
from duoscope.alerting.definitions import Definition
from duoscope.alerting.evaluation import Found, Instance, Step, advance, threshold_of
from duoscope.alerting.held import Hold, Holding
from duoscope.alerting.instances import Kind, State, Subject, Transition, WhenVanished
from duoscope.alerting.past import Past, evaluations
from duoscope.kernel.errors import invalid
from duoscope.notification.labelling import labels_of
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.times import SECOND_NS

DAYS_MAX: Final = 30
EVALUATIONS_MAX: Final = 50_000
FIRINGS_MAX: Final = 10_000
WATCHED_FIRINGS_MAX: Final = 100_000
FLAP_S: Final = 3600
"""A firing so soon after the same alert's end is a flap."""
_DAY_S: Final = 86_400


class Held(Struct, frozen=True):
    """The one of the three that would have held a firing back."""

    silence_id: UUID | None
    maintenance_window_id: UUID | None
    inhibited_by: Annotated[UUID | None, Meta(description="The alert that inhibited it.")]
    told_at: Annotated[
        datetime | None, Meta(description="When it would have been told after all; null if it was over by then.")
    ]


class Firing(Struct, frozen=True):
    """One firing, from its beginning to its end."""

    subject: Annotated[str, Meta(description="series, data or health", examples=["series"])]
    kind: Annotated[str, Meta(description="firing, no_data or error", examples=["firing"])]
    labels: Annotated[dict[str, str], Meta(examples=[{"service": "checkout"}])]
    pending_at: Annotated[datetime | None, Meta(description="When the breach began.")]
    start: Annotated[datetime, Meta(description="When it fired.")]
    end: Annotated[datetime | None, Meta(description="When it was resolved; null if it still fires.")]
    reason: Annotated[str, Meta(description="Of its end; empty while it fires.", examples=["recovered"])]
    seconds: Annotated[float, Meta(description="How long it fired, in the range.")]
    peak: Annotated[float | None, Meta(description="The value furthest beyond the threshold.")]
    is_flap: Annotated[bool, Meta(description="Whether the same alert had ended less than an hour before.")]
    held_by: Annotated[Held | None, Meta(description="A silence, maintenance, or an alert that inhibits.")]


class Preview(Struct, frozen=True):
    """The firings of a rule over the past, had it been there."""

    start: datetime
    end: datetime
    interval_seconds: int
    evaluations: int
    threshold: Annotated[float | None, Meta(description="What is compared with, if it is one number.")]
    firings: Annotated[list[Firing], Meta(description="In the order of their beginning.")]
    firing_count: int
    flap_count: int
    never_fired_count: Annotated[int, Meta(description="Breaches that ended before they fired.")]
    noise_per_day: Annotated[float, Meta(description="Firings a day that would have been told.")]
    firing_seconds: Annotated[float, Meta(description="How long at least one alert fired.")]
    problems: Annotated[list[str], Meta(description="What makes it less than the whole truth.")]


@dataclass(slots=True)
class _Open:
    """A firing that goes on."""

    instance: Instance
    kind: Kind
    pending_at: datetime | None
    start: datetime
    is_flap: bool
    peak: float | None = None


@dataclass(slots=True)
class Ran:
    """The outcome of evaluations over the past.

    Attributes:
        firings: those that ended, and those that go on.
        never_fired: breaches that did not.
        left_out: series without an instance, at the most.
        learning: evaluations in which a series had too little past.
    """

    firings: list[Firing] = field(default_factory=list[Firing])
    never_fired: int = 0
    left_out: int = 0
    learning: int = 0


@dataclass(frozen=True, slots=True)
class Previewed:
    """A rule to be previewed.

    Attributes:
        definition: of the rule.
        labels: of the rule itself: silences see them.
        offset_s: where its slots are within the interval.
        watched: for a condition over other rules: these, by their names.
    """

    definition: Definition
    labels: Mapping[str, str]
    offset_s: float = 0.0
    watched: Mapping[str, "Previewed"] = field(default_factory=dict[str, "Previewed"])


async def preview(  # noqa: PLR0917 - what a preview is of
    reader: TelemetryReader,
    rule: Previewed,
    start: datetime,
    end: datetime,
    instances_max: int,
    holds: Sequence[Hold] = (),
) -> Preview:
    """Evaluate a rule over the past.

    Args:
        reader: of the tenant's telemetry.
        rule: what is evaluated.
        start: of the range.
        end: of the range; the last evaluation is the newest one before it.
        instances_max: of the rule.
        holds: what held back alerts of the tenant, in any order.

    Raises:
        DuoscopeError: INVALID `preview-too-long`, or as the question says; UNAVAILABLE.
    """
    ran, slots, is_complete = await _run(reader, rule, start, end, instances_max)
    definition = rule.definition
    holding = Holding(holds)
    firings = await asyncio.to_thread(
        lambda: [_with_hold(each, rule.labels, holding) for each in ran.firings[:FIRINGS_MAX]]
    )
    days = max(end - start, timedelta(seconds=definition.interval_s)).total_seconds() / _DAY_S
    told = sum(each.held_by is None or each.held_by.told_at is not None for each in firings)
    return Preview(
        start=start,
        end=end,
        interval_seconds=definition.interval_s,
        evaluations=len(slots),
        threshold=threshold_of(definition.condition),
        firings=firings,
        firing_count=len(ran.firings),
        flap_count=sum(each.is_flap for each in ran.firings),
        never_fired_count=ran.never_fired,
        noise_per_day=round(told / days, 3),
        firing_seconds=_covered_s(ran.firings, end),
        problems=_problems(ran, slots, is_complete=is_complete),
    )


async def _run(
    reader: TelemetryReader, rule: Previewed, start: datetime, end: datetime, instances_max: int
) -> tuple[Ran, list[float], bool]:
    definition = rule.definition
    slots = evaluations(start.timestamp(), end.timestamp(), definition.interval_s, rule.offset_s)
    if len(slots) > EVALUATIONS_MAX:
        raise invalid(
            f"That are {len(slots):,} evaluations, more than {EVALUATIONS_MAX:,}: ask for fewer days.",
            code="preview-too-long",
        )
    question, condition = definition.question, definition.condition
    if isinstance(question, WatchedRules):
        assert isinstance(condition, Composite)
        states = {name: await _states(reader, each, start, end, instances_max) for name, each in rule.watched.items()}
        if sum(map(len, states.values())) > WATCHED_FIRINGS_MAX:
            raise invalid(
                f"The rules it watches would have fired more than {WATCHED_FIRINGS_MAX:,} times: ask for fewer days.",
                code="preview-too-long",
            )
        unneeded = threading.Event()
        verdicts = OfStates(condition, states)
        ran = await reader.compute(lambda: _evaluated(verdicts, definition, slots, instances_max, unneeded), unneeded)
        return ran, slots, True
    delay_ns = definition.config.delay_seconds * SECOND_NS
    # What tens of thousands of evaluations ask takes seconds to list.
    past = await asyncio.to_thread(
        lambda: Past([asks(condition, question, _ns(slot) - delay_ns, definition.interval_s) for slot in slots])
    )
    await past.read(reader)
    unwanted = threading.Event()

    def verdict(number: int, _slot: datetime) -> Judged:
        return judge(condition, question, past.answers(number))

    ran = await reader.compute(lambda: _evaluated(verdict, definition, slots, instances_max, unwanted), unwanted)
    return ran, slots, past.is_complete


async def _states(
    reader: TelemetryReader, rule: Previewed, start: datetime, end: datetime, instances_max: int
) -> list[Firing]:
    ran, _, _ = await _run(reader, rule, start, end, instances_max)
    return ran.firings


class OfStates:
    """The verdicts of a condition over other rules, by what these would have fired, at one slot after the other."""

    def __init__(self, condition: Composite, firings: Mapping[str, Sequence[Firing]]) -> None:
        self._condition = condition
        self._walks = {name: _Walk(each) for name, each in firings.items()}
        self._judged: Judged | None = None

    def __call__(self, _number: int, slot: datetime) -> Judged:
        """The verdict at a slot; slots come in their order."""
        changed = [walk.goes_on_to(slot) for walk in self._walks.values()]
        if self._judged is None or any(changed):
            states: dict[str, RuleState | None] = {
                name: RuleState(list(walk.fires.values())) for name, walk in self._walks.items()
            }
            self._judged = judged_states(self._condition, states)
        return self._judged


class _Walk:
    """The firings of a rule in the order of time, each looked at once when it begins and once when it ends."""

    def __init__(self, firings: Sequence[Firing]) -> None:
        self.fires: dict[int, Labels] = {}
        self._firings = sorted((each for each in firings if each.subject != "health"), key=lambda each: each.start)
        self._begun = 0
        self._ends: list[tuple[datetime, int]] = []

    def goes_on_to(self, at: datetime) -> bool:
        """Go on to a later time. Returns whether something began or ended until then."""
        has_changed = False
        while self._begun < len(self._firings) and (firing := self._firings[self._begun]).start <= at:
            self.fires[self._begun] = tuple(sorted(firing.labels.items()))
            if firing.end is not None:
                heapq.heappush(self._ends, (firing.end, self._begun))
            self._begun += 1
            has_changed = True
        while self._ends and self._ends[0][0] <= at:
            del self.fires[heapq.heappop(self._ends)[1]]
            has_changed = True
        return has_changed


_Verdict = Callable[[int, datetime], Judged]
"""The verdict of the evaluation of that number, at that slot."""


def _evaluated(
    verdict: _Verdict, definition: Definition, slots: Sequence[float], instances_max: int, unwanted: threading.Event
) -> Ran:
    """Make all evaluations, one after the other, until there is no more need of them."""
    run, policy = _Run(definition.condition), definition.policy
    watches_all = bool(policy.grace) or policy.vanished is WhenVanished.ALERT
    now = datetime.fromtimestamp(0, UTC)
    for number, slot in enumerate(slots):
        if unwanted.is_set():
            break
        now = datetime.fromtimestamp(slot, UTC)
        judged = verdict(number, now)
        run.ran.learning += bool(judged.learning)
        is_answered = bool(len(judged.labels)) or judged.is_filter
        # An evaluation in which nothing begins changes nothing.
        if run.known or watches_all or not is_answered or (judged.is_breach & judged.is_conclusive).any():
            run.take(advance(list(run.known.values()), Found(judged), policy, now, instances_max))
    return run.ended(now)


class _Run:
    """The instances between evaluations, and what they fire."""

    def __init__(self, condition: Condition) -> None:
        self.ran = Ran()
        self.known: dict[UUID, Instance] = {}
        self._condition = condition
        self._open: dict[UUID, _Open] = {}
        self._ended: dict[Labels, datetime] = {}

    def take(self, step: Step) -> None:
        """Take up what an evaluation changed."""
        self.ran.left_out = max(self.ran.left_out, step.left_out)
        self.known |= {each.instance_id: each for each in step.changed}
        for instance, transition in step.happened:
            self._happened(instance, transition)
        for identifier in step.forgotten:
            self.known.pop(identifier, None)
        for identifier, each in self._open.items():
            each.peak = _further(each.peak, self.known[identifier].state, self._condition)

    def ended(self, now: datetime) -> Ran:
        """All firings, also those that go on after the last evaluation."""
        self.ran.firings += [_firing(each, None, now, "") for each in self._open.values()]
        self.ran.firings.sort(key=lambda each: (each.start, sorted(each.labels.items())))
        return self.ran

    def _happened(self, instance: Instance, transition: Transition) -> None:
        at, key = transition.at, _key(instance)
        match transition.kind:
            case Kind.FIRING | Kind.NO_DATA | Kind.ERROR:
                before = self._ended.get(key)
                is_flap = before is not None and (at - before).total_seconds() < FLAP_S
                began = _Open(instance, transition.kind, transition.active_at, at, is_flap, transition.value)
                self._open[instance.instance_id] = began
            case Kind.RESOLVED:
                self._ended[key] = at
                self.ran.firings.append(_firing(self._open.pop(instance.instance_id), at, at, transition.reason.value))
            case Kind.CLEARED:
                self.ran.never_fired += 1
            case Kind.PENDING:
                pass


def _key(instance: Instance) -> Labels:
    return (("subject", instance.state.subject.value), *instance.labels)


def _further(peak: float | None, state: State, condition: Condition) -> float | None:
    """The value that is further beyond the threshold."""
    value = state.value
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return peak
    if peak is None:
        return value
    comparison = str(getattr(condition, "comparison", ">"))
    if comparison.startswith("<"):
        return min(peak, value)
    return max(peak, value, key=abs) if getattr(condition, "score", None) is not None else max(peak, value)


def _firing(each: _Open, end: datetime | None, until: datetime, reason: str) -> Firing:
    return Firing(
        subject=each.instance.state.subject.value,
        kind=each.kind.value,
        labels=dict(each.instance.labels),
        pending_at=each.pending_at,
        start=each.start,
        end=end,
        reason=reason,
        seconds=(until - each.start).total_seconds(),
        peak=each.peak,
        is_flap=each.is_flap,
        held_by=None,
    )


def _with_hold(firing: Firing, labels: Mapping[str, str], holding: Holding) -> Firing:
    of_series = firing.labels if firing.subject == Subject.SERIES.value else {}
    found = holding.told(labels_of(labels, of_series), firing.start, firing.end)
    if found is None:
        return firing
    by = found.by
    return structs.replace(
        firing, held_by=Held(by.silence_id, by.maintenance_window_id, by.inhibited_by, found.told_at)
    )


def _covered_s(firings: Sequence[Firing], end: datetime) -> float:
    total, until = 0.0, datetime.fromtimestamp(0, UTC)
    for each in firings:
        last = each.end or end
        begin = max(each.start, until)
        if last > begin:
            total += (last - begin).total_seconds()
            until = last
    return total


def _problems(ran: Ran, slots: Sequence[float], *, is_complete: bool) -> list[str]:
    found: list[str] = []
    if not is_complete:
        found.append("The question has more groups than a preview looks at: group by less.")
    if ran.left_out:
        found.append(f"{ran.left_out} series are left out: a rule has a limited number of instances.")
    if ran.learning:
        found.append(f"In {ran.learning} of {len(slots)} evaluations a series has too little past to be judged.")
    if len(ran.firings) > FIRINGS_MAX:
        found.append(f"Only the first {FIRINGS_MAX:,} of {len(ran.firings):,} firings are listed.")
    return found


def _ns(slot: float) -> int:
    return round(slot * 1000) * 1_000_000
