"""What a receiver does with segments on its disk when everything goes wrong at once."""

import asyncio
import json
import shutil
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import xxhash

from duoscope.cli import run
from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.kernel.ids import new_id
from duoscope.receiver.durability import request_log
from duoscope.receiver.durability.batch import Batch
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.ingest import Accepted
from duoscope.receiver.requests import Request
from duoscope.receiver.signals import LOGS
from duoscope.stores.clickhouse import IngestWriter

WAIT_S = 30


@pytest.fixture
def receiver(run_receiver):
    """Runs one of several receivers."""
    return partial(run_receiver, shared=True)


@pytest.fixture
async def principal(receiver, inhabited):
    async with receiver("keys") as ingest:
        return await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)


@pytest.fixture
def left_behind(principal, tmp_path):
    """Leaves a segment in a folder, as a receiver does that is killed before it answers or inserts."""

    def write(folder, *raws, of=None):
        log = RequestLog.open(tmp_path / folder)
        segment, rows = log.create(), Gathering()
        for raw, whose in zip(raws, of or [principal] * len(raws), strict=True):
            tenant = whose.scope.tenant_id.bytes
            digest = xxhash.xxh3_128_hexdigest(tenant + LOGS.name.encode() + xxhash.xxh3_128_digest(raw))
            segment.sync(segment.write([rows.add(Request(whose, LOGS, raw, digest, now_unix_nano(), None).record())]))
        segment.seal()
        log.close()
        return LeftBehind(segment.path, rows.take(segment.name))

    return write


@dataclass(frozen=True)
class LeftBehind:
    path: Path
    batch: Batch


async def until(is_so):
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - files tell of nothing
            await asyncio.sleep(0.02)


def waits(folder):
    return any(path.suffix in {".growing", ".segment", ".poison"} for path in folder.iterdir() if path.is_file())


async def test_a_ledger_that_cannot_be_asked_in_time(  # noqa: PLR0917
    receiver, principal, logs, counted, telemetry_store, monkeypatch, tmp_path
):
    """A batch that may already be stored goes to disk, and into the store only once the ledger has been asked."""
    raw = logs("x")
    async with receiver() as first:
        await first.accept(principal, LOGS, raw)
    monkeypatch.setattr(limits, "INGEST_LEDGER_MAX_S", 0.1)
    released = threading.Event()
    async with receiver() as again:
        busy = asyncio.create_task(telemetry_store._lookups.run(lambda _: released.wait(WAIT_S)))
        assert await again.accept(principal, LOGS, raw) == Accepted()
        released.set()
        await busy
        await until(lambda: not waits(tmp_path / "one"))
    assert await counted() == {"x": 3}


async def test_what_a_dead_receiver_left_is_its_own_again(receiver, principal, logs, counted, left_behind, tmp_path):  # noqa: PLR0917
    raw = logs("x")
    left_behind("one", raw)
    async with receiver() as ingest, receiver("two") as other:
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
        assert await other.accept(principal, LOGS, raw) == Accepted()
        await until(lambda: not waits(tmp_path / "one"))
    assert await counted() == {"x": 3}


async def test_what_another_receiver_took_meanwhile_is_not_acknowledged(  # noqa: PLR0917
    receiver, principal, logs, counted, left_behind, metadata_store, tmp_path
):
    """The other one may die over it as well: who acknowledges has it on its disk or in the store."""
    raws = {name: logs(name) for name in ("a", "taken", "b")}
    batch = left_behind("one", *raws.values()).batch
    other = IngestLeases(metadata_store, new_id())
    assert await other.take([batch.parts[1].key]) == {}
    async with receiver() as ingest:
        for name in ("a", "b"):
            assert await ingest.accept(principal, LOGS, raws[name]) == Accepted()
        with pytest.raises(DuoscopeError) as caught:
            await ingest.accept(principal, LOGS, raws["taken"])
        assert caught.value.code == "request-elsewhere"
        await until(lambda: not waits(tmp_path / "one"))
        assert await counted() == {"a": 3, "b": 3}
        await other.release([batch.parts[1].key])
        assert await ingest.accept(principal, LOGS, raws["taken"]) == Accepted()
    assert await counted() == {"a": 3, "b": 3, "taken": 3}


async def test_everything_was_taken_meanwhile(  # noqa: PLR0917
    receiver, principal, logs, counted, left_behind, metadata_store, tmp_path
):
    batch = left_behind("one", logs("x")).batch
    await IngestLeases(metadata_store, new_id()).take([part.key for part in batch.parts])
    async with receiver():
        await until(lambda: not waits(tmp_path / "one"))
    assert await counted() == {}


async def test_what_was_stored_before_is_left_out_of_every_attempt(  # noqa: PLR0917
    receiver, principal, logs, counted, left_behind, monkeypatch, tmp_path
):
    """Another receiver stored one of two requests, and the store fails the first time that the rest is inserted."""
    raws = {name: logs(name) for name in ("stored", "rest")}
    async with receiver("two") as other:
        await other.accept(principal, LOGS, raws["stored"])
    left_behind("one", *raws.values())
    insert, failed = IngestWriter.insert, []

    async def failing(self, table, *arguments, **options):
        if table == "ingest_ledger" and len(failed) <= len(limits.INGEST_INSERT_RETRY_PAUSES_S):
            failed.append(table)
            raise unavailable("Not now.", code="telemetry-store-unavailable", retry_after_s=1)
        await insert(self, table, *arguments, **options)

    monkeypatch.setattr(IngestWriter, "insert", failing)
    async with receiver() as ingest:
        # While the store is away, the ledger is not asked.
        await until(lambda: not waits(tmp_path / "one") and not ingest._storing._inserter.is_away)
        assert await ingest.accept(principal, LOGS, raws["stored"]) == Accepted()
    assert len(failed) > len(limits.INGEST_INSERT_RETRY_PAUSES_S)
    assert await counted() == {"stored": 3, "rest": 3}


async def test_a_segment_that_is_just_created_is_no_leftover(receiver, principal, logs, counted, monkeypatch):
    """The folder is looked through for files that an operator put back, at any moment."""
    async with receiver() as ingest:
        loop, sync_folder = asyncio.get_running_loop(), request_log._sync_folder

        def looked_at_first(folder):
            asyncio.run_coroutine_threadsafe(ingest._storing._look(), loop).result(WAIT_S)
            ingest._storing._look_at = 0.0
            loop.call_soon_threadsafe(ingest._storing._job.activate)
            sync_folder(folder)

        monkeypatch.setattr(request_log, "_sync_folder", looked_at_first)
        for number in range(3):
            assert await ingest.accept(principal, LOGS, logs(f"body {number}")) == Accepted()
    assert await counted() == {f"body {number}": 3 for number in range(3)}


async def test_the_ledger_is_asked_for_any_number_of_requests(receiver, principal, logs, telemetry_store):
    raw = logs("x")
    async with receiver() as ingest:
        await ingest.accept(principal, LOGS, raw)
    digest = xxhash.xxh3_128_hexdigest(
        principal.scope.tenant_id.bytes + LOGS.name.encode() + xxhash.xxh3_128_digest(raw)
    )
    place = (str(principal.scope.workspace_id), str(principal.scope.tenant_id))
    asked = [*((*place, new_id().hex) for _ in range(2500)), (*place, digest)]
    found = await telemetry_store.ingest().stored(asked, since_ns=now_unix_nano() - 60 * 10**9)
    assert list(found) == [(place[1], digest)]


async def test_a_table_that_is_gone_for_a_while(receiver, principal, logs, counted, telemetry_store, tmp_path):  # noqa: PLR0917
    """An account without rights, a table that is missing: nothing is wrong with the batch, and nothing set aside."""
    recorder = telemetry_store.records()._run
    await recorder(lambda client: client.command("DETACH TABLE logs_v3"))
    try:
        async with receiver() as ingest:
            assert await ingest.accept(principal, LOGS, logs("x")) == Accepted()
            with pytest.raises(DuoscopeError, match=r"down since 20.* UTC\. .* 1 batches \([1-9][0-9,]* bytes\) wait"):
                await ingest.ready()
            await recorder(lambda client: client.command("ATTACH TABLE logs_v3"))
            await until(lambda: not waits(tmp_path / "one"))
            await until(lambda: not ingest._inserter.is_away)
            await ingest.ready()
    finally:
        await recorder(lambda client: client.command("ATTACH TABLE IF NOT EXISTS logs_v3"))
    assert await counted() == {"x": 3}


async def test_a_file_that_cannot_be_read_holds_up_no_other(receiver, principal, logs, counted, left_behind, tmp_path):  # noqa: PLR0917
    """A bad sector, here a folder of the name; and copies of an operator's, which are not the receiver's."""
    path = left_behind("one", logs("x")).path
    folder = tmp_path / "one"
    (folder / f"{'0' * 32}.segment").mkdir()
    shutil.copy(path, folder / "copy.segment")
    shutil.copy(path, folder / f"{path.stem}.copy.segment")
    async with receiver():
        await until(lambda: not path.exists())
    assert (folder / "copy.segment").exists()
    assert await counted() == {"x": 3}


async def test_a_damaged_file_on_a_disk_without_room(receiver, principal, logs, counted, left_behind, tmp_path):  # noqa: PLR0917
    """No word can be written on why it was set aside; it is set aside all the same, and the next one inserted."""
    damaged, sound = left_behind("one", logs("lost")).path, left_behind("one", logs("x")).path
    damaged.write_bytes(b"?" + damaged.read_bytes()[1:])
    damaged.with_suffix(".why").mkdir()  # cannot be written to
    async with receiver():
        await until(damaged.with_suffix(".poison").exists)
        await until(lambda: not sound.exists())
    assert await counted() == {"x": 3}


async def test_a_damaged_request_among_sound_ones(receiver, principal, logs, counted, left_behind, tmp_path):  # noqa: PLR0917
    """The others are inserted, and it is kept for whoever can mend it."""
    path = left_behind("one", logs("a"), logs("damaged"), logs("b")).path
    path.write_bytes(path.read_bytes().replace(b"damaged", b"changed"))
    async with receiver() as ingest:
        await until(lambda: not path.exists())
        assert await counted() == {"a": 3, "b": 3}
        (damaged,) = (tmp_path / "one").glob("*.poison")
        assert path.stem in damaged.with_suffix(".why").read_text()
        damaged.write_bytes(damaged.read_bytes().replace(b"changed", b"damaged"))
        RequestLog.look(tmp_path / "one").release(damaged)
        await looked(ingest)
        await until(lambda: not waits(tmp_path / "one"))
    assert await counted() == {"a": 3, "damaged": 3, "b": 3}


async def test_a_last_write_that_was_torn(receiver, principal, logs, counted, left_behind, tmp_path):  # noqa: PLR0917
    """It was never acknowledged, and its sender sends it again."""
    raw = logs("torn")
    path = left_behind("one", logs("a"), raw).path
    path.with_suffix(".growing").write_bytes(path.read_bytes()[: -len("END\n") - 10])
    path.unlink()
    async with receiver() as ingest:
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
        await until(lambda: not waits(tmp_path / "one"))
    assert await counted() == {"a": 3, "torn": 3}


async def test_what_a_version_before_the_log_left(receiver, principal, logs, counted, left_behind, tmp_path):  # noqa: PLR0917
    """Batches of rows, of which one was torn."""
    raw = logs("x")
    left = left_behind("one", raw)
    left.path.unlink()
    landed = tmp_path / "one" / f"{left.batch.token}.spooled"
    landed.write_bytes(landed_file(left.batch))
    torn = tmp_path / "one" / f"{new_id().hex}.batch"
    torn.write_bytes(landed_file(left.batch)[:-1])
    async with receiver() as ingest:
        await until(lambda: not landed.exists() and torn.with_suffix(".poison").exists())
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
    assert await counted() == {"x": 3}


def landed_file(batch):
    """A batch as version 1 wrote it."""
    parts = [
        [p.workspace_id, p.tenant_id, p.digest, p.rows, p.outcome.items, p.outcome.stored, p.outcome.reasons]
        for p in batch.parts
    ]
    head = json.dumps({
        "token": batch.token,
        "received_ns": batch.received_ns,
        "inserts": [[i.table, i.form, len(i.block)] for i in batch.inserts],
        "parts": parts,
    }).encode()  # fmt: skip
    start = b"DUOBATCH2\n" + len(head).to_bytes(8, "big") + head
    content = start + xxhash.xxh3_128_digest(start) + b"".join(i.block for i in batch.inserts)
    return content + xxhash.xxh3_128_digest(content)


async def test_requests_of_clients_that_went_away_count_until_they_are_stored(receiver, principal, logs):
    """Else who hangs up at once, again and again, fills the memory while the store is slow."""
    async with receiver() as ingest:
        raw = logs("x" * 10_000)
        task = asyncio.create_task(ingest.accept(principal, LOGS, raw))
        await asyncio.sleep(0)
        request = next(iter(ingest._waiting.values()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ingest.budget._held == len(raw)
        await request.done
        await asyncio.sleep(0)
        assert ingest.budget._held == 0


async def test_a_store_that_answers_nonsense(  # noqa: PLR0917
    receiver, principal, logs, counted, telemetry_store, monkeypatch, tmp_path
):
    """An error that nobody foresaw, in the middle of a batch: it goes on under the same token."""
    async with receiver() as ingest:
        insert = ingest._inserter._writer.insert
        failed = []

        async def unforeseen(table, block, **options):
            if table == "ingest_ledger" and not failed:
                failed.append(table)
                raise RuntimeError("nobody foresaw this")
            await insert(table, block, **options)

        monkeypatch.setattr(ingest._inserter._writer, "insert", unforeseen)
        raw = logs("x")
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
        await until(lambda: not waits(tmp_path / "one"))
        assert await ingest.accept(principal, LOGS, raw) == Accepted()
    assert failed
    assert await counted() == {"x": 3}


async def test_a_store_that_died_between_the_ledger_and_what_is_counted_from_it(  # noqa: PLR0917
    receiver, principal, counted, left_behind, logs, telemetry_store, tmp_path
):
    """The requests are in the ledger, which is not to say that usage has them."""
    recorder = telemetry_store.records()._run
    raw = logs("x")
    batch = left_behind("one", raw).batch
    await recorder(lambda client: client.command("DETACH TABLE ingest_ledger_to_ingest_usage_hourly"))
    try:
        for insert in batch.inserts:
            await telemetry_store.ingest().insert(
                insert.table, insert.block, form=insert.form, token=batch.token_of(insert)
            )
    finally:
        await recorder(lambda client: client.command("ATTACH TABLE ingest_ledger_to_ingest_usage_hourly"))
    async with receiver() as ingest:
        await until(lambda: not waits(tmp_path / "one"))
        await ingest.accept(principal, LOGS, raw)
    sql = "SELECT sum(requests) AS requests, sum(stored) AS stored FROM @usage_hourly"
    assert await telemetry_store.bind(principal.scope).query(sql, name="test") == [{"requests": 1, "stored": 3}]
    assert await counted() == {"x": 3}


@pytest.fixture
def spool_command(tmp_path, capsys, monkeypatch):
    """Runs `duoscope admin spool` beside the receiver `one`."""
    monkeypatch.chdir(tmp_path)

    def said(*arguments, code=0):
        (tmp_path / "data").mkdir(exist_ok=True)
        if not (tmp_path / "data" / "ingest").is_symlink():
            (tmp_path / "data" / "ingest").symlink_to(tmp_path / "one")
        assert run(["admin", "spool", *arguments, "--data-dir", str(tmp_path / "data")]) == code
        return capsys.readouterr()

    return said


async def test_a_batch_that_the_store_refuses(  # noqa: PLR0917
    receiver, principal, logs, counted, telemetry_store, tmp_path, spool_command, left_behind, metadata_store, inhabit
):
    """Of all tenants, whatever is in it: it is set aside, listed, shown, and replayed once the cause is mended."""
    recorder = telemetry_store.records()._run
    (tmp_path / "one").mkdir()
    assert "Nothing waits" in (await asyncio.to_thread(spool_command, "list")).out
    await recorder(lambda client: client.command("ALTER TABLE logs_v3 ADD CONSTRAINT sober CHECK body != 'refused'"))
    async with receiver("keys") as ingest:
        other = await ingest.authenticate({"x-api-key": (await inhabit(metadata_store, "two")).key.api_key}, LOGS)
    left_behind("one", logs("refused"), logs("refused"), of=[principal, other])
    async with receiver() as ingest:
        try:
            await until(lambda: [*(tmp_path / "one").glob("*.poison")])
            assert await ingest.accept(principal, LOGS, logs("x")) == Accepted()
            await ingest.ready()
            (path,) = (tmp_path / "one").glob("*.poison")
            listed = (await asyncio.to_thread(spool_command, "list")).out
            assert path.stem in listed
            assert "poison" in listed
            assert "sober" in listed
            shown = (await asyncio.to_thread(spool_command, "show", path.stem)).out
            assert f"{principal.scope.tenant_id}  1         3" in shown
            shown = json.loads((await asyncio.to_thread(spool_command, "show", path.stem, "--json")).out)
            assert (shown["state"], shown["tenants"][0]["items"]) == ("poison", 3)
            # Still refused: it is set aside once more.
            await asyncio.to_thread(spool_command, "replay", path.stem)
            await looked(ingest)
            await until(path.exists)
        finally:
            await recorder(lambda client: client.command("ALTER TABLE logs_v3 DROP CONSTRAINT sober"))
        assert await counted() == {"x": 3}
        assert "poison batch" in (await asyncio.to_thread(spool_command, "replay", path.stem, "0" * 32, code=1)).err
        assert path.exists()
        await asyncio.to_thread(spool_command, "replay", "--all")
        await looked(ingest)
        await until(lambda: not waits(tmp_path / "one"))
    assert await counted() == {"x": 3, "refused": 3}


async def looked(ingest):
    """As the receiver does every ten seconds."""
    await ingest._storing._look()
    ingest._storing._job.activate()


async def test_a_torn_batch_is_shown_and_dropped(receiver, logs, left_behind, tmp_path, spool_command):
    path = left_behind("one", logs("x")).path
    path.write_bytes(b"torn")
    async with receiver():
        await until(path.with_suffix(".poison").exists)
        shown = (await asyncio.to_thread(spool_command, "show", path.stem)).out
        assert "torn or was changed" in shown
        assert "cannot be read" in shown
        assert "None" not in shown
        await asyncio.to_thread(spool_command, "drop", "--yes", path.stem)
        assert not waits(tmp_path / "one")
        assert "batch" in (await asyncio.to_thread(spool_command, "show", path.stem, code=1)).err
