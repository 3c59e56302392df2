"""The answers that a rule's evaluations would have had, each question read once over the whole range.

An evaluation asks its questions at moments in steps. Those of all evaluations lie on a few grids, mostly one: each grid
is read as a range, and an evaluation gets its columns of it. A series is there in an evaluation if it has anything in
its columns, as if only these had been asked for.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.limits import METRIC_POINTS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Bools, Floats, Ints, at_any_time
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion, read_present
from duoscope.telemetry.questions.kinds import Question
from duoscope.telemetry.questions.metric import MetricQuestion
from duoscope.telemetry.questions.promql import PromqlQuestion

GRIDS_MAX: Final = 30
STEPS_READ_MAX: Final = METRIC_POINTS_MAX - 1
ITEM_STEPS_READ_MAX: Final = 2500
"""Of log records and spans at once: the fewer steps, the more groups."""
STEPS_MAX: Final = 200_000
CELLS_MAX: Final = 20_000_000
_ADDED_UP: Final = frozenset({"count", "sum"})

Asked = tuple[Question, Steps]


@dataclass(slots=True)
class _Grid:
    """One question at moments a step apart."""

    question: Question
    step_ns: int
    first_ns: int
    last_ns: int
    labels: list[Labels]
    values: Floats
    has: Bools
    present: Bools
    is_complete: bool = True

    @property
    def count(self) -> int:
        return (self.last_ns - self.first_ns) // self.step_ns + 1


@dataclass(frozen=True, slots=True)
class _Use:
    """The way one of an evaluation's questions is answered: of which grid, at which of its columns."""

    grids: dict[int, _Grid]
    ends: Ints
    steps: Steps
    stride: int
    is_sum: bool


class Past:
    """The answers of all evaluations of a rule.

    Args:
        asked: what each evaluation asks, in the same order each time.
    """

    def __init__(self, asked: Sequence[Sequence[Asked]]) -> None:
        """Raise INVALID `preview-too-long` for what would take too many steps."""
        self._grids: dict[tuple[bytes, int, int], _Grid] = {}
        self._uses = [self._use([each[place] for each in asked]) for place in range(len(asked[0]))] if asked else []
        steps = sum(grid.count for grid in self._grids.values())
        if len(self._grids) > GRIDS_MAX * max(1, len(self._uses)) or steps > STEPS_MAX:
            raise _too_long(f"it would read {steps:,} steps in {len(self._grids)} ranges")

    @property
    def is_complete(self) -> bool:
        """Whether there were no further series anywhere."""
        return all(grid.is_complete for grid in self._grids.values())

    def _use(self, asked: Sequence[Asked]) -> _Use:
        question, steps = asked[0]
        ends = np.array([each.end_ns for _, each in asked], np.int64)
        step_ns = steps.step_ns
        if isinstance(question, MetricQuestion):
            ends = ends // step_ns * step_ns
        apart_ns = int(np.gcd.reduce(np.append(ends - ends[0], step_ns)))
        is_sum = (
            apart_ns < step_ns
            and isinstance(question, LogQuestion | TraceQuestion)
            and question.measure.function in _ADDED_UP
        )
        if isinstance(question, PromqlQuestion) or is_sum:
            step_ns = apart_ns
        grids: dict[int, _Grid] = {}
        before_ns = (steps.count * steps.step_ns) - (step_ns if is_sum else steps.step_ns)
        for phase in sorted({int(each) for each in ends % step_ns}):
            of_phase = ends[ends % step_ns == phase]
            first_ns, last_ns = int(of_phase.min()) - before_ns, int(of_phase.max())
            grids[phase] = self._grid(question, step_ns, phase, first_ns, last_ns)
        return _Use(grids, ends, steps, steps.step_ns // step_ns, is_sum)

    def _grid(self, question: Question, step_ns: int, phase: int, first_ns: int, last_ns: int) -> _Grid:
        nothing: Floats = np.zeros((0, 0))
        none: Bools = np.zeros((0, 0), np.bool_)
        new = _Grid(question, step_ns, first_ns, last_ns, [], nothing, none, none)
        grid = self._grids.setdefault((msgspec.json.encode(question), step_ns, phase), new)
        grid.first_ns, grid.last_ns = min(grid.first_ns, first_ns), max(grid.last_ns, last_ns)
        return grid

    async def read(self, reader: TelemetryReader) -> None:
        """Read all grids.

        Raises:
            DuoscopeError: INVALID; UNAVAILABLE.
        """
        for grid in self._grids.values():
            is_of_items = isinstance(grid.question, LogQuestion | TraceQuestion)
            most = ITEM_STEPS_READ_MAX if is_of_items else STEPS_READ_MAX
            parts: list[tuple[Answered, Bools]] = []
            for begin in range(0, grid.count, most):
                count = min(most, grid.count - begin)
                steps = Steps(grid.first_ns + (begin + count - 1) * grid.step_ns, grid.step_ns, count)
                if isinstance(grid.question, LogQuestion | TraceQuestion):
                    parts.append(await read_present(reader, grid.question, steps))
                else:
                    answered = await grid.question.read(reader, steps)
                    parts.append((answered, answered.has))
            await asyncio.to_thread(_join, grid, parts)

    def answers(self, number: int) -> list[Answered]:
        """The answers of the evaluation of that number, in the order of its questions."""
        return [_answer(use, number) for use in self._uses]


def _join(grid: _Grid, parts: Sequence[tuple[Answered, Bools]]) -> None:
    rows: dict[Labels, int] = {}
    for answered, _ in parts:
        for labels in answered.labels:
            rows.setdefault(labels, len(rows))
    if len(rows) * grid.count > CELLS_MAX:
        raise _too_long(f"it would compare {len(rows):,} series at {grid.count:,} steps")
    grid.labels = list(rows)
    grid.values = np.full((len(rows), grid.count), np.nan)
    grid.has = np.zeros((len(rows), grid.count), np.bool_)
    grid.present = np.zeros((len(rows), grid.count), np.bool_)
    column = 0
    for answered, present in parts:
        places = np.array([rows[labels] for labels in answered.labels], np.int64)
        columns = slice(column, column + answered.values.shape[1])
        grid.values[places, columns] = answered.values
        grid.has[places, columns] = answered.has
        grid.present[places, columns] = present
        grid.is_complete &= answered.is_complete
        column += answered.values.shape[1]


def _answer(use: _Use, number: int) -> Answered:
    end_ns = int(use.ends[number])
    step_ns = use.steps.step_ns // use.stride
    grid = use.grids[end_ns % step_ns]
    last = (end_ns - grid.first_ns) // grid.step_ns + 1
    if use.is_sum:
        cut = slice(last - use.steps.count * use.stride, last)
        shape = len(grid.labels), use.steps.count, use.stride
        values = np.where(grid.has[:, cut], grid.values[:, cut], 0.0).reshape(shape).sum(axis=2)
        has: Bools = np.asarray(grid.has[:, cut].reshape(shape).any(axis=2), np.bool_)
        present = grid.present[:, cut]
    else:
        cut = slice(last - 1 - (use.steps.count - 1) * use.stride, last, use.stride)
        values, has, present = grid.values[:, cut], grid.has[:, cut], grid.present[:, cut]
    there = at_any_time(present)
    if there.all():
        return Answered(grid.labels, values, has)
    rows = np.flatnonzero(there)
    return Answered([grid.labels[row] for row in rows], values[rows], has[rows])


def _too_long(why: str) -> DuoscopeError:
    return invalid(
        f"The preview would take too much: {why}. Ask for fewer days, a longer interval, or fewer series.",
        code="preview-too-long",
    )


def evaluations(start_s: float, end_s: float, interval_s: int, offset_s: float) -> list[float]:
    """The slots in a range, its end included: seconds since 1970, whole intervals apart."""
    first = math.ceil((start_s - offset_s) / interval_s)
    last = math.floor((end_s - offset_s) / interval_s)
    return [number * interval_s + offset_s for number in range(first, last + 1)]
