"""Evaluates rules when they are due, in as many processes as there are.

A rule is leased for one evaluation by one evaluator, by PostgreSQL's clock. Its slots are whole intervals apart; of
those that are due the newest is evaluated, and the others are noted as missed. What an evaluation changes is written
in one transaction that begins with the lease's fence: whoever lost the lease, to another or to a change of the rule,
writes nothing. So a slot is evaluated once, as far as anybody can see.

A process evaluates a few rules at once, in lanes: the first one looks every second, and each that finds work wakes the
next. Tenants take turns, and none has more than a few rules at work.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from duoscope.alerting import keeping
from duoscope.alerting.composites import WatchedRules
from duoscope.alerting.definitions import Definition, newest_slot, parsed
from duoscope.alerting.evaluation import Found, Step, advance, ask, waits
from duoscope.alerting.instances import Policy, Reason, Subject
from duoscope.background.driver import AGAIN, FINISHED, Driver, Job, Next, Running
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import alert_rules
from duoscope.metadata.alert_rules import AlertRule, LeasedRule
from duoscope.notification import labelling
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.stores.clickhouse.questions import Described, asking, shown_bytes, shown_rows
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

LANES: Final = 4
"""Rules that one process evaluates at once."""
OF_TENANT_MAX: Final = 2
"""Rules of one tenant at work at once, over all processes."""
LEASE_S: Final = 60.0
EVALUATION_MAX_S: Final = 45.0
"""Well below the lease, so that what took long can still be written."""
STOP_S: Final = 10.0
"""How long a stop waits for evaluations; another process takes up those that are cut off, when their lease is over."""
LAG_MAX_S: Final = 120.0
"""How long a rule may be due before readiness says so."""
PROBLEM_CHARS_MAX: Final = 1000
LABELS_LOOKED_AT: Final = 20
"""Alerts of an evaluation whose labels are looked at for templates that fail."""
GONE_RULES_MAX: Final = 500
"""Of which what was told is ended in one turn."""
_RETRY_AFTER_S: Final = 30.0
_REASON: Final = PlatformScope(reason="rules of all tenants are evaluated when they are due")

EVALUATE: Final = tuple(
    Job(f"evaluate-alerts-{lane}", period_s=1.0, at_once=lane == 1, retry_s=1.0, stop_s=STOP_S)
    for lane in range(1, LANES + 1)
)
HOLD_NUMBER: Final = Job("hold-evaluator-number", period_s=5.0, at_once=True, turn_max_s=math.inf)
END_GONE: Final = Job("end-alerts-of-gone-tenants", period_s=30.0, at_once=True)
WATCH_LAG: Final = Job("watch-alert-lag", period_s=5.0, at_once=True)
"""Where there are no rules, the lanes wait for this look to find one."""

_evaluations = Counter("duoscope_alert_evaluations", "Evaluations of alert rules", ["query_type", "result"])
_seconds = Histogram(
    "duoscope_alert_evaluation_seconds",
    "Time of one evaluation of an alert rule",
    ["query_type"],
    buckets=(0.01, 0.05, 0.2, 1, 5, 20, 60),
)
_late = Histogram(
    "duoscope_alert_lateness_seconds",
    "How long after its slot the evaluation of an alert rule began",
    buckets=(0.1, 0.5, 1, 2, 5, 15, 60, 300),
)
_lag = Gauge("duoscope_alert_lag_seconds", "How long the alert rule has been due that waits the longest")
_missed = Counter("duoscope_alert_missed_slots", "Slots of alert rules that were not evaluated")
_lost = Counter("duoscope_alert_lost_leases", "Evaluations that wrote nothing: the rule had changed")
_transitions = Counter("duoscope_alert_transitions", "Transitions of instances of alert rules", ["kind"])


class Evaluator:
    """Evaluates rules for one process.

    Args:
        metadata, telemetry: the stores.
        clock: makes the time to go by of the database's.
        happened: is called when a transition was stored, so that who must be told is told at once.
        waiting_since: when the oldest request was acknowledged that a receiver in this process has on its disk, and not
            in ClickHouse; None if there is none. Other receivers say it in PostgreSQL.

    Attributes:
        number: whose advisory lock this evaluator holds while it lives; None while it does not.
    """

    def __init__(
        self,
        metadata: MetadataStore,
        telemetry: TelemetryStore,
        clock: Callable[[datetime], datetime] = lambda now: now,
        happened: Callable[[], object] = lambda: None,
        waiting_since: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        self._happened = happened
        self._waiting_since = waiting_since
        self._clock = clock
        self._metadata = metadata
        self._telemetry = telemetry
        self._lag_s = 0.0
        self.number: int | None = None
        self.has_rules = True
        """Whether there was any rule to evaluate, when last looked."""

    async def evaluate_next(self) -> bool:
        """Evaluate the rule that is due the longest. Returns whether there was one.

        Raises:
            DuoscopeError: UNAVAILABLE while PostgreSQL is away; ClickHouse's absence is an outcome.
        """
        async with self._metadata.open_platform(_REASON, "alerting.lease") as tx:
            leased = await alert_rules.lease(
                tx,
                lease_s=LEASE_S,
                of_tenant_max=OF_TENANT_MAX,
                query_seconds_max=AlertLimits().alert_query_seconds,
                leased_by=self.number,
            )
        if leased is None:
            return False
        await self._evaluate(leased)
        return True

    async def hold_number(self, noted: Callable[[], object] = lambda: None) -> None:
        """Hold the lock of a number of its own while PostgreSQL is there: when this process dies, others take over its
        rules at once. `noted` is called once it is held.
        """
        number = random.randrange(1, 2**31)  # noqa: S311 - no secret

        def held() -> None:
            self.number = number
            noted()

        try:
            await self._metadata.hold_lock(alert_rules.EVALUATORS, number, held=held)
        finally:
            self.number = None

    async def end_gone(self) -> int:
        """End what was told of tenants that are deleted or switched off, by themselves or with what they are in.
        Returns of how many rules; GONE_RULES_MAX if there may be more.

        They are evaluated no more, so nothing else would, and who was told that something fires would wait for ever.
        """
        async with self._metadata.open_platform(_REASON, "alerting.gone") as tx:
            gone = await alert_rules.of_gone(tx, rows_max=GONE_RULES_MAX)
        for place, alert_rule_id in gone:
            async with self._metadata.open(Scope(*place), "alerting.end_gone") as tx:
                if (rule := await alert_rules.take_back(tx, alert_rule_id)) is not None:
                    await keeping.end_all(tx, rule, None, Reason.TENANT_GONE, await alert_rules.clock(tx))
        if gone:
            self._happened()
        return len(gone)

    async def watch_lag(self) -> None:
        """Look how far behind evaluation is, for metrics and readiness."""
        async with self._metadata.open_platform(_REASON, "alerting.lag") as tx:
            self._lag_s, self.has_rules = await alert_rules.lag(tx)
        _lag.set(self._lag_s)

    async def ready(self) -> None:
        """Raise UNAVAILABLE `alerts-behind` if a rule has been due for too long."""
        if self._lag_s > LAG_MAX_S:
            raise unavailable(
                f"Alert rules are evaluated {self._lag_s:.0f} s late, more than {LAG_MAX_S:.0f} s.",
                code="alerts-behind",
                retry_after_s=_RETRY_AFTER_S,
            )

    async def _evaluate(self, leased: LeasedRule) -> None:
        rule, began = leased.rule, time.perf_counter()
        now = leased.now if self._clock is None else self._clock(leased.now)
        slot, skipped = newest_slot(leased.due_at, rule.interval_seconds, now)
        _late.observe((now - slot).total_seconds())
        scope = Scope(rule.organization_id, rule.workspace_id, rule.tenant_id)
        # What was skipped was not late, but never judged.
        since = None if skipped else leased.judged_since
        definition, found, cost = await self._found(leased, scope, slot, now, since)
        asked_s = time.perf_counter() - began
        limits = AlertLimits().with_own(leased.own_limits)
        policy = definition.policy if definition else Policy(timedelta(seconds=rule.interval_seconds))
        interval = timedelta(seconds=rule.interval_seconds)
        step: Step | None = None
        async with self._metadata.open(scope, "alerting.advance") as tx:
            # The row is locked by this first statement, so nothing else can change the instances meanwhile.
            is_held = await alert_rules.finish(
                tx,
                rule.alert_rule_id,
                fence=leased.fence,
                slot=slot,
                next_due_at=slot + interval,
                duration_ms=asked_s * 1000,
                problem=found.problem[:PROBLEM_CHARS_MAX],
                outcome=found.outcome,
                note=found.note[:PROBLEM_CHARS_MAX],
                is_anew=skipped > 0,
            )
            if is_held:
                known = await keeping.known(tx, rule.alert_rule_id)
                step = advance(known, found, policy, slot, limits.alert_instances)
                missed = keeping.missed(
                    rule, leased.fence, slot, first=leased.due_at, slots=skipped, reason=_why_behind(leased)
                )
                more = [missed] if skipped else []
                await keeping.write(tx, rule, definition, step, cost=cost, more=more)
                problem = _left_out(step, limits) if step.left_out else ""
                if not problem and labelling.has_templates(rule.labels):
                    problem = await asyncio.to_thread(_of_labels, rule, step)
                if problem:
                    await alert_rules.note(tx, rule.alert_rule_id, problem[:PROBLEM_CHARS_MAX])
                # Last, since the tenant's other evaluations wait for this row.
                await alert_rules.spend(tx, seconds=asked_s, seconds_max=limits.alert_query_seconds)
        if step and step.happened:
            self._happened()
        _count(rule.query_type, found, step, skipped, time.perf_counter() - began)

    async def _found(
        self, leased: LeasedRule, scope: Scope, slot: datetime, now: datetime, since: datetime | None
    ) -> tuple[Definition | None, Found, dict[str, int]]:
        """Ask the rule's question. That it cannot be answered is an answer."""
        rule, definition = leased.rule, None
        described = Described("alert rule", str(rule.alert_rule_id), rule.name)
        with asking(lambda: described) as question:
            try:
                definition = parsed(rule)
                found = waits(definition, slot, self._oldest_waiting(leased), now)
                async with asyncio.timeout(EVALUATION_MAX_S):
                    found = found or await self.ask(definition, scope, slot, since)
            except DuoscopeError as error:
                found = Found(None, problem=error.message)
            except TimeoutError:
                found = Found(None, problem=f"The question takes longer than {EVALUATION_MAX_S:.0f} s.")
            except Exception:  # noqa: BLE001 - a defect shows as a rule in error, and unschedules nothing
                _log.exception("a rule could not be evaluated", extra={"alert_rule_id": str(rule.alert_rule_id)})
                found = Found(None, problem="Something went wrong on our side; the log of the process says what.")
            cost = {"read_rows": shown_rows(question.read_rows), "read_bytes": shown_bytes(question.read_bytes)}
            return definition, found, cost

    def _oldest_waiting(self, leased: LeasedRule) -> datetime | None:
        return min((each for each in (self._waiting_since(), leased.waiting_since) if each), default=None)

    async def ask(self, definition: Definition, scope: Scope, slot: datetime, since: datetime | None) -> Found:
        """Ask the question of a rule as of a slot, or read the states of the rules that it watches. No slot before
        `since` is judged again.
        """
        if isinstance(definition.question, WatchedRules):
            async with self._metadata.open(scope, "alerting.states") as tx:
                return await keeping.found_of_rules(tx, definition, slot)
        return await ask(self._telemetry.bind(scope), definition, slot, since)


def _why_behind(leased: LeasedRule) -> str:
    is_spent = leased.exhausted_at is not None and leased.exhausted_at >= leased.due_at
    return "query-seconds-limit" if is_spent else "evaluator-behind"


def _count(query_type: str, found: Found, step: Step | None, skipped: int, seconds: float) -> None:
    _seconds.labels(query_type).observe(seconds)
    if step is None:
        _lost.inc()
        return
    _evaluations.labels(query_type, found.outcome).inc()
    _missed.inc(skipped)
    for _, transition in step.happened:
        _transitions.labels(transition.kind.value).inc()


def _of_labels(rule: AlertRule, step: Step) -> str:
    """What is wrong with the templates of the rule's labels, for those of its alerts that are looked at."""
    looked_at = [each for each in step.changed if each.state.subject is Subject.SERIES][:LABELS_LOOKED_AT]
    problems = (labelling.problem(rule.labels, dict(each.labels)) for each in looked_at)
    return next((each for each in problems if each), "")


def _left_out(step: Step, limits: AlertLimits) -> str:
    return (
        f"{step.left_out} series are left out: a rule has at most {limits.alert_instances} instances here (your "
        "tenant's limit alert_instances). Group by less."
    )


def start_evaluator(driver: Driver, evaluator: Evaluator) -> list[Running]:
    """Start the lanes, and the look at the lag."""
    lanes: list[Running] = []

    def lane(number: int, job: Job) -> Running:
        async def run() -> Next | None:
            if not evaluator.has_rules or not await evaluator.evaluate_next():
                return FINISHED if number else None
            if number + 1 < len(lanes):
                lanes[number + 1].activate()
            return AGAIN

        return driver.start(job, run)

    for number, job in enumerate(EVALUATE):
        lanes.append(lane(number, job))
    holding = driver.start(HOLD_NUMBER, lambda: evaluator.hold_number(holding.note_progress))

    async def end_gone() -> Next | None:
        return AGAIN if await evaluator.end_gone() == GONE_RULES_MAX else None

    return [holding, *lanes, driver.start(WATCH_LAG, evaluator.watch_lag), driver.start(END_GONE, end_gone)]
