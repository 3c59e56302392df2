"""Copies the audit log's entries to ClickHouse, each exactly once, every few seconds.

PostgreSQL records which part of a chain is about to be inserted. If the outcome is unknown, after a kill or an INSERT
without an answer, the part is looked up in ClickHouse and otherwise repeated exactly, under the same deduplication
token. If two workers do the same part at once, it is stored once.
"""

import logging
from typing import Final
from uuid import UUID

from duoscope.background.driver import Driver, Job, Running
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import audit_chains
from duoscope.metadata.audit_chains import Entry
from duoscope.stores.clickhouse.records import AuditRow, RecordWriter
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

SHIP_AUDIT_LOGS: Final = Job("ship-audit-logs", period_s=5.0, at_once=True, turn_max_s=3600.0)
CHUNK_ENTRIES_MAX: Final = 500
_SHIPPING: Final = PlatformScope(reason="the audit log of all organizations is copied to ClickHouse")
_NOBODY: Final = UUID(int=0)


async def ship_audit_logs(metadata: MetadataStore, records: RecordWriter) -> int:
    """Copy all waiting entries. Returns how many entries that was. May run twice at once.

    Raises:
        DuoscopeError: UNAVAILABLE while a store is down; the next run continues from there.
    """
    count = 0
    async with metadata.open_platform(_SHIPPING, "worker.unshipped_audit") as tx:
        waiting = await audit_chains.list_unshipped(tx)
    for organization_id in waiting:
        while shipped := await _ship_part(metadata, records, organization_id):
            count += shipped
    return count


async def _ship_part(metadata: MetadataStore, records: RecordWriter, organization_id: UUID) -> int:
    async with metadata.open_platform(_SHIPPING, "worker.begin_shipping") as tx:
        part = await audit_chains.begin_shipping(tx, organization_id, entries_max=CHUNK_ENTRIES_MAX)
    if part is None:
        return 0
    after, last, is_repeated = part
    async with metadata.open_platform(_SHIPPING, "worker.read_audit") as tx:
        entries = await audit_chains.entries(tx, organization_id, after=after, up_to=last, limit=last - after)
    if len(entries) != last - after:
        _log.error(
            "the audit log has a gap: run `duoscope admin verify-audit`",
            extra={"organization_id": str(organization_id), "after": after, "last": last, "entries": len(entries)},
        )
    there: set[int] = set()
    if is_repeated:
        there = await records.audit_sequences(organization_id, after + 1, last)
    if entries and not there.issuperset(entry.sequence for entry in entries):
        token = f"audit-{organization_id}-{after + 1}-{last}"
        await records.append_audit([_row(entry) for entry in entries], token=token)
    async with metadata.open_platform(_SHIPPING, "worker.finish_shipping") as tx:
        await audit_chains.finish_shipping(tx, organization_id, last)
    return last - after


def _row(entry: Entry) -> AuditRow:
    # Entries of the organization itself are filed under ids that no tenant's view can name: a table's row needs some.
    return AuditRow(
        organization_id=entry.organization_id,
        workspace_id=entry.workspace_id or entry.organization_id,
        tenant_id=entry.tenant_id or entry.organization_id,
        timestamp=entry.recorded_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        user_id=entry.user_id or _NOBODY,
        action=entry.action,
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        ip_address=entry.ip_address or "",
        user_agent=entry.user_agent or "",
        result=entry.result,
        metadata=(
            f'{{"sequence":{entry.sequence},"previous_hash":"{entry.previous_hash}","hash":"{entry.hash}",'
            f'"entry":{entry.content}}}'
        ),
    )


def start_audit_shipping(driver: Driver, metadata: MetadataStore, records: RecordWriter) -> Running:
    """Start a job that copies entries every few seconds."""

    async def run() -> None:
        if count := await ship_audit_logs(metadata, records):
            _log.info("audit log: shipped to ClickHouse, entries: %d", count)

    return driver.start(SHIP_AUDIT_LOGS, run)
