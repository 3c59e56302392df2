"""Telemetry is acknowledged when it is on the disk: what that disk may do, and what a power cut leaves."""

import asyncio
import os
import shutil
import threading
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import ActiveSeries, Bounds, Kind
from duoscope.receiver.durability import request_log
from duoscope.receiver.durability.records import MAGIC, Reading, Record, parts_of, read
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.ingest import Accepted
from duoscope.receiver.signals import LOGS, METRICS, TRACES
from duoscope.stores.clickhouse.reader import nothing_waits

WAIT_S = 60


@pytest.fixture
def receiver(run_receiver):
    """Runs a receiver that acknowledges what is synced."""
    return partial(run_receiver, acknowledge="synced")


@pytest.fixture
async def principal(receiver, inhabited):
    async with receiver("keys") as ingest:
        return await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)


@pytest.fixture
def held_back(telemetry_store):
    """Holds INSERTs of a receiver back until it is told, so that what is synced is not stored yet."""

    @asynccontextmanager
    async def holding(ingest):
        writer, free = ingest._inserter._writer, asyncio.Event()
        insert = writer.insert

        async def later(*arguments, **options):
            await free.wait()
            await insert(*arguments, **options)

        writer.insert = later
        try:
            yield
        finally:
            writer.insert = insert
            free.set()

    return holding


def segments(folder):
    return sorted((*folder.glob("*.segment"), *folder.glob("*.growing")))


async def until(is_so):
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - files tell of nothing
            await asyncio.sleep(0.02)


async def test_an_answer_waits_for_the_disk_and_not_for_the_store(  # noqa: PLR0917
    receiver, principal, logs, counted, held_back, telemetry_store, tmp_path
):
    """And what the machine has on its disk at that moment, another process stores, once."""
    raws = [logs(f"body {n}") for n in range(5)]
    async with receiver() as ingest, held_back(ingest):
        for raw in raws:
            assert await ingest.accept(principal, LOGS, raw) == Accepted()
        assert await counted() == {}
        # The power fails here: the files as they were synced.
        shutil.copytree(tmp_path / "one", tmp_path / "cut")
    due = {f"body {n}": 3 for n in range(5)}
    assert await counted() == due
    async with receiver("cut") as ingest:
        await until(lambda: not segments(tmp_path / "cut"))
        for raw in raws:
            assert await ingest.accept(principal, LOGS, raw) == Accepted()
    assert await counted() == due
    # So are their values: of each of 15 records that it had a service.
    sql = "SELECT sum(count) AS n FROM @field_counts WHERE name = 'service'"
    assert await telemetry_store.bind(principal.scope).query(sql, name="test") == [{"n": 15}]


@pytest.mark.parametrize("content", [b"", MAGIC[:5], MAGIC], ids=len)
async def test_a_segment_without_a_request_is_nothing(receiver, tmp_path, content):
    """The process died right after it had created the file."""
    async with receiver():
        pass
    path = tmp_path / "one" / f"{new_id().hex}.growing"
    path.write_bytes(content)
    async with receiver():
        await until(lambda: not path.exists())
    assert list((tmp_path / "one").glob("*.poison")) == []


async def test_values_are_counted_again_where_a_segment_was_not_stored(  # noqa: PLR0917
    receiver, principal, logs, held_back, telemetry_store, tmp_path
):
    """Of what a process had acknowledged that is no more, and of what it could not store while it lived."""
    async with receiver() as ingest, held_back(ingest):
        await ingest.accept(principal, LOGS, logs("body"))
        shutil.copytree(tmp_path / "one", tmp_path / "cut")
        for path in (tmp_path / "one").glob("*.growing"):
            path.unlink()
        ingest._inserter.set_away(away=True)
    reader = telemetry_store.bind(principal.scope)
    sql = "SELECT sum(count) AS n FROM @field_counts WHERE name = 'service'"
    async with receiver("cut"):
        await until(lambda: not segments(tmp_path / "cut"))
    assert await reader.query(sql, name="test") == [{"n": 3}]


async def test_only_synced_bytes_are_acknowledged(receiver, principal, logs, counted, held_back, monkeypatch, tmp_path):  # noqa: PLR0917
    """A disk that keeps of each file what was synced, and nothing else, when the power fails."""
    synced, sync = {}, os.fdatasync

    def recording(file):
        path = Path(f"/proc/self/fd/{file}").readlink()
        content = path.read_bytes()  # what is appended from here on may not be on the disk
        sync(file)
        synced[path] = content

    monkeypatch.setattr(request_log.os, "fdatasync", recording)
    acknowledged = {}
    async with receiver() as ingest, held_back(ingest):

        async def send(number):
            raw = logs(f"body {number}")
            await ingest.accept(principal, LOGS, raw)
            # The power may fail as soon as the answer is there.
            assert any(raw in content for content in synced.values())
            acknowledged[f"body {number}"] = 3

        await asyncio.gather(*map(send, range(40)))
        (tmp_path / "cut").mkdir()
        for path, content in synced.items():
            (tmp_path / "cut" / path.name).write_bytes(content)
    async with receiver("cut"):
        await until(lambda: not segments(tmp_path / "cut"))
    assert await counted() == acknowledged


async def test_requests_that_wait_share_a_sync(receiver, principal, logs, counted, monkeypatch):
    syncs, sync = [], os.fdatasync
    monkeypatch.setattr(request_log.os, "fdatasync", lambda file: (syncs.append(file), sync(file)))
    async with receiver() as ingest:
        await asyncio.gather(*(ingest.accept(principal, LOGS, logs(f"body {n}")) for n in range(100)))
        assert len(syncs) < 20
    assert len(await counted()) == 100


async def test_a_sync_that_fails(receiver, principal, logs, counted, monkeypatch, tmp_path):  # noqa: PLR0917
    """It is no acknowledgement, and the same bytes again are stored once; others before and after it are not lost."""
    raw, sync = logs("refused"), os.fdatasync

    def broken(_):
        raise OSError(5, "Input/output error")

    async with receiver() as ingest:
        assert await ingest.accept(principal, LOGS, logs("before")) == Accepted()
        with monkeypatch.context() as disk:
            disk.setattr(request_log.os, "fdatasync", broken)
            with pytest.raises(DuoscopeError) as caught:
                await ingest.accept(principal, LOGS, raw)
        assert (caught.value.kind, caught.value.code) == (ErrorKind.UNAVAILABLE, "spool-unavailable")
        assert os.fdatasync is sync
        assert await ingest.accept(principal, LOGS, logs("after")) == Accepted()
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
    assert await counted() == {"before": 3, "refused": 3, "after": 3}
    assert segments(tmp_path / "one") == []


@pytest.fixture
def two_groups(principal, logs, monkeypatch):
    """Sends a request, and a second one that is appended behind it while the disk syncs the first; then the disk's
    answer. Returns the tasks of both.
    """

    @asynccontextmanager
    async def sending(ingest, *, fails):
        asked, released, sync = threading.Event(), threading.Event(), os.fdatasync

        def slow(file):
            asked.set()
            assert released.wait(WAIT_S)
            if fails:
                raise OSError(5, "Input/output error")
            sync(file)

        groups = ingest._appender._groups
        with monkeypatch.context() as disk:
            disk.setattr(request_log.os, "fdatasync", slow)
            first = asyncio.create_task(ingest.accept(principal, LOGS, logs("first")))
            assert await asyncio.to_thread(asked.wait, WAIT_S)
            second = asyncio.create_task(ingest.accept(principal, LOGS, logs("second")))
            await until(lambda: len(groups) == 2 and groups[1].is_written)
            assert not first.done()
            released.set()
            await asyncio.wait([first, second])
        yield first, second

    return sending


async def test_a_group_is_appended_while_the_one_before_is_synced(receiver, two_groups, counted):
    async with receiver() as ingest, two_groups(ingest, fails=False) as sent:
        assert [task.result() for task in sent] == [Accepted(), Accepted()]
    assert await counted() == {"first": 3, "second": 3}


async def test_a_sync_that_fails_with_a_group_behind_it(receiver, principal, two_groups, logs, counted, tmp_path):  # noqa: PLR0917
    """Neither is acknowledged, though the second could be synced: what it follows in the file is lost."""
    async with receiver() as ingest:
        assert await ingest.accept(principal, LOGS, logs("before")) == Accepted()
        async with two_groups(ingest, fails=True) as sent:
            for task in sent:
                with pytest.raises(DuoscopeError, match="cannot write to its disk"):
                    task.result()
        for body in ("second", "after", "first"):
            assert await ingest.accept(principal, LOGS, logs(body)) == Accepted()
    assert await counted() == dict.fromkeys(("before", "first", "second", "after"), 3)
    assert segments(tmp_path / "one") == []


def test_a_kernel_that_reports_a_failed_sync_once(new_scope, tmp_path, monkeypatch):
    """A later sync that the kernel calls done says nothing about the bytes before."""
    log, sync, answers = RequestLog.open(tmp_path), os.fdatasync, [OSError(5, "Input/output error")]
    record = Record(Kind.LOGS, new_scope(), new_id(), "00" * 16, now_unix_nano(), 7, Bounds(), b"x")
    segment = log.create()

    def once(file):
        if answers:
            raise answers.pop()
        sync(file)

    monkeypatch.setattr(request_log.os, "fdatasync", once)
    ends = [segment.write([record]) for _ in range(2)]
    for end in ends:
        with pytest.raises(OSError, match=r"Input/output|earlier sync"):
            segment.sync(end)
    assert segment.synced_bytes < ends[0]
    segment.abandon()
    log.close()


async def test_a_file_that_cannot_be_cut_either(receiver, principal, logs, counted, monkeypatch, tmp_path):  # noqa: PLR0917
    """Nobody knows whether the request is on the disk: it stays refused until that is decided."""
    raw = logs("refused")

    def broken(*_):
        raise OSError(5, "Input/output error")

    async with receiver() as ingest:
        with monkeypatch.context() as disk:
            disk.setattr(request_log.os, "fdatasync", broken)
            disk.setattr(RequestLog, "cut", broken)
            for _ in range(2):
                with pytest.raises(DuoscopeError, match="cannot write to its disk"):
                    await ingest.accept(principal, LOGS, raw)
        await until(lambda: not ingest._storing.undecided)
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
    assert await counted() == {"refused": 3}
    assert segments(tmp_path / "one") == []


async def test_a_sync_that_takes_long(receiver, principal, logs, counted, monkeypatch):
    """Who waits is refused, and so is who comes; when it is done, the same bytes are acknowledged as stored."""
    released, sync, raw = threading.Event(), os.fdatasync, logs("slow")
    monkeypatch.setattr(limits, "INGEST_SYNC_MAX_S", 0.1)
    async with receiver() as ingest:
        with monkeypatch.context() as disk:
            disk.setattr(request_log.os, "fdatasync", lambda file: (released.wait(WAIT_S), sync(file)))
            first = asyncio.create_task(ingest.accept(principal, LOGS, raw))
            with pytest.raises(DuoscopeError, match="cannot write to its disk"):
                await first
            with pytest.raises(DuoscopeError, match="cannot write to its disk"):
                await ingest.accept(principal, LOGS, logs("another"))
            released.set()
            await until(lambda: not ingest._appender._disk_is_slow)
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
    assert await counted() == {"slow": 3}


async def test_a_reader_of_the_same_process_sees_what_was_acknowledged(  # noqa: PLR0917
    receiver, principal, logs, counted, telemetry_store, new_scope, monkeypatch
):
    """Also of a segment that would wait for company for a day; another tenant's reader does not wait for it."""
    for limit in ("INGEST_SEGMENT_AGE_MAX_S", "INGEST_COMMIT_SHARE"):
        monkeypatch.setattr(limits, limit, 86_400.0 if limit.endswith("S") else 1e-9)
    async with receiver() as ingest:
        ingest._storing.cost_s = 1.0
        telemetry_store.read_after(ingest.settled)
        try:
            for number in range(3):
                await ingest.accept(principal, LOGS, logs(f"body {number}"))
                await telemetry_store.bind(new_scope()).query("SELECT count() AS n FROM @logs", name="test")
                assert ingest._appender._segment
                assert len(await counted()) == number + 1
        finally:
            telemetry_store.read_after(nothing_waits)


@pytest.mark.parametrize("readers_wait", [True, False])
async def test_a_small_segment_that_nobody_reads_may_wait_longer(receiver, principal, logs, monkeypatch, readers_wait):
    """Where every reader waits for it; and not once it has many rows, which a reader would wait for."""
    monkeypatch.setattr(limits, "INGEST_SEGMENT_AGE_UNREAD_MAX_S", 86_400.0)
    monkeypatch.setattr(limits, "INGEST_SEGMENT_AGE_MAX_S", 43_200.0)
    async with receiver(readers_wait=readers_wait) as ingest:
        ingest._storing.cost_s = 1e6
        await ingest.accept(principal, LOGS, logs("x"))
        small_s = ingest._appender._due_in_s()
        monkeypatch.setattr(limits, "INGEST_SEGMENT_ROWS_UNREAD_MAX", 2)
        large_s = ingest._appender._due_in_s()
    assert (small_s > 43_200) is readers_wait
    assert 0 < large_s <= 43_200


async def test_names_are_not_recorded_again_on_the_same_day(receiver, principal, otlp, logs, monkeypatch):
    """Only when a metric was seen is, at intervals; and everything after rows may have been lost."""
    monkeypatch.setattr(limits, "INGEST_CATALOGUE_PERIOD_S", 0.0)
    gathered, now = Gathering(), now_unix_nano()

    def tables(lost=False):
        metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="g")
        metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
        for signal, raw in ((LOGS, logs("x")), (METRICS, otlp.metrics("s", metric).SerializeToString())):
            digest = new_id().hex
            gathered.add(Record(signal.kind, principal.scope, new_id(), digest, now, 30, Bounds(), raw))
        if lost:
            gathered.drop()
        return sorted(insert.place for insert in gathered.take(new_id().hex).inserts if insert.of)

    metrics, series = ("metric_catalogue", "metrics"), ("metric_series", "metrics")
    all_of_them = [metrics, series, *(("telemetry_catalogue", of) for of in ("logs", "metrics"))]
    assert [tables(), tables(), tables(lost=True), tables()] == [all_of_them, [metrics], [], all_of_them]


async def test_all_signals_share_a_segment_and_a_row_of_inserts(receiver, principal, otlp, telemetry_store, tmp_path):
    now = now_unix_nano()
    metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="g")
    metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
    span = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "x", "start_time_unix_nano": now}
    messages = {
        LOGS: otlp.logs("s", {"time_unix_nano": now, "body": "b"}),
        TRACES: otlp.spans("s", span),
        METRICS: otlp.metrics("s", metric),
    }
    tokens = {}
    async with receiver() as ingest:
        insert = ingest._inserter._writer.insert

        async def noted(table, block, *, form, token):
            tokens.setdefault(table, []).append(token)
            await insert(table, block, form=form, token=token)

        ingest._inserter._writer.insert = noted
        for kind, message in messages.items():
            await ingest.accept(principal, kind, message.SerializeToString())
        assert len(segments(tmp_path / "one")) == 1
    assert sorted(tokens) == [
        "field_values", "ingest_ledger", "logs_v3", "metric_catalogue", "metric_series", "number_points",
        "telemetry_catalogue", "traces_v3",
    ]  # fmt: skip
    assert [len(tokens[table]) for table in sorted(tokens)] == [2, 1, 1, 1, 1, 1, 3, 1]
    assert len(set(tokens["telemetry_catalogue"])) == 3
    reader = telemetry_store.bind(principal.scope)
    for view in ("logs", "traces", "metrics"):
        assert await reader.query(f"SELECT count() AS n FROM @{view}", name="test") == [{"n": 1}]


def test_points_beyond_the_limit_of_series_are_refused_again(otlp, new_scope):
    """The same ones, whatever series are active when the log is read: that is what their sender was told."""
    scope, now = METRICS.request().resource_metrics.add().scope_metrics.add(), now_unix_nano()
    for name in "abcabdae":
        scope.metrics.add(name=name).gauge.data_points.add(time_unix_nano=now, as_int=1)
    raw = otlp.metrics("s", *scope.metrics).SerializeToString()
    first, again, active = Gathering(), Gathering(), ActiveSeries()
    record = Record(Kind.METRICS, new_scope(), new_id(), "0" * 32, now, 30, Bounds(series_max=2), raw)
    written = first.add(record, active)
    assert written.outcome.rejected == {"too-many-series": 3}
    (reread,) = read(MAGIC + b"".join(parts_of(written)), Reading())
    assert again.add(reread) == reread
    rows = {insert.table: insert.block for insert in first.take("token").inserts}
    assert {insert.table: insert.block for insert in again.take("token").inserts} == rows
