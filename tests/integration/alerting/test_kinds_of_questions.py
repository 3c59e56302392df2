"""What rules watch: each kind of question over the same stored telemetry, at a moment and in steps."""

import math

import msgspec
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, Sum

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.telemetry.questions.answers import Steps
from duoscope.telemetry.questions.kinds import Question

S = 10**9
MINUTE = 60 * S
START_S = (now_unix_nano() // (3600 * S) - 3) * 3600
END_NS = (START_S + 240) * S
ERRORS = {"kind": "log", "query": "severity>=error", "group_by": ["service"]}


@pytest.fixture
async def reader(otlp, stored):
    def points(*given):
        return [
            NumberDataPoint(
                time_unix_nano=(START_S + second) * S, as_double=value, attributes=otlp.attributes({"route": route})
            )
            for second, value, route in given
        ]

    def counted(name, *given):
        return Metric(
            name=name, unit="1", sum=Sum(data_points=points(*given), aggregation_temporality=1, is_monotonic=True)
        )

    def logs(*seconds_and_severities):
        return [
            {"time_unix_nano": (START_S + second) * S, "severity_number": number, "body": "paid"}
            for second, number in seconds_and_severities
        ]

    spans = [
        {
            "trace_id": bytes([n + 1] * 16),
            "span_id": bytes([n + 1] * 8),
            "name": "GET /",
            "start_time_unix_nano": (START_S + second) * S,
            "end_time_unix_nano": (START_S + second) * S + milliseconds * 10**6,
        }
        for n, (second, milliseconds) in enumerate([(200, 100), (210, 300), (100, 700)])
    ]
    return await stored(
        otlp.metrics(
            "shop",
            counted("errors", (10, 1, "a"), (190, 3, "a"), (200, 5, "b")),
            counted("requests", *((60 * m + 30, 10, r) for m in range(4) for r in "ab")),
            Metric(name="depth", unit="1", gauge=Gauge(data_points=points((5, 2, "a"), (185, 8, "a")))),
        ),
        otlp.logs("shop", *logs((190, 17), (200, 17), (210, 9), (70, 21))),
        otlp.spans("shop", *spans),
    )


CASES = {
    "promql at a moment": (
        {"kind": "promql", "expression": "depth"},
        Steps(END_NS, MINUTE),
        {"a": [8]},
    ),
    "promql in steps": (
        {"kind": "promql", "expression": "sum by (route) (depth) > 2"},
        Steps(END_NS, MINUTE, 4),
        {"a": [None, None, None, 8]},
    ),
    "promql of a scalar": ({"kind": "promql", "expression": "1 + 1"}, Steps(END_NS, MINUTE, 2), {"": [2, 2]}),
    "promql of nothing": ({"kind": "promql", "expression": "nothing > 1"}, Steps(END_NS, MINUTE), {}),
    "metric": (
        {"kind": "metric", "metric": "errors", "aggregation": "increase", "group_by": ["route"]},
        Steps(END_NS, MINUTE, 4),
        {"a": [1, None, None, 3], "b": [None, None, None, 5]},
    ),
    "metric between its steps": (
        {"kind": "metric", "metric": "depth", "aggregation": "last"},
        Steps(END_NS + 50 * S, MINUTE),
        {"": [8]},
    ),
    "metric never seen": ({"kind": "metric", "metric": "nothing"}, Steps(END_NS, MINUTE), {}),
    "log": ({"kind": "log", "query": "severity>=error"}, Steps(END_NS, MINUTE, 4), {"": [0, 1, 0, 2]}),
    "log by service": (ERRORS, Steps(END_NS, MINUTE, 4), {"shop": [0, 1, 0, 2]}),
    "log off the minute": (
        {"kind": "log", "query": "severity>=error"},
        Steps(END_NS - 45 * S, MINUTE),
        {"": [1]},
    ),
    "log without any": ({"kind": "log", "query": "severity:fatal"}, Steps(END_NS, MINUTE), {"": [0]}),
    "log of a name that is none": ({"kind": "log", "query": "paid:yes"}, Steps(END_NS, MINUTE), {"": [0]}),
    "log by service without any": (ERRORS, Steps(END_NS - 2 * 3600 * S, MINUTE), {}),
    "trace": (
        {"kind": "trace", "measure": {"function": "max", "field": "duration"}, "group_by": ["service"]},
        Steps(END_NS, MINUTE, 4),
        {"shop": [None, 700e6, None, 300e6]},
    ),
    "trace without any": (
        {"kind": "trace", "query": "service:other", "measure": {"function": "p95", "field": "duration"}},
        Steps(END_NS, MINUTE),
        {"": [None]},
    ),
    "formula": (
        {
            "kind": "formula",
            "of": {
                "errors": {"kind": "metric", "metric": "errors", "aggregation": "increase", "group_by": ["route"]},
                "requests": {"kind": "metric", "metric": "requests", "aggregation": "increase", "group_by": ["route"]},
            },
            "fill": {"errors": "zero"},
            "formula": "100 * errors / requests",
        },
        Steps(END_NS, MINUTE, 2),
        {"a": [0, 30], "b": [0, 50]},
    ),
    "formula over signals": (
        {
            "kind": "formula",
            "of": {
                "bad": {"kind": "log", "query": "severity>=error"},
                "all": {"kind": "trace"},
            },
            "formula": "bad / all",
        },
        Steps(END_NS, MINUTE),
        {"": [1]},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_answers(reader, case):
    given, steps, expected = case
    question = msgspec.convert(given, Question)
    question.check()
    assert msgspec.json.decode(msgspec.json.encode(question), type=Question) == question
    found = await question.read(reader, steps)
    assert found.is_complete
    got = {
        ",".join(value for name, value in labels if name in ("route", "service")): [
            value if has else None for value, has in zip(row, held, strict=True)
        ]
        for labels, row, held in zip(found.labels, found.values.tolist(), found.has.tolist(), strict=True)
    }
    assert got == expected
    assert all(name != "__name__" for labels in found.labels for name, _ in labels)


REFUSED = {
    "syntax": ({"kind": "promql", "expression": "sum("}, "`expression`: 1:4: parse error"),
    "range": ({"kind": "promql", "expression": "depth[5m]"}, "`expression` is a matrix"),
    "log query": ({"kind": "log", "query": "severity>="}, "severity"),
    "log measure": ({"kind": "log", "measure": {"function": "p95"}}, "p95 is of a field"),
    "metric type": ({"kind": "metric", "metric": "a", "type": "dial"}, "`type` is one of"),
    "metric labels": ({"kind": "metric", "metric": "a", "group_by": ["b", "b"]}, "`group_by`"),
    "formula's name": ({"kind": "formula", "of": {"on": {"kind": "log"}}, "formula": "on"}, "'on' is a word of PromQL"),
    "formula's question": (
        {"kind": "formula", "of": {"a": {"kind": "promql", "expression": ")"}}, "formula": "a"},
        "Question a: `expression`",
    ),
    "formula": ({"kind": "formula", "of": {"a": {"kind": "log"}}, "formula": "a / b"}, "there is no query 'b'"),
    "fill": ({"kind": "formula", "of": {"a": {"kind": "log"}}, "formula": "a", "fill": {"b": "zero"}}, "`fill`"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals_say_where(case):
    given, words = case
    with pytest.raises(DuoscopeError) as refused:
        msgspec.convert(given, Question).check()
    assert refused.value.kind is ErrorKind.INVALID
    assert words in refused.value.message


@pytest.mark.parametrize("expression", ['{__name__=~"errors_total|requests_total"}', "depth / on () requests_total"])
async def test_answers_that_no_rule_can_watch(reader, expression):
    question = msgspec.convert({"kind": "promql", "expression": expression}, Question)
    with pytest.raises(DuoscopeError, match="`expression`"):
        await question.read(reader, Steps(END_NS, MINUTE))


async def test_numbers_that_are_none_are_values_of_promql(reader):
    question = msgspec.convert({"kind": "promql", "expression": "0 / vector(0)"}, Question)
    found = await question.read(reader, Steps(END_NS, MINUTE))
    assert math.isnan(found.values[0, 0])
    assert found.has[0, 0]
