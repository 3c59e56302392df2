"""Groups of rules as Prometheus' rule files have them: read from the files, from `PrometheusRule`, and written.

What cannot be read of one rule is said at that rule, and leaves the others alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from duoscope.alerting.rule_files import documents
from duoscope.alerting.rule_files.documents import Document
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.notation import milliseconds

_RULE_FIELDS: Final = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
_GROUP_FIELDS: Final = frozenset({"name", "interval", "query_offset", "limit", "labels", "rules"})
_HARMLESS: Final = frozenset({"concurrency", "partial_response_strategy", "tenant", "eval_delay", "debug"})
"""Fields of groups and rules of others (VictoriaMetrics, Thanos) that say how, or for whom, and not what."""
LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")
METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,254}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a file.

    Attributes:
        kind: `alert` or `record`.
        name: of the alert, or of the series that it records.
        expression: in PromQL.
        for_ms, keep_firing_ms: how long its breach must hold, and how long it fires on.
        labels, annotations: with their templates as they are; those of the group are among the labels.
        problems: why it cannot be taken over.
        losses: what is not taken over of it.
    """

    kind: Literal["alert", "record"]
    name: str
    expression: str
    for_ms: int = 0
    keep_firing_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    problems: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together.

    Attributes:
        name: unique in its file.
        rules: in the order of evaluation.
        interval_ms: between evaluations; None for the default.
        offset_ms: how far back they look; None for the default.
        notes: what is not taken over of the group.
    """

    name: str
    rules: tuple[Rule, ...]
    interval_ms: int | None = None
    offset_ms: int | None = None
    notes: tuple[str, ...] = ()


def read(document: Document) -> list[Group]:
    """The groups of a rule file, or of the document of a `PrometheusRule`.

    Raises:
        DuoscopeError: INVALID `invalid-file`: there are none.
    """
    top = documents.mapping(document)
    found = documents.mapping(top.get("spec")).get("groups") if documents.text(top.get("kind")) else top.get("groups")
    if not isinstance(found, list):
        raise documents.refused(
            "There are no `groups` of rules: a rule file of Prometheus has them at the top, a PrometheusRule below "
            "`spec`."
        )
    return [_group(documents.mapping(each), number) for number, each in enumerate(found, 1)]


def _group(given: Mapping[str, Document], number: int) -> Group:
    notes = [f"{name} is left out" for name in sorted(set(given) - _GROUP_FIELDS - _HARMLESS)]
    lengths: dict[str, int | None] = {}
    for name in ("interval", "query_offset"):
        word = documents.text(given.get(name))
        try:
            lengths[name] = milliseconds(word) if word else None
        except ExpressionError as error:
            notes.append(f"{name}: {error.message}")
            lengths[name] = None
    if documents.text(given.get("limit")) not in {"", "0"}:
        notes.append("limit is left out: here it is a limit of the tenant, alert_instances")
    shared = documents.texts(given.get("labels"))
    rules = tuple(_rule(documents.mapping(each), shared) for each in documents.sequence(given.get("rules")))
    name = documents.text(given.get("name")) or f"group {number}"
    return Group(name, rules, lengths["interval"], lengths["query_offset"], tuple(notes))


def _rule(given: Mapping[str, Document], shared: Mapping[str, str]) -> Rule:
    alert, record = (documents.text(given.get(name)) for name in ("alert", "record"))
    problems, losses = list[str](), list[str]()
    if bool(alert) == bool(record):
        problems.append("one of `alert` and `record` is needed")
    if not documents.text(given.get("expr")).strip():
        problems.append("`expr` is missing")
    losses += [f"{name} is left out" for name in sorted(set(given) - _RULE_FIELDS - _HARMLESS)]
    lengths: dict[str, int] = {}
    for name in ("for", "keep_firing_for"):
        word = documents.text(given.get(name))
        try:
            lengths[name] = milliseconds(word) if word else 0
        except ExpressionError as error:
            problems.append(f"{name}: {error.message}")
            lengths[name] = 0
    labels = dict(shared) | documents.texts(given.get("labels"))
    annotations = documents.texts(given.get("annotations"))
    for what, named in (("label", labels), ("annotation", annotations)):
        for name in [each for each in named if not LABEL_NAME.fullmatch(each)]:
            losses.append(f"{what} {name[:60]!r} is left out: no name of a {what}")
            del named[name]
    if record and not METRIC_NAME.fullmatch(record):
        problems.append(f"{record[:60]!r} is no name of a series")
    return Rule(
        "record" if record and not alert else "alert",
        alert or record,
        documents.text(given.get("expr")).strip(),
        lengths["for"],
        lengths["keep_firing_for"],
        labels,
        annotations,
        tuple(problems),
        tuple(losses),
    )


def written(groups: Sequence[Group]) -> dict[str, object]:
    """Groups as the content of a rule file, to be printed as YAML."""
    return {"groups": [_written_group(each) for each in groups]}


def _written_group(group: Group) -> dict[str, object]:
    made: dict[str, object] = {"name": group.name}
    if group.interval_ms is not None:
        made["interval"] = duration(group.interval_ms)
    if group.offset_ms:
        made["query_offset"] = duration(group.offset_ms)
    return made | {"rules": [dict(_written_rule(rule)) for rule in group.rules]}


def _written_rule(rule: Rule) -> Iterator[tuple[str, object]]:
    yield rule.kind, rule.name
    yield "expr", rule.expression
    if rule.for_ms:
        yield "for", duration(rule.for_ms)
    if rule.keep_firing_ms:
        yield "keep_firing_for", duration(rule.keep_firing_ms)
    if rule.labels:
        yield "labels", dict(rule.labels)
    if rule.annotations:
        yield "annotations", dict(rule.annotations)


def duration(milliseconds_: int) -> str:
    """A length of time as Prometheus writes it: `1h30m`."""
    parts: list[str] = []
    left = milliseconds_
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
