"""A kill of the embedded engine between a token and its part: the same INSERT again must not be skipped."""

import subprocess
import sys
import time

import pytest

from duoscope.stores.embedded import forget_missing_parts, set_aside_untold_parts

ENGINE = """
import sys
import time
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


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_token_of_a_part_that_is_empty_is_forgotten(engine, tmp_path, is_torn):
    assert engine(1, 2) == [1, 2]
    (emptied,) = tmp_path.glob("store/*/*/0_*")
    for path in emptied.iterdir():
        if is_torn:
            path.write_bytes(b"")
        else:
            path.unlink()
    assert forget_missing_parts(tmp_path) == 1
    assert engine(2) == [1, 2]


def test_a_folder_that_is_new(tmp_path):
    assert forget_missing_parts(tmp_path / "clickhouse") == 0


@pytest.mark.parametrize("lost", [{"5", "4"}, {"5"}, {"4"}])
def test_a_part_whose_token_is_lost_is_detached_and_no_other(engine, tmp_path, lost):
    """Tokens at the end of the file were not on the disk, or none of an INSERT that ended after a later one."""
    assert engine(1, 3, "merge", 2) == [1, 2, 3]
    (logs,) = tmp_path.glob("store/*/*/deduplication_logs")
    (log,) = logs.glob("*.txt")
    before = log.read_text().splitlines(keepends=True)
    assert engine(5, 4) == [1, 2, 3, 4, 5]
    told = dict(zip("54", log.read_text().splitlines(keepends=True)[len(before) :], strict=True))
    log.write_text("".join([*before, *(line for number, line in told.items() if number not in lost)]))
    assert set_aside_untold_parts(tmp_path, time.time_ns()) == 0
    assert set_aside_untold_parts(tmp_path, 0, besides=["t"]) == 0
    assert set_aside_untold_parts(tmp_path, 0) == len(lost)
    assert set_aside_untold_parts(tmp_path, 0) == 0
    assert engine(5, 4) == [1, 2, 3, 4, 5]
    assert len(list(logs.parent.glob("detached/untold_*"))) == len(lost)
