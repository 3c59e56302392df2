"""The embedded PostgreSQL: starts, survives the kill of its owner, shares one data directory with one owner only."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import asyncpg
import pytest

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres, postgres_address

_OWNER = """
import asyncio, sys
from pathlib import Path
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres

async def main():
    lock = DataDirectoryLock.acquire(Path(sys.argv[1]))
    server = await EmbeddedPostgres.start(Path(sys.argv[1]))
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def _value(dsn: str, sql: str):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_keeps_data_over_a_restart_and_no_parent_folder_is_widened(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    data_dir = home / "data"
    for attempt in range(2):
        async with postgres_address(data_dir) as address:
            if attempt == 0:
                await _value(address.admin_dsn, "CREATE TABLE t AS SELECT 'Ä' AS v")
            assert await _value(address.admin_dsn, "SELECT lower(v) FROM t") == "ä"
            assert await _value(address.admin_dsn, "SELECT inet_server_addr() IS NULL")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert home.stat().st_uid == data_dir.stat().st_uid == os.geteuid()


async def test_a_long_path_gets_a_short_socket(tmp_path: Path):
    async with postgres_address(tmp_path / ("long" * 30)) as address:
        assert await _value(address.admin_dsn, "SELECT 1") == 1
        assert "long" not in address.admin_dsn


async def test_server_goes_with_its_killed_owner_and_comes_back(tmp_path: Path):
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    assert await owner.stdout.readline() == b"up\n"
    with pytest.raises(DuoscopeError, match=f"another duoscope .pid {owner.pid}.") as refused:
        DataDirectoryLock.acquire(tmp_path)
    assert refused.value.kind is ErrorKind.CONFLICT
    async with postgres_address(tmp_path) as address:  # through the running one
        server_pid = int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0])
        await _value(address.admin_dsn, "CREATE TABLE kept AS SELECT 7 AS v")
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    async with postgres_address(tmp_path) as address:
        assert int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0]) != server_pid
        assert await _value(address.admin_dsn, "SELECT v FROM kept") == 7


async def test_orphan_that_outlived_its_owner_is_stopped_first(tmp_path: Path):
    """Without PR_SET_PDEATHSIG (macOS) the server outlives a killed owner: play that by dropping our hold on it."""
    lock = DataDirectoryLock.acquire(tmp_path)
    orphan = await EmbeddedPostgres.start(tmp_path)
    second = await EmbeddedPostgres.start(tmp_path)
    assert not orphan.running
    assert second.running
    await second.stop()
    lock.release()


async def test_stale_pid_file_of_a_foreign_process_is_no_obstacle(tmp_path: Path):
    async with postgres_address(tmp_path):
        pid_file = (tmp_path / "postgres" / "postmaster.pid").read_text()
    stale = "\n".join([str(os.getppid()), *pid_file.splitlines()[1:]])
    (tmp_path / "postgres" / "postmaster.pid").write_text(stale + "\n")
    async with postgres_address(tmp_path) as address:
        assert await _value(address.admin_dsn, "SELECT 1") == 1


async def test_failure_to_start_shows_the_log(tmp_path: Path):
    async with postgres_address(tmp_path):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(DuoscopeError, match="not compatible") as failed:
        async with postgres_address(tmp_path):
            pass
    assert failed.value.code == "embedded-postgres-failed"
