"""Formulas over other questions, by name."""

from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metrics import formulas
from duoscope.telemetry.metrics.tables import Fill, NamedSeries, Table, filled
from duoscope.telemetry.questions.answers import Answered, Steps, refused
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion
from duoscope.telemetry.questions.metric import MetricQuestion
from duoscope.telemetry.questions.promql import PromqlQuestion, evaluated, parsed

Simple = PromqlQuestion | MetricQuestion | LogQuestion | TraceQuestion
_EXACTLY_MS: Final = 1
"""How old a value may be: a formula sees the values of its step and no earlier ones."""


class FormulaQuestion(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="formula"):
    """PromQL over the answers to other questions, by their names: `100 * errors / requests`."""

    of: Annotated[
        dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,31}$")], Simple],
        Meta(min_length=1, max_length=formulas.QUERIES_MAX, description="Questions by name."),
    ]
    formula: Annotated[
        str, Meta(min_length=1, max_length=formulas.FORMULA_CHARS_MAX, examples=["100 * errors / requests"])
    ]
    fill: Annotated[
        dict[str, Fill],
        Meta(description="What stands where a question has no value, by its name: null unless given."),
    ] = {}

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset[str]().union(*(question.permissions for question in self.of.values()))

    def check(self) -> None:
        """Raise INVALID, naming the question, for one that cannot be asked, a name or a formula that cannot be."""
        for name, question in self.of.items():
            if not formulas.is_name(name):
                raise refused(f"`of`: {name!r} is a word of PromQL; take another name.")
            try:
                question.check()
            except DuoscopeError as error:
                raise _named(name, error) from error
        if unknown := sorted(set(self.fill) - set(self.of)):
            raise refused(f"`fill`: there is no question {unknown[0][:40]!r}.")
        formulas.parsed(self.formula, self.of)
        parsed(self.formula)

    async def read(self, reader: TelemetryReader, steps: Steps) -> Answered:
        """Ask the questions one after the other, and evaluate the formula over their answers.

        Raises:
            DuoscopeError: INVALID, naming the question; UNAVAILABLE.
        """
        tables: dict[str, Table] = {}
        is_complete = True
        for name, question in self.of.items():
            try:
                found = await question.read(reader, steps)
            except DuoscopeError as error:
                raise _named(name, error) from error
            is_complete &= found.is_complete
            values = np.where(found.has, found.values, np.nan)
            tables[name] = Table(found.labels, filled(values, self.fill.get(name, "null")))
        named = NamedSeries(reader, tables, steps.moments_ms)
        answered = await evaluated(named, self.formula, steps, lookback_ms=_EXACTLY_MS)
        answered.is_complete = is_complete
        return answered


def _named(name: str, error: DuoscopeError) -> DuoscopeError:
    if error.kind is not ErrorKind.INVALID:
        return error
    return refused(f"Question {name}: {error.message}")
