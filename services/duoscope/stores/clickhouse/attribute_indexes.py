"""Indexes of the values of single attributes: of those with many values, which a search would read a column for.

ClickHouse makes an index for what is inserted and merged from then on. The names are chosen by what receivers counted,
over all tenants, since a table has one set of indexes; which names they are shows in no answer.
"""

import re
from typing import Final

from clickhouse_connect.driver.client import Client

from duoscope.stores.clickhouse.reach import Indexed
from duoscope.stores.clickhouse.schema import ATTRIBUTE_NAME

INDEXES_MAX: Final = 2
"""Of one table: each takes 0.1 to 0.3 us and about a byte of each row."""
ITEMS_MIN: Final = 100_000
"""Items of a day with values that are not told apart, from which an index pays."""
_TABLES: Final = {
    "traces": ("traces_v3", "span_attributes_typed"),
    "logs": ("logs_v3", "log_attributes_typed"),
}
_EXPRESSION: Final = re.compile(r"\w+_typed\.`([^`]+)`\.:`?String`?", re.ASCII)
_MANY: Final = """
SELECT toString(name) AS name FROM field_values
WHERE signal = {signal:String} AND place = 'attributes' AND type = 'other' AND quarter >= now() - INTERVAL 1 DAY
GROUP BY name HAVING sum(count) >= {least:UInt64} ORDER BY sum(count) DESC, name LIMIT {names:UInt64}"""
_PRESENT: Final = """
SELECT name, expr FROM system.data_skipping_indices
WHERE database = currentDatabase() AND table = {table:String} AND startsWith(name, 'attribute_')"""


def present(client: Client) -> Indexed:
    """The columns of attributes that have an index: the table's column of type JSON, and the name."""
    return frozenset((column, name) for table, column in _TABLES.values() for name in _indexes(client, table).values())


def choose(client: Client) -> Indexed:
    """Add and remove indexes, so that the names that need one most have it. Returns those there are now.

    May run twice at once.
    """
    for signal, (table, column) in _TABLES.items():
        # A name that has an index keeps it while it is among twice as many, so that names do not take turns.
        asked = {"signal": signal, "least": ITEMS_MIN, "names": 2 * INDEXES_MAX}
        wanted = [
            name for (name,) in client.query(_MANY, parameters=asked).result_rows if ATTRIBUTE_NAME.fullmatch(name)
        ]
        have = _indexes(client, table)
        kept = [name for name in have.values() if name in wanted]
        new = [name for name in wanted if name not in kept][: max(0, INDEXES_MAX - len(kept))]
        if not new:  # what is no longer wanted costs little until something else is
            continue
        for index, name in have.items():
            if name not in wanted:
                client.command(f"ALTER TABLE {table} DROP INDEX IF EXISTS {index}")
        for name in new:
            escaped = name.replace(".", "%2E")
            index = f"attribute_{escaped.encode().hex()}"
            client.command(
                f"ALTER TABLE {table} ADD INDEX IF NOT EXISTS {index} {column}.{{name:Identifier}}.:String "
                "TYPE bloom_filter(0.01) GRANULARITY 1",
                parameters={"name": escaped},
            )
    return present(client)


def _indexes(client: Client, table: str) -> dict[str, str]:
    """The attributes that have an index, by the index."""
    rows = client.query(_PRESENT, parameters={"table": table}).result_rows
    found = ((index, _EXPRESSION.fullmatch(expression)) for index, expression in rows)
    return {index: match.group(1).replace("%2E", ".") for index, match in found if match}
