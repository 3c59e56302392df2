"""A part of one file that a power cut tore is set aside when the engine starts, and the others are read."""

import subprocess
import sys

ENGINE = """
import sys
import clickhouse_connect

client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1], database="default")
client.command(
    "CREATE TABLE IF NOT EXISTS t (a UInt64, s String) ENGINE = MergeTree ORDER BY a "
    "SETTINGS min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1"
)
client.command("SYSTEM STOP MERGES t")
for number in sys.argv[2:]:
    client.command(f"INSERT INTO t SELECT {number}, repeat('x{number}', 100) FROM numbers(100)")
print(*(row[0] for row in client.query("SELECT DISTINCT a FROM t WHERE length(s) = 200 ORDER BY a").result_rows))
client.close()
"""


def test_torn_emptied_zeroed_and_missing(tmp_path):
    def engine(*numbers):
        command = [sys.executable, "-c", ENGINE, str(tmp_path), *map(str, numbers)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    assert engine(0, 1, 2, 3, 4) == ["0", "1", "2", "3", "4"]
    torn, emptied, zeroed, missing, _ = sorted(tmp_path.glob("store/*/*/all_*/data.packed"))
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    emptied.write_bytes(b"")
    zeroed.write_bytes(bytes(zeroed.stat().st_size))
    missing.unlink()
    assert engine() == ["4"]
    assert engine(5) == ["4", "5"]
