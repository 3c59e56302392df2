"""A kill of the embedded engine between a token and its part: the same INSERT again must not be skipped."""

import subprocess
import sys

import pytest

from duoscope.stores.embedded import forget_missing_parts

ENGINE = """
import sys
import clickhouse_connect

client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1], database="default")
client.command(
    "CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a PARTITION BY a % 2 "
    "SETTINGS non_replicated_deduplication_window = 100"
)
for number in sys.argv[2:]:
    if number == "merge":
        client.command("OPTIMIZE TABLE t FINAL")
        continue
    settings = {"async_insert": 0, "insert_deduplication_token": f"token of {number}"}
    client.raw_insert("t", insert_block=b'{"a": %s}' % number.encode(), fmt="JSONEachRow", settings=settings)
print(*(row[0] for row in client.query("SELECT a FROM t ORDER BY a").result_rows))
client.close()
"""


@pytest.fixture
def engine(tmp_path):
    """Runs an engine of its own over the folder: inserts numbers, each under its token, and answers what is there."""

    def run(*numbers):
        done = subprocess.run(
            [sys.executable, "-c", ENGINE, str(tmp_path), *map(str, numbers)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return [int(number) for number in done.stdout.split()]

    return run


def test_a_token_without_its_part_is_forgotten_and_no_other(engine, tmp_path):
    assert engine(1, 3, "merge", 2, 5) == [1, 2, 3, 5]
    (killed,) = tmp_path.glob("store/*/*/0_*")
    killed.rename(killed.with_name(f"tmp_insert_{killed.name}"))
    assert engine(2) == [1, 3, 5]  # what it is for: the engine takes the token for proof
    assert forget_missing_parts(tmp_path) == 1
    assert forget_missing_parts(tmp_path) == 0
    assert engine(1, 2, 3, 5) == [1, 2, 3, 5]
    assert engine(2) == [1, 2, 3, 5]


def test_a_folder_that_is_new(tmp_path):
    assert forget_missing_parts(tmp_path / "clickhouse") == 0
