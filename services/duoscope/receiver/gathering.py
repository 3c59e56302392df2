"""Gathers the rows of requests, of all signals, into the batch of INSERTs that a segment of the log becomes."""

import functools
import json
import time
from dataclasses import replace
from typing import Final

from duoscope.kernel import limits
from duoscope.receiver.decoder import ActiveSeries, Decoder, Due, Kind
from duoscope.receiver.durability.batch import Batch, Insert, Part
from duoscope.receiver.durability.judged import of_requests
from duoscope.receiver.durability.records import Record
from duoscope.receiver.signals import SIGNALS
from duoscope.stores.clickhouse import CATALOGUES, FORMER

_NOW: Final = {former: table for table, former in FORMER.items()}
_NAMES: Final = {signal.kind: signal.name for signal in SIGNALS}


@functools.cache
def signal_of(table: str) -> Kind | None:
    """The signal whose items alone a table has; None where there is none, as of the ledger."""
    if table in CATALOGUES:
        return None
    return next((kind for kind in Kind if {table, _NOW.get(table)} & Decoder(kind).rows().keys()), None)


class Gathering:
    """The rows of a segment. One thread at a time.

    Attributes:
        rows: how many were gathered, of all tables.
    """

    def __init__(self, *, counts_values: bool = False) -> None:
        """Begin empty. `counts_values`: whether the values of fields are counted, which happens once a request."""
        self._decoders = {kind: Decoder(kind) for kind in Kind}
        if counts_values:
            for each in self._decoders.values():
                each.count_values()
        self._tables = {kind: decoder.rows() for kind, decoder in self._decoders.items()}
        self._parts: list[Part] = []
        self._ledger: list[bytes] = []
        self._oldest_ns = 0
        self._catalogue_due = self._names_due = self._values_due = 0.0
        self._counts_values = counts_values
        self._has_counts = False
        self.rows = 0

    def add(self, record: Record, series: ActiveSeries | None = None) -> Record:
        """Append the rows of a request. Returns the record with its outcome.

        Args:
            record: the request. If it was decoded before, it has the points that were refused then.
            series: the tenant's active series, for a new request of metrics.

        Raises:
            MalformedError, TooManyItemsError, MemoryError: as `Decoder.add`; nothing was appended.
        """
        now = time.monotonic()
        if not self._parts and now >= self._catalogue_due:
            self._catalogue_due, names = now + limits.INGEST_CATALOGUE_PERIOD_S, now >= self._names_due
            if names:
                self._names_due = now + limits.INGEST_NAMES_PERIOD_S
            for each in self._decoders.values():
                each.forget(Due.NAMES if names else Due.METRICS_SEEN)
        decoder = self._decoders[record.kind]
        outcome = decoder.add(
            record.raw,
            record.scope,
            record.retention_days,
            now_ns=record.received_ns,
            bounds=record.bounds,
            series=series,
            refuse=record.refused,
        )
        if not outcome.items:
            return replace(record, outcome=outcome)
        done = replace(record, outcome=outcome, refused=record.refused or decoder.refused())
        before, after = self._tables[record.kind], decoder.rows()
        self._tables[record.kind] = after
        own = {t: (before[t], end) for t, end in after.items() if t not in CATALOGUES and end > before[t]}
        self.rows += sum(after.values()) - sum(before.values())
        scope = record.scope
        self._parts.append(Part(str(scope.workspace_id), str(scope.tenant_id), record.digest, outcome, own))
        self._ledger.append(json.dumps(_ledger_row(done)).encode())
        self._oldest_ns = min(self._oldest_ns or record.received_ns, record.received_ns)
        self._has_counts |= self._counts_values
        return done

    @property
    def counts_due_in_s(self) -> float | None:
        """Seconds until what was counted of values is to be inserted; None if nothing was."""
        return max(0.0, self._values_due - time.monotonic()) if self._has_counts else None

    def take(self, token: str, *, values: bool | None = None) -> Batch:
        """The batch of what was gathered, under its token; the next one begins empty.

        `values`: whether it takes along what was counted of values so far; None: if it is time.
        """
        now = time.monotonic()
        if now >= self._values_due if values is None else values:
            self._values_due, self._has_counts = now + limits.INGEST_VALUES_PERIOD_S, False
            for each in self._decoders.values():
                each.flush_values()
        inserts = [
            Insert(block.table, "Native", block.native, of=_NAMES[kind] if block.table in CATALOGUES else "")
            for kind, decoder in self._decoders.items()
            for block in decoder.blocks()
        ]
        if self._ledger:
            inserts += of_requests(b"\n".join(self._ledger))
        batch = Batch(token, self._oldest_ns, tuple(self._parts), tuple(inserts))
        self._clear()
        return batch

    def drop(self) -> None:
        """Forget what was gathered; catalogues will have its rows once more."""
        self._clear()
        for each in self._decoders.values():
            each.forget()
        self._catalogue_due = self._names_due = 0.0

    def _clear(self) -> None:
        for kind, decoder in self._decoders.items():
            decoder.clear()
            self._tables[kind] = decoder.rows()
        self._parts, self._ledger, self._oldest_ns, self.rows = [], [], 0, 0


def _ledger_row(record: Record) -> dict[str, object]:
    scope, outcome = record.scope, record.outcome
    return {
        "organization_id": str(scope.organization_id),
        "workspace_id": str(scope.workspace_id),
        "tenant_id": str(scope.tenant_id),
        "digest": record.digest,
        # An integer would be taken for seconds.
        "received_at": f"{record.received_ns / 1e9:.3f}",
        "signal": _NAMES[record.kind],
        "api_key_id": str(record.api_key_id),
        "bytes": len(record.raw),
        "items": outcome.items,
        "stored": outcome.stored,
        "rejected": outcome.reasons,
    }
