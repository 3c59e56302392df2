"""A batch: INSERTs that belong together, their requests, and the rows of each request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.native_blocks import without_rows
from duoscope.stores.clickhouse import LEDGER


@dataclass(frozen=True, slots=True)
class Insert:
    """A block of rows for one table."""

    table: str
    form: str
    block: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Part:
    """One request's share of a batch.

    Attributes:
        workspace_id: whose it is; a UUID in text, as is `tenant_id`.
        digest: of its bytes.
        outcome: what its sender is told.
        rows: by table, the first of its rows and the one behind its last.
    """

    workspace_id: str
    tenant_id: str
    digest: str
    outcome: Outcome
    rows: dict[str, tuple[int, int]]

    @property
    def key(self) -> str:
        """The identity of the request, including its tenant: the same bytes from another tenant are another request."""
        return f"{self.tenant_id}/{self.digest}"


@dataclass(frozen=True, slots=True)
class Batch:
    """INSERTs that belong together.

    Attributes:
        token: identifies the content: a UUIDv7 in hex, so that files sort by age.
        received_ns: when its oldest request came, in nanoseconds since 1970.
        parts: the requests in it.
        inserts: in order; the ledger's is the last. Empty where only the head was read.
    """

    token: str
    received_ns: int
    parts: tuple[Part, ...]
    inserts: tuple[Insert, ...] = ()

    def insert_of(self, table: str) -> Insert | None:
        """The INSERT for a table, if there is one."""
        return next((insert for insert in self.inserts if insert.table == table), None)

    def received_ms(self) -> list[tuple[tuple[str, str], int]]:
        """Tenant and digest of each request, and when it was received, in milliseconds as in the ledger."""
        lines = [json.loads(line) for line in self.inserts[-1].block.split(b"\n")] if self.inserts else []
        return [((line["tenant_id"], line["digest"]), round(float(line["received_at"]) * 1000)) for line in lines]

    def without(self, gone: "Sequence[Part]") -> "Batch":
        """The batch without some of its requests and their rows. It has no inserts if no request is left."""
        there = {part.key for part in gone}
        kept = [part for part in self.parts if part.key not in there]
        if not kept:
            return Batch(self.token, self.received_ns, ())
        inserts: list[Insert] = []
        for insert in self.inserts:
            if insert.table == LEDGER:
                lines = zip(insert.block.split(b"\n"), self.parts, strict=True)
                block = b"\n".join(line for line, part in lines if part.key not in there)
            else:
                rows = [part.rows[insert.table] for part in gone if insert.table in part.rows]
                block = without_rows(insert.block, rows)
            if block:
                inserts.append(Insert(insert.table, insert.form, block))
        return Batch(self.token, self.received_ns, tuple(_moved(part, gone) for part in kept), tuple(inserts))


def _moved(part: Part, gone: Sequence[Part]) -> Part:
    """A part whose rows have moved up, where earlier rows of others are gone."""
    rows: dict[str, tuple[int, int]] = {}
    for table, (start, end) in part.rows.items():
        before = [other.rows[table] for other in gone if table in other.rows]
        up = sum(b - a for a, b in before if b <= start)
        rows[table] = start - up, end - up
    return replace(part, rows=rows)
