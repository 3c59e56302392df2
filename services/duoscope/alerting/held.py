"""What would have held firings of the past back: silences, maintenance, and alerts that inhibited them."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from duoscope.kernel.clock import unix_ns
from duoscope.metadata.inhibition_rules import InhibitionRule
from duoscope.metadata.maintenance_windows import MaintenanceWindow
from duoscope.metadata.silences import Matcher, Silence
from duoscope.notification import recurrence
from duoscope.notification.maintenance import times_of
from duoscope.notification.muting import are_met
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import alert_history
from duoscope.telemetry.alert_history import Fired
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.times import TimeRange

HOLDS_MAX: Final = 2000
"""Of each kind."""
OCCURRENCES_MAX: Final = 1000
"""Of one maintenance window."""
_BEFORE: Final = timedelta(days=7)
"""How long before the range an alert may have begun that inhibits in it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which the beginnings of some alerts are held back.

    Attributes:
        starts_at, ends_at: of that time.
        matchers: of the alerts; all must match.
        unless: an alert that meets these, too, is not held back; none for no such.
        silence_id, maintenance_window_id, inhibited_by: whichever it is.
    """

    starts_at: datetime
    ends_at: datetime
    matchers: Sequence[Matcher]
    unless: Sequence[Matcher] = ()
    silence_id: UUID | None = None
    maintenance_window_id: UUID | None = None
    inhibited_by: UUID | None = None

    def concerns(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds alerts with these labels back."""
        return are_met(self.matchers, labels) and not (self.unless and are_met(self.unless, labels))


def of_silences(silences: Sequence[Silence]) -> list[Hold]:
    """The times of silences."""
    return [
        Hold(each.starts_at, each.ends_at, each.matchers, silence_id=each.silence_id) for each in silences[:HOLDS_MAX]
    ]


def of_maintenance(windows: Sequence[MaintenanceWindow], start: datetime, end: datetime) -> list[Hold]:
    """The times of maintenance windows in a range, all of each. Raises INVALID."""

    def times() -> Iterator[Hold]:
        for window in windows:
            for since, until in recurrence.between(times_of(window), start, end, most=OCCURRENCES_MAX):
                yield Hold(since, until, window.matchers, maintenance_window_id=window.maintenance_window_id)

    return list(itertools.islice(times(), HOLDS_MAX))


async def of_inhibition(
    reader: TelemetryReader, rules: Sequence[InhibitionRule], start: datetime, end: datetime
) -> list[Hold]:
    """The times in which alerts that fired in a range inhibited others, by the rules of now. Raises UNAVAILABLE."""
    if not rules:
        return []
    times = TimeRange(unix_ns(start - _BEFORE), unix_ns(end))
    fired = await alert_history.fired(reader, times, rows_max=HOLDS_MAX)

    def inhibiting() -> Iterator[Hold]:
        for each in fired:
            if each.end is None or each.end > start:
                yield from (_inhibited(rule, each, end) for rule in rules if are_met(rule.source_matchers, each.labels))

    return await asyncio.to_thread(lambda: list(itertools.islice(inhibiting(), HOLDS_MAX)))


def _inhibited(rule: InhibitionRule, source: Fired, end: datetime) -> Hold:
    equal = [Matcher(name, "=", source.labels.get(name, "")) for name in rule.equal]
    # As in Alertmanager, one that is source and target is inhibited by none that is too.
    is_both = are_met(rule.target_matchers, source.labels)
    return Hold(
        source.start,
        source.end or end,
        [*rule.target_matchers, *equal],
        unless=rule.source_matchers if is_both else (),
        inhibited_by=source.instance_id,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """The end of a firing that was held back: by what at last, and when it was told after all; None if it was over."""

    by: Hold
    told_at: datetime | None


class Holding:
    """Says of firings what held them back."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        self._holds = sorted(holds, key=lambda each: each.ends_at, reverse=True)
        self._of_labels: dict[Labels, list[Hold]] = {}

    def told(self, labels: Mapping[str, str], start: datetime, end: datetime | None) -> Told | None:
        """The fate of a firing of an alert with these labels; None if it was told at once. Its end is None if it
        goes on.
        """
        key = label_sets.of(labels.items())
        if (concern := self._of_labels.get(key)) is None:
            concern = self._of_labels[key] = [each for each in self._holds if each.concerns(labels)]
        held: Told | None = None
        at = start
        while True:
            # What one held back is told when it ends, unless another holds it back.
            hold = next((each for each in concern if each.starts_at <= at < each.ends_at), None)
            if hold is None:
                return held
            if end is not None and end <= hold.ends_at:
                return Told(hold, None)
            held, at = Told(hold, hold.ends_at), hold.ends_at
