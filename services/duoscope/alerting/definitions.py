"""What a rule is, of the JSON that its row holds: question, condition and policy, each of a type."""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from duoscope.alerting.burn_rates import BurnRate, check_events
from duoscope.alerting.composites import Composite, WatchedRules
from duoscope.alerting.conditions import Absence, Condition, Present, Ratio, asks
from duoscope.alerting.instances import Policy, WhenNoData, WhenVanished
from duoscope.alerting.past import Past
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.errors import DuoscopeError, invalid, invalid_in
from duoscope.telemetry.questions.kinds import Question
from duoscope.telemetry.questions.promql import PromqlQuestion
from duoscope.telemetry.times import SECOND_NS

DAY_S: Final = 86_400
JUDGED_AGAIN_MAX: Final = 30
Watched = Question | WatchedRules
"""What a rule may watch: telemetry, or other rules."""
Seconds = Annotated[int, Meta(ge=0, le=7 * DAY_S)]


class PolicyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How outcomes are judged. Times of 0 mean at once."""

    for_seconds: Annotated[Seconds, Meta(description="How long a breach must hold.", examples=[300])] = 0
    breaches_min: Annotated[int, Meta(ge=1, le=60, description="A breach is so many of `of_last` evaluations.")] = 1
    of_last: Annotated[int, Meta(ge=1, le=60)] = 1
    keep_firing_seconds: Annotated[Seconds, Meta(description="How long it fires on after its breach.")] = 0
    no_data: Annotated[
        WhenNoData,
        Meta(
            description="When nothing is found at all. ok: no series is in breach. alert: the rule fires. keep: "
            "nothing changes. own: the rule is in `no_data`, after `no_data_for_seconds`."
        ),
    ] = WhenNoData.OK
    no_data_for_seconds: Seconds = 0
    vanished: Annotated[
        WhenVanished,
        Meta(
            description="When one series is not there while others are. resolve: after `vanished_after` evaluations. "
            "keep: nothing changes until it is back. alert: it is in breach until it is back."
        ),
    ] = WhenVanished.RESOLVE
    vanished_after: Annotated[int, Meta(ge=1, le=1000)] = 1
    errors_max: Annotated[int, Meta(ge=1, le=1000, description="Failed evaluations until the rule is in `error`.")] = 3
    grace_seconds: Annotated[Seconds, Meta(description="A series is not judged before it is so old.")] = 0
    delay_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="Each evaluation looks at data from so long before, for those that come "
                  "late.")
    ] = 30  # fmt: skip
    late_max_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="While a receiver has telemetry of the window that is not stored yet, "
                  "nothing is judged, up to so long after it came.")
    ] = 600  # fmt: skip
    rejudge_slots: Annotated[
        int, Meta(ge=0, le=JUDGED_AGAIN_MAX, description="So many of the last evaluations are judged again each time, "
                  "by what is stored by then: an alert that was missed since its data came late fires, marked late.")
    ] = 0  # fmt: skip


class Definition(Struct, frozen=True):
    """The typed parts of a rule.

    Attributes:
        question: what is watched.
        condition: what is a breach.
        config: the policy, as its authors write it.
        interval_s: seconds between evaluations.
        cooldown_minutes: after a resolved, for so long nothing fires.
    """

    question: Watched
    condition: Condition
    config: PolicyConfig
    interval_s: int
    cooldown_minutes: int

    @property
    def policy(self) -> Policy:
        """The policy of `instances.advanced`."""
        config, is_absence = self.config, isinstance(self.condition, Absence)
        return Policy(
            interval=timedelta(seconds=self.interval_s),
            pending_for=timedelta(seconds=config.for_seconds),
            breaches_min=config.breaches_min,
            of_last=config.of_last,
            keep_firing_for=timedelta(seconds=config.keep_firing_seconds),
            cooldown=timedelta(minutes=self.cooldown_minutes),
            no_data=WhenNoData.ALERT if is_absence else config.no_data,
            no_data_for=timedelta(seconds=config.no_data_for_seconds),
            vanished=WhenVanished.ALERT if is_absence else config.vanished,
            vanished_after=config.vanished_after,
            errors_max=config.errors_max,
            grace=timedelta(seconds=config.grace_seconds),
            judged_again_for=config.rejudge_slots * timedelta(seconds=self.interval_s),
        )

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that reading its telemetry needs."""
        held = self.question.permissions
        match self.condition:
            case Ratio():
                return held | self.condition.to.permissions
            case BurnRate():
                return held | self.condition.good.permissions
            case _:
                return held

    def judged_again(self, slot: datetime, since: datetime | None) -> list[datetime]:
        """The slots before this one that are judged again, the oldest first; none before `since`, or without it."""
        earlier = (
            slot - number * timedelta(seconds=self.interval_s) for number in range(self.config.rejudge_slots, 0, -1)
        )
        return [each for each in earlier if since is not None and each >= since]

    def is_same_watch(self, other: "Definition") -> bool:
        """Whether states under one of the two are states under the other."""
        return (self.question, self.condition) == (other.question, other.condition)


class Stored(Protocol):
    """The columns of a rule that say what it is."""

    @property
    def query_config(self) -> dict[str, Any]:
        """The question."""
        ...

    @property
    def condition_config(self) -> dict[str, Any]:
        """The condition."""
        ...

    @property
    def policy_config(self) -> dict[str, Any]:
        """The policy."""
        ...

    @property
    def interval_seconds(self) -> int:
        """Seconds between two evaluations."""
        ...

    @property
    def cooldown_minutes(self) -> int:
        """Minutes after a resolved in which nothing fires."""
        ...


def parsed(rule: Stored) -> Definition:
    """The definition of a stored rule.

    Raises:
        DuoscopeError: INVALID `invalid-rule` for what this version cannot read.
    """
    try:
        return Definition(
            msgspec.convert(rule.query_config, Watched),
            msgspec.convert(rule.condition_config, Condition),
            msgspec.convert(rule.policy_config, PolicyConfig),
            rule.interval_seconds,
            rule.cooldown_minutes,
        )
    except msgspec.ValidationError as error:
        raise invalid(f"The rule cannot be read: {error}", code="invalid-rule") from error


def check(definition: Definition, limits: AlertLimits) -> None:
    """Raise INVALID, saying what and where, for a rule that cannot be evaluated, or not so often."""
    condition, question = definition.condition, definition.question
    condition.check()
    if isinstance(question, WatchedRules) or isinstance(condition, Composite):
        _check_composite(question, condition)
    elif isinstance(condition, BurnRate):
        check_events("query_config", question)
        check_events("condition_config.good", condition.good)
    else:
        _check_question("query_config", question)
        if isinstance(condition, Ratio):
            _check_question("condition_config.to", condition.to)
        asks(condition, question, 0, definition.interval_s)
    _check_again(definition)
    if isinstance(condition, Present) and not isinstance(question, PromqlQuestion):
        raise invalid("`condition_config`: `any` is for PromQL, which can compare by itself; take a threshold.")
    if definition.interval_s < limits.alert_interval_seconds:
        raise invalid(
            f"`interval_seconds` is at least {limits.alert_interval_seconds} here (your tenant's limit "
            "alert_interval_seconds)."
        )
    _check_policy(definition.config, condition)


def _check_again(definition: Definition) -> None:
    slots, question, condition = definition.config.rejudge_slots, definition.question, definition.condition
    if not slots:
        return
    if isinstance(question, WatchedRules) or isinstance(condition, Absence):
        raise _policy(
            "`rejudge_slots` is for rules whose breach is in telemetry: not for absence, nor rules over rules."
        )
    interval_ns = definition.interval_s * SECOND_NS
    try:
        Past([asks(condition, question, slot * interval_ns, definition.interval_s) for slot in range(1, slots + 1)])
    except DuoscopeError as error:
        raise _policy(
            f"`rejudge_slots`: so many slots of this question are too much to read each time ({error.message})"
        ) from error


def _check_composite(question: Watched, condition: Condition) -> None:
    if not isinstance(question, WatchedRules) or not isinstance(condition, Composite):
        raise invalid("The condition `composite` and a question of kind `rules` go together.")
    question.check()
    if condition.names() != frozenset[str](question.of):
        raise invalid("`condition_config`: `expression` uses each name of `query_config.of`, and no others.")


def _check_question(name: str, question: Question) -> None:
    try:
        question.check()
    except DuoscopeError as error:
        raise invalid_in(name, error) from error


def _check_policy(config: PolicyConfig, condition: Condition) -> None:
    if config.breaches_min > config.of_last:
        raise _policy("`breaches_min` is at most `of_last`.")
    if config.no_data_for_seconds and config.no_data is not WhenNoData.OWN:
        raise _policy("`no_data_for_seconds` goes with `no_data` own alone.")
    if config.no_data is WhenNoData.OK and config.vanished is WhenVanished.RESOLVE:
        return
    if isinstance(condition, Present):
        raise _policy(
            "with the condition `any`, nothing to see is no breach: `no_data` is ok and `vanished` is resolve. For "
            "other policies take a threshold, or absent() in the expression."
        )
    if isinstance(condition, Absence):
        raise _policy("with the condition `absence`, what is not there is a breach: leave out `no_data`, `vanished`.")


def _policy(message: str) -> DuoscopeError:
    return invalid(f"`policy_config`: {message}", code="invalid-policy")


def offset_s(alert_rule_id: UUID, interval_s: int) -> float:
    """How many seconds after multiples of its interval a rule's slots are: rules of one interval do not all come at
    once.
    """
    spread = int.from_bytes(hashlib.sha256(alert_rule_id.bytes).digest()[:8])
    return spread % (interval_s * 1000) / 1000


def newest_slot(due_at: datetime, interval_s: int, now: datetime) -> tuple[datetime, int]:
    """The newest slot that is not in the future, and how many from `due_at` on it leaves out."""
    passed = (now - due_at) // timedelta(seconds=interval_s)
    return due_at + passed * timedelta(seconds=interval_s), max(0, passed)


def config_of(part: Any) -> dict[str, Any]:
    """A part of a definition as its row holds it: every field, also where it has its default."""
    return msgspec.json.decode(msgspec.json.encode(part))
