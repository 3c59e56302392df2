"""Verifies the audit log: every chain in PostgreSQL link by link, and ClickHouse's copy against it.

It detects an entry that was edited, in its text or in a column; an entry that was removed, inserted or exchanged; a
chain that was truncated, as long as the chain's head or ClickHouse still has the rest; and a copy that differs, lacks
an entry or has one twice. It cannot detect everything: the owner of both stores can rewrite a chain from some point on,
in both, with valid hashes, and can truncate it together with the head before it was shipped. To prevent that, record
the heads elsewhere (`Anchor`) and compare with them later: nobody without access to that record can change an entry up
to an anchor unnoticed.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, Literal, cast
from uuid import UUID

from duoscope.kernel.clock import now, rfc3339
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import audit_chains, organizations
from duoscope.metadata.audit_chains import FIRST_PREVIOUS_HASH, Chain, Entry, chained_hash
from duoscope.metadata.audit_logs import PLATFORM_CHAIN
from duoscope.metadata.redaction import canonical
from duoscope.stores.clickhouse.records import AUDIT_RETENTION_DAYS, RecordWriter, StoredAudit
from duoscope.stores.postgres import MetadataStore, Transaction

PAGE_ENTRIES: Final = 1000
FINDINGS_MAX: Final = 100
"""Findings per chain; what follows a break is often broken too."""
_VERIFYING: Final = PlatformScope(reason="an operator verifies the audit log of all organizations")

Store = Literal["PostgreSQL", "ClickHouse", "anchor"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A detected error. `sequence` is its position in the chain."""

    organization_id: UUID
    sequence: int
    store: Store
    what: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of a chain at an earlier time, to be kept where nobody with access to the stores can change it."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result for one chain. `compared` counts entries that ClickHouse has identically."""

    organization_id: UUID
    entries: int
    head: Anchor
    compared: int | None
    findings: list[Finding] = field(default_factory=list[Finding])


@asynccontextmanager
async def _reading(store: MetadataStore) -> AsyncGenerator[Transaction]:
    async with store.open_platform(_VERIFYING, "admin.verify_audit") as tx:
        yield tx


async def names(store: MetadataStore, reports: Sequence[ChainReport]) -> dict[UUID, str]:
    """The names of the chains for display: the code of the organization, or its id if it has been purged."""
    async with _reading(store) as tx:
        codes = await organizations.list_codes(tx) | {PLATFORM_CHAIN: "the platform"}
    return {r.organization_id: codes.get(r.organization_id, str(r.organization_id)) for r in reports}


async def verify_audit(
    store: MetadataStore, records: RecordWriter | None, anchors: Mapping[UUID, Anchor] | None = None
) -> list[ChainReport]:
    """Verify every chain. Entries written meanwhile are left to the next run.

    Args:
        store: PostgreSQL.
        records: ClickHouse's copy; None leaves it out.
        anchors: heads that were recorded earlier.
    """
    anchors = anchors or {}
    async with _reading(store) as tx:
        chains = {chain.organization_id: chain for chain in await audit_chains.list_all(tx)}
    known = set(chains) | set(anchors)
    if records is not None:
        known |= await records.audit_organizations()
    reports: list[ChainReport] = []
    for organization_id in sorted(known):
        chain = chains.get(organization_id) or Chain(organization_id, 0, FIRST_PREVIOUS_HASH, 0)
        reports.append(await _Verification(chain, anchors.get(organization_id)).run(store, records))
    return reports


class _Verification:
    """The verification of one chain, up to the head as it was read."""

    def __init__(self, chain: Chain, anchor: Anchor | None) -> None:
        self._chain = chain
        self._anchor = anchor
        self._findings: list[Finding] = []
        self._hashes: dict[int, str] = {}
        """Of the entries that PostgreSQL has: 64 characters each, a few hundred megabytes for a million."""
        self._expired_before = rfc3339(now() - timedelta(days=AUDIT_RETENTION_DAYS - 2))
        self._expired_up_to = 0
        self._ahead: list[StoredAudit] = []
        """Copies of what the chain did not have when its head was read."""

    async def run(self, store: MetadataStore, records: RecordWriter | None) -> ChainReport:
        last = await self._links(store)
        self._ends(last)
        compared = None
        if records is not None:
            compared = await self._copy(records)
            await self._written_meanwhile(store)
        head = Anchor(self._chain.sequence, self._chain.hash)
        return ChainReport(self._chain.organization_id, len(self._hashes), head, compared, self._findings)

    def _found(self, sequence: int, store: Store, what: str) -> None:
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(Finding(self._chain.organization_id, sequence, store, what))

    async def _links(self, store: MetadataStore) -> Entry | None:
        last: Entry | None = None
        while True:
            async with _reading(store) as tx:
                page = await audit_chains.entries(
                    tx,
                    self._chain.organization_id,
                    after=last.sequence if last else 0,
                    up_to=self._chain.sequence,
                    limit=PAGE_ENTRIES,
                )
            for entry in page:
                self._link(last, entry)
                last = entry
            if len(page) < PAGE_ENTRIES:
                return last

    def _link(self, last: Entry | None, entry: Entry) -> None:
        self._hashes[entry.sequence] = entry.hash
        expected = last.sequence + 1 if last else 1
        if entry.sequence != expected:
            self._found(expected, "PostgreSQL", _missing(expected, entry.sequence - 1))
        elif entry.previous_hash != (last.hash if last else FIRST_PREVIOUS_HASH):
            self._found(entry.sequence, "PostgreSQL", "does not continue the entry before it")
        if entry.hash != entry.right_hash:
            self._found(entry.sequence, "PostgreSQL", "was edited: its text does not have its hash")
        elif wrong := _wrong_columns(entry):
            self._found(entry.sequence, "PostgreSQL", f"was edited: its text says otherwise of {', '.join(wrong)}")
        if rfc3339(entry.recorded_at) < self._expired_before:
            self._expired_up_to = entry.sequence

    def _ends(self, last: Entry | None) -> None:
        chain, end = self._chain, last.sequence if last else 0
        if end < chain.sequence:
            self._found(end + 1, "PostgreSQL", f"{_missing(end + 1, chain.sequence)}: the tail was cut")
        elif last is not None and last.hash != chain.hash:
            self._found(end, "PostgreSQL", "is not the entry that the chain's head speaks of")
        if self._anchor is not None:
            found = self._hashes.get(self._anchor.sequence)
            if self._anchor.sequence > 0 and found != self._anchor.hash:
                what = "is not there, but was noted as the head" if found is None else "is not the one that was noted"
                self._found(self._anchor.sequence, "anchor", what)

    async def _copy(self, records: RecordWriter) -> int:
        compared, after = 0, 0
        seen: list[int] = []
        while page := await records.audit_chain(self._chain.organization_id, after):
            for one, other in pairwise([None, *page]):
                assert other is not None
                if one is not None and one.sequence == other.sequence:
                    self._found(other.sequence, "ClickHouse", "is there twice")
                else:
                    compared += self._compare(other)
                    seen.append(other.sequence)
            after = page[-1].sequence
        self._copy_is_complete(seen)
        return compared

    def _compare(self, stored: StoredAudit) -> bool:
        hash_ = self._hashes.get(stored.sequence)
        if hash_ is None:
            if stored.sequence > self._chain.sequence:
                self._ahead.append(stored)
            else:
                self._found(stored.sequence, "PostgreSQL", "is in ClickHouse and no longer in PostgreSQL")
            return False
        if problem := _wrong_copy(self._chain.organization_id, stored, hash_):
            self._found(stored.sequence, "ClickHouse", problem)
            return False
        return True

    async def _written_meanwhile(self, store: MetadataStore) -> None:
        """Entries that ClickHouse has beyond the head are newer than this run, or the rest of a truncated chain."""
        for stored in self._ahead[:FINDINGS_MAX]:
            async with _reading(store) as tx:
                found = await audit_chains.entries(
                    tx, self._chain.organization_id, after=stored.sequence - 1, up_to=stored.sequence, limit=1
                )
            if not found or _wrong_copy(self._chain.organization_id, stored, found[0].hash):
                self._found(stored.sequence, "PostgreSQL", "is in ClickHouse and not in PostgreSQL: the tail was cut")

    def _copy_is_complete(self, seen: Sequence[int]) -> None:
        """Check that the copy has all entries, except those older than its retention and those not shipped yet."""
        missing = sorted(set(range(self._expired_up_to + 1, self._chain.shipped_sequence + 1)).difference(seen))
        for sequence in missing[:FINDINGS_MAX]:
            self._found(sequence, "ClickHouse", "was shipped and is not there")


def _missing(first: int, last: int) -> str:
    return "is missing" if first == last else f"to {last} are missing"


_COLUMNS: Final = (
    "audit_log_id",
    "workspace_id",
    "tenant_id",
    "actor_kind",
    "user_id",
    "email",
    "ip_address",
    "user_agent",
    "request_id",
    "action",
    "resource_type",
    "resource_id",
    "result",
)


def _wrong_columns(entry: Entry) -> list[str]:
    content = cast("dict[str, Any]", json.loads(entry.content))
    wrong = [name for name in _COLUMNS if content.get(name) != _text(getattr(entry, name))]
    if content.get("recorded_at") != rfc3339(entry.recorded_at):
        wrong.append("recorded_at")
    return wrong


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _wrong_copy(organization_id: UUID, stored: StoredAudit, hash_: str) -> str:
    try:
        copy = cast("dict[str, Any]", json.loads(stored.metadata))
        entry = cast("dict[str, Any]", copy["entry"])
        right = chained_hash(organization_id, stored.sequence, copy["previous_hash"], canonical(entry))
        columns = {"action": stored.action, "resource_id": stored.resource_id, "result": stored.result}
    except (ValueError, KeyError, TypeError):
        return "was edited: its metadata is not what was shipped"
    if copy.get("hash") != hash_:
        return "differs from PostgreSQL's"
    if right != hash_:
        return "was edited: its text does not have its hash"
    wrong = [name for name, value in columns.items() if entry.get(name) != value]
    return f"was edited: its text says otherwise of {', '.join(wrong)}" if wrong else ""
