"""promtool's unit-test files: series, the rules over them, and what is expected at which time.

Format: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from duoscope.alerting.rule_files import documents
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.notation import milliseconds
from duoscope.telemetry.times import unix_nano

MINUTE_MS: Final = 60_000
_Word = Annotated[str, Meta(max_length=1_000_000)]


class InputSeries(Struct, frozen=True, forbid_unknown_fields=True):
    """A series and its values, one each interval."""

    series: str
    values: _Word


class ExpectedAlert(Struct, frozen=True, forbid_unknown_fields=True):
    """An alert that fires."""

    exp_labels: dict[str, str] = {}
    exp_annotations: dict[str, str] = {}


class AlertTest(Struct, frozen=True, forbid_unknown_fields=True):
    """The alerts of one name that are expected to fire at a time."""

    eval_time: str
    alertname: str
    exp_alerts: list[ExpectedAlert] = []


class ExpectedSample(Struct, frozen=True, forbid_unknown_fields=True):
    """A sample of an expression's value."""

    labels: str = ""
    value: str = "0"
    histogram: str = ""


class ExpressionTest(Struct, frozen=True, forbid_unknown_fields=True):
    """An expression, and its samples at a time."""

    expr: str
    eval_time: str
    exp_samples: list[ExpectedSample] = []


class TestGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """Series and tests over them."""

    name: str = ""
    interval: str = ""
    input_series: list[InputSeries] = []
    alert_rule_test: list[AlertTest] = []
    promql_expr_test: list[ExpressionTest] = []
    external_labels: dict[str, str] = {}
    external_url: str = ""
    start_timestamp: str = ""


class TestFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of tests."""

    rule_files: list[str] = []
    evaluation_interval: str = ""
    group_eval_order: list[str] = []
    fuzzy_compare: str = ""
    tests: list[TestGroup] = []


def read(text: str, *, ignore_unknown: bool = False) -> TestFile:
    """Read a file of tests.

    Args:
        text: of the file.
        ignore_unknown: whether fields that are not known are passed over.

    Raises:
        DuoscopeError: INVALID `invalid-file`, saying where.
    """
    found = documents.read(text)
    document = found[0] if found else {}
    if ignore_unknown:
        document = _known(document, TestFile)
    try:
        return msgspec.convert(_filled(document), TestFile)
    except msgspec.ValidationError as error:
        raise documents.refused(f"The file of tests cannot be read: {error}") from error


def rule_paths(path: Path, file: TestFile) -> list[Path]:
    """The files of rules that a file of tests names, by patterns relative to it.

    Raises:
        DuoscopeError: INVALID `invalid-file`: there is none of that name.
    """
    found: list[Path] = []
    for pattern in file.rule_files:
        at = Path(pattern)
        base = Path(at.anchor) if at.is_absolute() else path.parent
        relative = at.relative_to(at.anchor) if at.is_absolute() else at
        if (base / relative).is_file():
            matched = [base / relative]
        else:
            matched = [each for each in sorted(base.glob(str(relative))) if each.is_file()]
        if not matched:
            raise documents.refused(f"No file of rules is there: {pattern}")
        found += matched
    return found


def length_ms(word: str, default: int) -> int:
    """A length of time in milliseconds, or the default for none. Raises INVALID `invalid-file`."""
    if not word:
        return default
    try:
        return milliseconds(word)
    except ExpressionError as error:
        raise documents.refused(error.message) from error


def moment_ms(word: str) -> int:
    """A start in milliseconds since 1970: RFC 3339 or seconds; 0 for none. Raises INVALID `invalid-file`."""
    if not word:
        return 0
    return length_ms(word, 0) if "T" not in word else unix_nano(word, "start_timestamp") // 1_000_000


def _filled(document: documents.Document) -> documents.Document:
    """The document without empty fields, which stand for their defaults."""
    if isinstance(document, dict):
        return {name: _filled(each) for name, each in document.items() if each != "" or name == "values"}
    if isinstance(document, list):
        return [_filled(each) if each != "" else {} for each in document]
    return document


_INNER: Final[dict[tuple[type[Struct], str], type[Struct]]] = {
    (TestFile, "tests"): TestGroup,
    (TestGroup, "input_series"): InputSeries,
    (TestGroup, "alert_rule_test"): AlertTest,
    (TestGroup, "promql_expr_test"): ExpressionTest,
    (AlertTest, "exp_alerts"): ExpectedAlert,
    (ExpressionTest, "exp_samples"): ExpectedSample,
}


def _known(document: documents.Document, kind: type[Struct]) -> documents.Document:
    given = documents.mapping(document)
    made: dict[str, documents.Document] = {}
    for name in kind.__struct_fields__:
        if name not in given:
            continue
        inner = _INNER.get((kind, name))
        value = given[name]
        made[name] = [_known(each, inner) for each in value] if inner and isinstance(value, list) else value
    return made
