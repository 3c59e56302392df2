"""Hostile clients of the API's port, and their effects on another tenant: none of its calls is refused.

How slow its calls become is printed. Only `make faults` asserts it, since other machines may be busy.
"""

import itertools
from contextlib import contextmanager

import bystander
import harness
import httpx
import pytest

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import LOGS

READS = 200 if harness.THOROUGH else 24
SILENT = 20_800 if harness.THOROUGH else 1_000
HALF = 300 if harness.THOROUGH else 30
UNREAD = 20 if harness.THOROUGH else 6
LARGE = 200 if harness.THOROUGH else 12
SEARCHES = 14 if harness.THOROUGH else 4
SEARCHED = 200_000 if harness.THOROUGH else 5_000
SLOWER_MAX = 2.0
ALLOWANCE_MS = 100
"""For a call that takes ten milliseconds: of two cores, one query and one INSERT of somebody else's take both."""
_names = itertools.count(1)


@pytest.fixture(scope="module")
def up(start_up):
    """API, receiver and engines in one process, which share its files, its memory and its event loop."""
    with start_up() as made:
        yield made
        made.stop()


@pytest.fixture(scope="module")
def stranger(up):
    return harness.made_tenant(up, "stranger")


@pytest.fixture
def harmed(up, load, audit, feel):
    """Somebody uses the API in peace, then in the company of strangers; writes the row, and looks for what he sent."""

    @contextmanager
    def harming(act, kind, count, token="", *, once_ready=False, is_bounded=True):
        tenant = harness.made_tenant(up, f"bystander{next(_names)}")
        with load(tenant, [up], senders=2, pause_s=bystander.PAUSE_S) as sent:
            sent.wait_for(3)
            with bystander.Bystander(tenant, up.api_url, sent) as he:
                he.wait_for(READS)
                he.harm_begins()
                with bystander.strangers(kind, up.api_port, count, token) as processes:
                    if once_ready:
                        he.harm_is_under_way()
                    he.wait_for(READS)
                    yield processes
        row = he.felt(act)
        feel(row)
        audit(act, tenant, sent.books)
        assert row.refused == 0, [*he.refused, *sent.books.unexpected]
        if harness.THOROUGH and is_bounded:
            assert row.p99_during <= SLOWER_MAX * row.p99_before + ALLOWANCE_MS, row

    return harming


def token_of(tenant):
    with tenant.api() as api:
        return api.headers["authorization"].removeprefix("Bearer ")


def send(up, tenant, request):
    headers = {"content-type": "application/x-protobuf", "x-api-key": tenant.key}
    answer = httpx.post(
        f"{up.otlp_url}{LOGS.http_path}", content=request.SerializeToString(), headers=headers, timeout=60
    )
    assert (answer.status_code, answer.content) == (200, b""), answer.text


def test_sockets_that_say_nothing(harmed):
    """S1: held, and a hundred a second opened again in place of those that were closed."""
    with harmed(f"{SILENT:,} sockets of one byte", "silent", SILENT, once_ready=True):
        pass


def test_sockets_are_opened_as_fast_as_they_can_be(harmed):
    """S1, from the first of them: two thousand new connections a second cost half a core of the two, whoever pays."""
    with harmed(f"{SILENT:,} sockets opened at once", "silent", SILENT, is_bounded=False):
        pass


def test_halves_of_requests(harmed):
    """S2: they are closed, in less time than a browser keeps a tab waiting."""
    with harmed(f"{HALF} requests half sent", "half", HALF) as processes:
        if harness.THOROUGH:
            for process in processes:
                said, seconds = process.stdout.readline().split()
                assert said == "closed"
                assert float(seconds) < 2 * limits.HTTP_BODY_PAUSE_MAX_S + limits.HTTP_DISCARD_MAX_S


def test_large_answers_that_nobody_reads(harmed, up, stranger, otlp):
    """S3."""
    body = "x" * limits.INGEST_BODY_BYTES_MAX
    for start in range(0, LARGE, 4):
        records = ({"time_unix_nano": now_unix_nano(), "body": f"{n}{body[8:]}"} for n in range(start, start + 4))
        send(up, stranger, otlp.logs("large", *records))
    with harmed(f"{UNREAD} answers of 8 MiB that are not read", "unread", UNREAD, token_of(stranger)):
        pass


def test_searches_for_many_patterns(harmed, up, stranger, otlp):
    """S4: as many as a tenant may start, each of as many terms with a * as one may have."""
    for start in range(0, SEARCHED, 5_000):
        records = (
            {"time_unix_nano": now_unix_nano(), "body": f"record {n} of a long tale of a cab at a bar {n:050}"}
            for n in range(start, start + 5_000)
        )
        send(up, stranger, otlp.logs("many", *records))
    with harmed(f"{SEARCHES} searches of 20 patterns at once", "searches", SEARCHES, token_of(stranger)):
        pass
