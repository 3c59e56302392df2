"""The deployment that fails in the fault tests, and the table printed at the end."""

import dataclasses
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

import auditing
import harness
import sending

from duoscope.kernel.clock import now

_rows, _felt = pytest.StashKey[list](), pytest.StashKey[list]()
_names = iter(range(10_000))
RECEIVERS = 2


def pytest_configure(config):
    config.stash[_rows], config.stash[_felt] = [], []


def table(rows):
    """The lines of a Markdown table."""
    cells = [
        [field.name.replace("_", " ") for field in dataclasses.fields(rows[0])],
        *([f"{v:,}" if isinstance(v, int | float) else v for v in dataclasses.astuple(row)] for row in rows),
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    cells.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    for line in cells:
        first, *others = (
            cell.rjust(w) if n else cell.ljust(w) for n, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        yield f"| {' | '.join([first, *others])} |"


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash[_rows]
    if not rows:
        return
    terminalreporter.section("faults: items lost, doubled and foreign, as the API shows them")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    terminalreporter.write_line(
        f"{now():%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.system()} on "
        f"{platform.machine()}, "
        f"load average {os.getloadavg()[2]:.0f} over the last quarter of an hour"
    )
    for line in table(rows):
        terminalreporter.write_line(line)
    if felt := config.stash[_felt]:
        terminalreporter.section("faults: what a bystander felt of strangers, in milliseconds")
        for line in table(felt):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def say(request):
    """Reports the progress of `make faults`, which takes long."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(text):
        if harness.THOROUGH:
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.write_line(f"{now():%H:%M:%S} {text}")

    return write


@pytest.fixture(scope="session")
def rounds():
    """How often the receiver is killed: few in the suite, 100 in `make faults`."""
    return harness.ROUNDS


@pytest.fixture(scope="session")
def thorough(rounds):
    """Whether this is `make faults`."""
    return harness.THOROUGH


@pytest_asyncio.fixture(scope="session")
async def postgres(tmp_path_factory):
    """A PostgreSQL for the deployment alone, which may be stopped and started."""
    made = harness.Postgres(tmp_path_factory.mktemp("postgres"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="session")
def deployment(tmp_path_factory, postgres):
    made = harness.Deployment(tmp_path_factory.mktemp("deployment"), postgres, RECEIVERS)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of some MiB, if the system allows it."""
    mounted = []

    def mount(mib):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("needs the right to mount a tmpfs")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def tenant(deployment):
    """A tenant for which nobody has sent anything."""
    return deployment.tenant(f"tenant{next(_names)}")


@pytest.fixture
def load(otlp, request):
    """Puts load on all receivers of the deployment, or on those given."""

    def make(tenant, receivers=None, **options):
        receivers = receivers or request.getfixturevalue("deployment").receivers
        return sending.Load(otlp, tenant, receivers, **options)

    return make


@pytest.fixture
def feel(request, say):
    """Writes a row of what a bystander felt."""

    def write(row):
        say(f"{row.stranger}: p99 {row.p99_before} ms before, {row.p99_during} ms during, {row.refused} refused")
        request.config.stash[_felt].append(row)

    return write


@pytest.fixture
def audit(request, say):
    """Once all is stored, writes a row of the table, and fails if anything is lost, doubled or foreign."""

    def check(fault, tenant, books, rounds=1):
        tenant.deployment.settle()
        say(f"{fault}: looking for {len(books.sent) * sending.ITEMS:,} items")
        row = auditing.audit(fault, tenant, books, rounds)
        say(f"{fault}: lost {row.lost}, doubled {row.doubled}, foreign {row.foreign}")
        request.config.stash[_rows].append(row)
        assert (row.lost, row.doubled, row.foreign) == (0, 0, 0), row
        return row

    return check
