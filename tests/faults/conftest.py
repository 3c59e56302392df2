"""The deployment that faults happen to, and the table that is printed at the end."""

import dataclasses
import sys
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

import harness

_rows = pytest.StashKey[list]()
_names = iter(range(10_000))
RECEIVERS = 2


def pytest_configure(config):
    config.stash[_rows] = []


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash[_rows]
    if not rows:
        return
    terminalreporter.section("faults: items lost, doubled and foreign, as the API shows them")
    table = [
        [field.name for field in dataclasses.fields(harness.Row)],
        *([str(v) for v in dataclasses.astuple(r)] for r in rows),
    ]
    widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
    for line in table:
        first, *others = (
            cell.ljust(w) if not n else cell.rjust(w) for n, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        terminalreporter.write_line("  ".join([first, *others]))


@pytest.fixture(scope="session")
def rounds():
    """How often the receiver is killed: few in the suite, 100 in `make faults`."""
    return harness.ROUNDS


@pytest.fixture(scope="session")
def thorough(rounds):
    """Whether this is `make faults`."""
    return harness.THOROUGH


@pytest_asyncio.fixture(scope="session")
async def own_database(postgres_server, migrated_template):
    """A PostgreSQL database for the whole session."""
    name = "faults"
    connection = await asyncpg.connect(postgres_server.admin_dsn.replace("@/duoscope?", "@/postgres?"))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    finally:
        await connection.close()
    return type(postgres_server)(
        *(dsn.replace("@/duoscope?", f"@/{name}?") for dsn in (postgres_server.admin_dsn, postgres_server.service_dsn))
    )


@pytest.fixture(scope="session")
def deployment(tmp_path_factory, own_database):
    made = harness.Deployment(tmp_path_factory.mktemp("deployment"), own_database, RECEIVERS)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def tenant(deployment):
    """Nobody has sent anything for this one."""
    return deployment.tenant(f"tenant{next(_names)}")


@pytest.fixture
def load(otlp, request):
    """Makes a load on all receivers of the deployment, or on those given."""

    def make(tenant, receivers=None, **options):
        receivers = receivers or request.getfixturevalue("deployment").receivers
        return harness.Load(otlp, tenant, receivers, **options)

    return make


@pytest.fixture
def audit(request):
    """Writes a row of the table, and fails where anything was lost, doubled or foreign."""

    def check(fault, tenant, books):
        row = harness.audit(fault, tenant, books)
        request.config.stash[_rows].append(row)
        assert (row.lost, row.doubled, row.foreign) == (0, 0, 0), row
        return row

    return check
