"""The power goes, and syncs fail or take long, under a whole `duoscope up`: everything acknowledged is there, once.

What was never synced is thrown away: of ClickHouse, PostgreSQL and the request log alike.
"""

import os
import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import harness
import pytest
from disk import Disk, compile_library, kill_with_children

from duoscope.receiver.durability.request_log import GROWING, SEGMENT

FLOW = 15
LOG = "/ingest/"
TOKENS = "/deduplication_logs/"


@pytest.fixture
def home():
    """A folder that other users may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def over_a_disk(start_up, home):
    """A duoscope, the disk under it, and a tenant."""
    library = compile_library(home)
    if library is None:
        why = "needs a C compiler"
        return pytest.fail(why) if os.environ.get("FUZZ_REQUIRED") else pytest.skip(why)

    @contextmanager
    def make():
        with start_up() as up:
            known = up.known
            up.stop()
            disk = Disk(library, up.data_dir, home)
            disk.sync_all()
            up.environment |= disk.environment
            up.start()
            yield up, disk, harness.Tenant(up, "embedded", up.key, "", known["admin_email"], known["admin_password"])
            up.stop()

    return make


def _power_cut(up, disk, keeps=0.0):
    kill_with_children(up.process)
    disk.cut(keeps=keeps)
    disk.sync_all()
    up.start()


def _wait_until_stored(up, tenant):
    """Until the segments of now are gone: from here on, what they held is in the tables alone."""
    waiting = _segments(up)
    with tenant.api() as api:  # what is read does not wait any longer
        assert api.post("/logs/search", json={"query": ""}).status_code == 200
    deadline = time.monotonic() + up.START_S
    while waiting & _segments(up):
        assert time.monotonic() < deadline, up.log.read_text()[-4000:]
        time.sleep(0.01)


def _segments(up):
    return {path.stem for path in (up.data_dir / "ingest").iterdir() if path.suffix in {GROWING, SEGMENT}}


@pytest.mark.parametrize("keeps", [0.0, pytest.param(0.5, marks=harness.only_thorough)])
def test_the_power_goes(over_a_disk, load, audit, say, keeps):
    rounds = 20 if harness.THOROUGH else 1
    with over_a_disk() as (up, disk, tenant):
        with load(tenant, [up], duplicates=0.1, patience_s=120) as sending:
            for number in range(rounds):
                say(f"power cut: round {number} of {rounds}")
                sending.wait_for(FLOW)
                if number % 2 == 0:
                    _wait_until_stored(up, tenant)
                time.sleep(random.random())
                _power_cut(up, disk, keeps)
            sending.wait_for(FLOW)
        what = "a part of what was not synced is there" if keeps else "nothing is there but what was synced"
        audit(f"power cut: {what}", tenant, sending.books, rounds)
        assert sending.books.rejected == set(), sending.books.unexpected


@pytest.mark.parametrize("power", [pytest.param(False, marks=harness.only_thorough), True])
def test_a_segment_was_inserted_and_not_removed(over_a_disk, load, audit, power):
    """The tokens of its INSERTs are not synced yet: a power cut takes them, and a kill does not."""
    with over_a_disk() as (up, disk, tenant):
        with load(tenant, [up], patience_s=120) as sending:
            sending.wait_for(FLOW)
            with disk.order("hold", TOKENS):
                disk.wait_until_held()
                if power:
                    kill_with_children(up.process)
                    assert list((up.data_dir / "ingest").glob(f"*{SEGMENT}"))
                    disk.cut()
                    disk.sync_all()
                else:
                    kill_with_children(up.process)
            up.start()
            sending.wait_for(FLOW)
        how = "power cut" if power else "`kill -9`"
        audit(f"{how} after the INSERTs of a segment, before it goes", tenant, sending.books)


@harness.only_thorough
def test_syncs_fail_and_take_long(over_a_disk, load, audit):
    with over_a_disk() as (up, disk, tenant):
        with load(tenant, [up], patience_s=120) as sending:
            sending.wait_for(FLOW)
            with disk.order("fail", LOG):
                acknowledged = len(sending.books.acknowledged)
                while sending.books.retries < FLOW:
                    time.sleep(0.01)
                assert len(sending.books.acknowledged) - acknowledged <= len(sending._threads)
            sending.wait_for(FLOW)
            with disk.order("hold", LOG):
                disk.wait_until_held()
                time.sleep(5)
            sending.wait_for(FLOW)
        audit("syncs that fail, and one that takes 5 s", tenant, sending.books)
        assert sending.books.rejected == set(), sending.books.unexpected
