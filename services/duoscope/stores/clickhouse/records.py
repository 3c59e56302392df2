"""The writer of duoscope's own records in ClickHouse: the audit log, the history of alerts.

It is separate from ingest: another thread, another kind of INSERT, rows made here. It also reads the copy of one chain
back over all tenants, for verification. `TelemetryStore.records()` makes it.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Protocol
from uuid import UUID

from clickhouse_connect.driver.client import Client

AUDIT_RETENTION_DAYS: Final = 400
"""The longest retention there is; PostgreSQL keeps the entries themselves forever."""

_COLUMNS: Final = (
    "organization_id",
    "workspace_id",
    "tenant_id",
    "retention_days",
    "timestamp",
    "user_id",
    "action",
    "resource_type",
    "resource_id",
    "ip_address",
    "user_agent",
    "result",
    "metadata",
)
_READ_ROWS_MAX: Final = 5000
_SEQUENCE: Final = "JSONExtractUInt(metadata, 'sequence')"
_PLACE: Final = "organization_id = {organization_id:UUID}"
_READ_SETTINGS: Final = {"max_execution_time": 300, "use_query_condition_cache": 0, "log_comment": "audit"}


class Runs(Protocol):
    """Runs work in a thread with its own client, and maps ClickHouse's errors to ours."""

    def __call__(self, work: Callable[[Client], Any], /) -> Awaitable[Any]:
        """Run `work` and return its result."""
        ...


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry on its way to ClickHouse. `metadata` is JSON text: sequence, previous_hash, hash and the entry."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    timestamp: str
    user_id: UUID
    action: str
    resource_type: str
    resource_id: str
    ip_address: str
    user_agent: str
    result: str
    metadata: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One transition of an alert on its way to ClickHouse. `metadata` is JSON text."""

    organization_id: str
    workspace_id: str
    tenant_id: str
    timestamp: str
    alert_rule_id: str
    alert_rule_name: str
    severity: str
    status: str
    message: str
    metadata: str
    transition_id: str
    instance_id: str
    number: int
    reason: str
    value: float | None
    threshold: float | None
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class StoredAudit:
    """ClickHouse's copy of one entry: its metadata, and the columns that a search reads."""

    sequence: int
    action: str
    resource_id: str
    result: str
    metadata: str


_ALERT_COLUMNS: Final = tuple(each.name for each in fields(AlertRow))


class RecordWriter:
    """Appends to the audit log's copy and to the history of alerts, and reads them back, across tenants."""

    def __init__(self, run: Runs) -> None:
        self._run = run

    async def append_audit(self, rows: Sequence[AuditRow], *, token: str) -> None:
        """Insert entries. The same rows under the same token are stored once, within the window of the table.

        Raises:
            DuoscopeError: UNAVAILABLE while ClickHouse is down.
        """
        block = "\n".join(json.dumps(_as_json(row)) for row in rows).encode()
        settings = {"async_insert": 0, "insert_deduplication_token": token, "log_comment": "audit"}
        await self._run(
            lambda client: client.raw_insert(
                "audit_logs", column_names=_COLUMNS, insert_block=block, fmt="JSONEachRow", settings=settings
            )
        )

    async def audit_sequences(self, organization_id: UUID, first: int, last: int) -> set[int]:
        """The sequence numbers, within a part of a chain, of the entries that ClickHouse has."""
        rows = await self._query(
            f"SELECT DISTINCT {_SEQUENCE} FROM audit_logs "
            f"WHERE {_PLACE} AND {_SEQUENCE} BETWEEN {{first:UInt64}} AND {{last:UInt64}}",
            {"organization_id": str(organization_id), "first": first, "last": last},
        )
        return {int(row[0]) for row in rows}

    async def append_alerts(self, rows: Sequence[AlertRow], *, token: str) -> None:
        """Insert transitions of alerts. The same rows under the same token are stored once, within the window of the
        table.

        Raises:
            DuoscopeError: UNAVAILABLE while ClickHouse is down.
        """
        kept = {"retention_days": AUDIT_RETENTION_DAYS}
        block = "\n".join(json.dumps(asdict(row) | kept) for row in rows).encode()
        settings = {"async_insert": 0, "insert_deduplication_token": token, "log_comment": "alerts"}
        await self._run(
            lambda client: client.raw_insert(
                "alert_history",
                column_names=(*_ALERT_COLUMNS, *kept),
                insert_block=block,
                fmt="JSONEachRow",
                settings=settings,
            )
        )

    async def alerts_there(self, transition_ids: Sequence[UUID]) -> set[UUID]:
        """The transitions among these that ClickHouse has."""
        rows = await self._query(
            "SELECT DISTINCT transition_id FROM alert_history WHERE transition_id IN {ids:Array(UUID)}",
            {"ids": [str(each) for each in transition_ids]},
        )
        return {UUID(str(row[0])) for row in rows}

    async def audit_chain(self, organization_id: UUID, after: int) -> list[StoredAudit]:
        """The next entries of a chain after the number `after`. An entry that is stored twice is returned twice."""
        rows = await self._query(
            f"SELECT {_SEQUENCE} AS sequence, action, resource_id, toString(result), metadata FROM audit_logs "
            f"WHERE {_PLACE} AND {_SEQUENCE} > {{after:UInt64}} ORDER BY sequence "
            "LIMIT {rows:UInt64} WITH TIES",
            {"organization_id": str(organization_id), "after": after, "rows": _READ_ROWS_MAX},
        )
        return [StoredAudit(int(row[0]), *row[1:]) for row in rows]

    async def audit_organizations(self) -> set[UUID]:
        """The organizations that have an audit chain in ClickHouse."""
        return {UUID(str(row[0])) for row in await self._query("SELECT DISTINCT organization_id FROM audit_logs", {})}

    async def _query(self, sql: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        return await self._run(
            lambda client: client.query(sql, parameters=parameters, settings=_READ_SETTINGS).result_rows
        )


def _as_json(row: AuditRow) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS if name != "retention_days"}
    for name in ("organization_id", "workspace_id", "tenant_id", "user_id"):
        shown[name] = str(shown[name])
    return shown | {"retention_days": AUDIT_RETENTION_DAYS}
