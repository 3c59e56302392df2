"""Folders of small migrations, and a ClickHouse migrator in a separate process (chdb: one directory per process)."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PROCESS = """
import dataclasses, json, os, sys
from pathlib import Path
import clickhouse_connect
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.migrations import ClickHouseMigrator
from duoscope.stores.migrations.files import load, verify

path, folder, action, die_at, cluster = sys.argv[1:6]
client = clickhouse_connect.get_client(interface="chdb", path=path)

class Account:
    executed = 0

    def execute(self, sql):
        client.command(sql)
        Account.executed += 1
        if Account.executed == int(die_at):
            os._exit(9)

    def query(self, sql):
        return client.query(sql).result_rows

migrator = ClickHouseMigrator(Account(), load(Path(folder), "clickhouse"), cluster=cluster)
try:
    if action == "up":
        result = [m.name for m in migrator.up()]
    elif action == "status":
        result = [m.state for m in migrator.status()]
    elif action == "verify":
        result = verify("clickhouse", load(Path(folder), "clickhouse"), migrator.applied())
    elif action.startswith("down"):
        result = [m.name for m in migrator.down(int(action[4:]))]
    else:
        result = [list(row) for row in client.query(action).result_rows]
except DuoscopeError as error:
    result = {"code": error.code, "message": error.message}
print(json.dumps({"result": result, "executed": Account.executed}))
client.close()
"""


@dataclass
class ClickHouseProcess:
    path: Path
    folder: Path

    async def __call__(self, action: str, *, die_at: int = 0) -> Any:
        """Run one action. Returns None when the process died in the middle, as it was told to."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _PROCESS, str(self.path), str(self.folder), action, str(die_at), ""),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await child.communicate()
        if child.returncode == 9:
            return None
        assert child.returncode == 0
        return json.loads(output)["result"]


@pytest.fixture
def write_migrations(tmp_path: Path) -> Callable[..., Path]:
    """Writes `name=(up, down)` files into a folder of this test. Returns the folder of folders."""

    def write(store: str, **files: tuple[str, str]) -> Path:
        folder = tmp_path / "migrations" / store
        folder.mkdir(parents=True, exist_ok=True)
        for name, (up, down) in files.items():
            (folder / f"{name.removeprefix('m')}.up.sql").write_text(up)
            (folder / f"{name.removeprefix('m')}.down.sql").write_text(down)
        return folder.parent

    return write


@pytest.fixture
def clickhouse_process() -> type[ClickHouseProcess]:
    """Makes a runner over a data directory and a folder of migrations."""
    return ClickHouseProcess
