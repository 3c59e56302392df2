"""Takes over rules from files of others, and tells what became of each.

A rule is known by its file, group and name: the same file again changes nothing, and another version of it changes the
rules that it made before. What a file no longer has is left alone.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.alerting import rules
from duoscope.alerting.named import NamedExpressions
from duoscope.alerting.rule_files import documents, grafana, groups
from duoscope.alerting.rule_files.conversion import NAME_CHARS_MAX, Converted, converted
from duoscope.alerting.rule_files.documents import Document
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_rules, named_expressions
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.named_expressions import NamedExpression, Written
from duoscope.stores.postgres import MetadataStore

RULES_MAX: Final = 2000
"""Of one file."""
EXPRESSIONS_MAX: Final = 5000
"""Named expressions of one tenant."""
_KEPT: Final = frozenset({"is_enabled", "name"})
"""What an import sets once, and leaves to its readers then."""

Change = Literal["created", "changed", "unchanged", "none"]


class Line(Struct, frozen=True):
    """The outcome of one rule."""

    group: str
    kind: Literal["alert", "record"]
    name: str
    outcome: Annotated[
        Literal["converted", "partly", "refused"], Meta(description="All of it is there, or a part, or nothing.")
    ]
    change: Annotated[Change, Meta(description="What it changed here; none for what is refused, and in a trial.")]
    reasons: Annotated[list[str], Meta(description="What is lost, or why nothing is there.")]
    id: Annotated[UUID | None, Meta(description="Of the alert rule or the named expression.")]


class Report(Struct, frozen=True):
    """The outcome of an import."""

    source: str
    converted: int
    partly: int
    refused: int
    notes: Annotated[list[str], Meta(description="What is not taken over of groups.")]
    items: list[Line]


def read(text: str, source: str, limits: AlertLimits) -> tuple[str, list[str], list[Converted]]:
    """Read and convert a file. Returns its source, what is lost of groups, and what becomes of each rule.

    Args:
        text: YAML or JSON: Prometheus' rule file, `PrometheusRule` resources, Grafana's provisioning export.
        source: a name for the file; empty for that which it gives itself.
        limits: of the tenant.

    Raises:
        DuoscopeError: INVALID `invalid-file`.
    """
    found: list[Converted] = []
    notes: list[str] = []
    parts = [each for document in documents.read(text) for each in _parts(document)]
    if not parts:
        raise documents.refused("The file is empty.")
    named = [source or _own_name(part) for part in parts]
    for part, name in zip(parts, named, strict=True):
        compared: dict[int, grafana.Compared] = {}
        if grafana.is_provisioning(part):
            exported = grafana.read(part)
            of_file: Sequence[groups.Group] = [group for group, _ in exported]
            compared = {id(each.rule): each for _, of_group in exported for each in of_group}
        else:
            of_file = groups.read(part)
        if len(found) + sum(len(group.rules) for group in of_file) > RULES_MAX:
            raise documents.refused(f"The file has more than {RULES_MAX} rules.")
        notes += [f"{group.name}: {note}" for group in of_file for note in group.notes]
        found += converted(of_file, name, limits, compared)
    return named[0], notes, found


def _parts(document: Document) -> list[Document]:
    """The resources of a Kubernetes list; a document itself otherwise."""
    top = documents.mapping(document)
    if documents.text(top.get("kind")).endswith("List"):
        return list(documents.sequence(top.get("items")))
    return [document]


def _own_name(document: Document) -> str:
    top = documents.mapping(document)
    if not documents.text(top.get("kind")):
        return "grafana" if grafana.is_provisioning(document) else "rules"
    metadata = documents.texts(documents.mapping(top.get("metadata")))
    return "/".join(filter(None, (metadata.get("namespace"), metadata.get("name")))) or "rules"


class Import:
    """Writes what a file has.

    Args:
        store: of metadata.
        named: who must look named expressions up again.
        principal: the author, in the tenant.
        is_trial: only report.
    """

    def __init__(self, store: MetadataStore, named: NamedExpressions, principal: Principal, *, is_trial: bool) -> None:
        self._store = store
        self._named = named
        self._principal = principal
        self._is_trial = is_trial

    async def run(self, text: str, source: str) -> Report:
        """Import a file.

        Raises:
            DuoscopeError: INVALID `invalid-file`; UNAVAILABLE: what was written until then stays, and the same file
                again does the rest.
        """
        limits = AlertLimits().with_own(self._principal.own_limits)
        source, notes, found = await asyncio.to_thread(read, text, source, limits)
        async with self._store.open(self._principal.scope, "alert_rules.import") as tx:
            living = await alert_rules.living(tx)
            expressions = await named_expressions.every(tx)
        known = {rule.source: rule for rule in living if rule.source}
        names = {rule.name for rule in living}
        recorded = {each.source: each for each in expressions}
        lines: list[Line] = []
        for each in found:
            if each.kind == "alert":
                written = self._rule(each, known.get(each.source), names)
            else:
                written = self._expression(each, recorded)
            lines.append(await _line(each, written))
        self._named.forget(self._principal.scope)
        counts = Counter(line.outcome for line in lines)
        return Report(source, counts["converted"], counts["partly"], counts["refused"], notes, lines)

    async def _rule(self, each: Converted, before: AlertRule | None, names: set[str]) -> tuple[Change, UUID | None]:
        if not each.columns:
            return "none", None
        columns = dict(each.columns)
        name = before.name if before else _free(str(columns["name"]), each.source, names)
        labels = {label: value for label, value in columns["labels"].items() if label != "alertname"}
        columns |= {"name": name, "labels": labels if name == each.name else labels | {"alertname": each.name}}
        if before is not None:
            changes = {column: value for column, value in columns.items() if column not in _KEPT}
            if all(getattr(before, column) == value for column, value in changes.items()):
                return "unchanged", before.alert_rule_id
            if self._is_trial:
                return "changed", before.alert_rule_id
            await rules.change(self._store, self._principal, before.alert_rule_id, changes, version=None)
            return "changed", before.alert_rule_id
        names.add(name)
        if self._is_trial:
            return "created", None
        made = await rules.create(self._store, self._principal, self._new_rule(columns, each.source))
        return "created", made.alert_rule_id

    def _new_rule(self, columns: Mapping[str, Any], source: str) -> AlertRule:
        scope, moment = self._principal.scope, now()
        return AlertRule(
            organization_id=scope.organization_id,
            workspace_id=scope.workspace_id,
            tenant_id=scope.tenant_id,
            alert_rule_id=new_id(),
            description="",
            cooldown_minutes=0,
            version=1,
            last_evaluated_at=None,
            last_duration_ms=None,
            last_problem="",
            created_by=self._principal.user_id,
            deleted_at=None,
            created_at=moment,
            updated_at=moment,
            source=source,
            **columns,
        )

    async def _expression(self, each: Converted, recorded: dict[str, NamedExpression]) -> tuple[Change, UUID | None]:
        if not each.columns:
            return "none", None
        self._principal.require("metric:read")
        what = Written(**each.columns, source=each.source)
        before = recorded.get(each.source)
        if before is not None and all(
            getattr(before, field) == getattr(what, field) for field in Written.__dataclass_fields__
        ):
            return "unchanged", before.named_expression_id
        if before is None and len(recorded) >= EXPRESSIONS_MAX:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "named-expression-limit-reached",
                f"A tenant has at most {EXPRESSIONS_MAX:,} named expressions.",
            )
        if self._is_trial:
            return ("created", None) if before is None else ("changed", before.named_expression_id)
        async with self._store.open(self._principal.scope, "named_expressions.import") as tx:
            if before is None:
                after = await named_expressions.create(
                    tx, what, named_expression_id=new_id(), created_by=self._principal.user_id
                )
                await audit.created(tx, self._principal.actor, after)
            else:
                after = await named_expressions.save(tx, before.named_expression_id, what)
                await audit.changed(tx, self._principal.actor, before, after)
        recorded[each.source] = after
        return ("created" if before is None else "changed"), after.named_expression_id


async def delete_expression(
    store: MetadataStore, named: NamedExpressions, principal: Principal, named_expression_id: UUID
) -> None:
    """Remove a named expression: PromQL that names it finds a metric of that name, or nothing. Raises NOT_FOUND."""
    async with store.open(principal.scope, "named_expressions.delete") as tx:
        before = require_found(await named_expressions.lock(tx, named_expression_id), "named expression")
        await named_expressions.delete(tx, named_expression_id)
        await audit.deleted(tx, principal.actor, before)
    named.forget(principal.scope)


async def _line(each: Converted, written: Awaitable[tuple[Change, UUID | None]]) -> Line:
    change: Change = "none"
    identifier: UUID | None = None
    outcome, reasons = each.outcome, list(each.losses)
    try:
        change, identifier = await written
    except DuoscopeError as error:
        if error.kind is ErrorKind.UNAVAILABLE:
            raise
        outcome, reasons = "refused", [error.message]
    return Line(each.group, each.kind, each.name, outcome, change, reasons, identifier)


def _free(name: str, source: str, names: set[str]) -> str:
    """The name, or one that no other rule of the tenant has."""
    number = 1
    made = name
    while made in names:
        more = f" [{source[-80:]}]" if number == 1 else f" [{source[-80:]} {number}]"
        made = name[: NAME_CHARS_MAX - len(more)] + more
        number += 1
    return made
