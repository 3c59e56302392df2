"""A batch: INSERTs that belong together, their requests, and the rows of each request."""

import json
from dataclasses import dataclass, field, replace
from typing import Final

from duoscope.receiver.decoder import Kind, Outcome
from duoscope.stores.clickhouse import FORMER, LEDGER, REJECTIONS

_VERSION: Final = 12
"""Where the version of a UUID is in its digits."""


def split_token(token: str, kind: Kind) -> str:
    """Return the token of the requests of one signal that are split off from a segment: it is made of the segment's, so
    that `whole_token` finds that again.
    """
    return f"{token[:_VERSION]}{8 + kind:x}{token[_VERSION + 1 :]}"


def whole_token(token: str) -> str:
    """Return the token of the segment that a batch was split off from, or else its own."""
    return f"{token[:_VERSION]}7{token[_VERSION + 1 :]}"


@dataclass(frozen=True, slots=True)
class Insert:
    """A block of rows for one table.

    Attributes:
        table: one of `INGESTED`.
        form: the ClickHouse format of the block.
        block: the rows.
        of: tells apart blocks of one batch for one table, which are INSERTs of their own.
    """

    table: str
    form: str
    block: bytes = field(repr=False)
    of: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Tells the INSERT apart from the others of its batch."""
        return self.table, self.of


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
        """The identity of the request, as `Record.key`."""
        return f"{self.tenant_id}/{self.digest}"


@dataclass(frozen=True, slots=True)
class Batch:
    """INSERTs that belong together.

    Attributes:
        token: identifies the content: a UUIDv7 in hex, so that files sort by age.
        received_ns: when its oldest request came, in nanoseconds since 1970.
        parts: the requests in it.
        inserts: in order; the ledger's is the last, after that of rejections.
    """

    token: str
    received_ns: int
    parts: tuple[Part, ...]
    inserts: tuple[Insert, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        return sum(len(insert.block) for insert in self.inserts)

    def insert_at(self, place: tuple[str, str]) -> Insert | None:
        """The INSERT of this `Insert.place`, if there is one."""
        return next((insert for insert in self.inserts if insert.place == place), None)

    def token_of(self, insert: Insert) -> str:
        """The token of an INSERT: the batch's, and a part more where one table gets several.

        Items that were split off from a segment may be stored already, under its token; the ledger has none of them.
        """
        of_requests = insert.table in {LEDGER, REJECTIONS}
        token = self.token if of_requests else whole_token(self.token)
        return f"{token}-{insert.of}" if insert.of else token

    def in_former_tables(self) -> "Batch":
        """The same rows for the tables of before points were sorted by the hour: if some of them are stored, only those
        know of it.
        """
        inserts = tuple(replace(each, table=FORMER.get(each.table, each.table)) for each in self.inserts)
        parts = tuple(
            replace(part, rows={FORMER.get(table, table): rows for table, rows in part.rows.items()})
            for part in self.parts
        )
        return replace(self, parts=parts, inserts=inserts)

    def received_ms(self) -> list[tuple[tuple[str, str], int]]:
        """Tenant and digest of each request, and when it was received, in milliseconds as in the ledger."""
        lines = [json.loads(line) for line in self.inserts[-1].block.split(b"\n")] if self.inserts else []
        return [((line["tenant_id"], line["digest"]), round(float(line["received_at"]) * 1000)) for line in lines]
