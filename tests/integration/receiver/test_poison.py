"""An item that ClickHouse refuses affects nothing else: neither its own request nor another tenant's."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import xxhash
from prometheus_client import REGISTRY

from duoscope.background.driver import Driver
from duoscope.cli import run
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Kind
from duoscope.receiver.durability import sifting
from duoscope.receiver.durability.batch import split_token, whole_token
from duoscope.receiver.durability.inserter import Inserter
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.durability.sifting import REFUSED
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.requests import Request
from duoscope.receiver.signals import LOGS, METRICS, TRACES
from duoscope.stores.clickhouse import RejectedByStoreError

WAIT_S = 60
SPANS = 4
CONSTRAINTS = {
    "base": ("traces_v3", "span_name != 'poison'"),
    "view": ("span_figures", "span_name != 'poison'"),
    "other view": ("trace_summaries_v3", "date != '2020-01-01' AND NOT has(service_names, 'poison')"),
}


@pytest.fixture
def refusing(telemetry_store):
    """Lets a table of the real engine refuse rows that nobody foresaw."""

    @asynccontextmanager
    async def constraint(table, check):
        run_sql = telemetry_store.records()._run
        await run_sql(lambda client: client.command(f"ALTER TABLE {table} ADD CONSTRAINT sober CHECK {check}"))
        try:
            yield
        finally:
            await run_sql(lambda client: client.command(f"ALTER TABLE {table} DROP CONSTRAINT sober"))

    return constraint


@pytest.fixture
async def principals(metadata_store, telemetry_store, hasher, secret_keys, inhabit, tmp_path):  # noqa: PLR0917
    """Principals of three tenants."""
    log = RequestLog.open(tmp_path / "keys")
    ingest = Ingest(telemetry_store, ApiKeyVerifier(metadata_store, hasher, secret_keys), log, driver=Driver())
    await ingest.start()
    people = [await inhabit(metadata_store, name) for name in ("poisoner", "one", "two")]
    found = [await ingest.authenticate({"x-api-key": each.key.api_key}, TRACES) for each in people]
    await ingest.close()
    return found


@pytest.fixture
def spans(otlp):
    """A request of four spans, one of which may be poisoned."""

    def build(poisoned=False):
        trace_id, now = new_id().bytes, now_unix_nano()
        names = ["a", "poison" if poisoned else "b", "c", "d"]
        made = (
            {
                "trace_id": trace_id,
                "span_id": bytes([n + 1]) * 8,
                "name": name,
                "start_time_unix_nano": now,
                "end_time_unix_nano": now + 1000,
            }
            for n, name in enumerate(names)
        )
        request = otlp.spans("s", *made)
        if poisoned:
            # By itself, in a trace and of a service of its own.
            other = otlp.spans("poison", {}).resource_spans[0]
            other.scope_spans[0].spans[0].CopyFrom(request.resource_spans[0].scope_spans[0].spans.pop(1))
            other.scope_spans[0].spans[0].trace_id = new_id().bytes
            request.resource_spans.append(other)
        return request.SerializeToString()

    return build


@pytest.fixture
def requests_of(principals, spans):
    """Requests of all tenants in turn, of which every tenth is poisoned and of the first."""

    def make(count=20, signal=TRACES, build=spans):
        made = []
        for number in range(count):
            poisoned = number % 10 == 3
            who = principals[0] if poisoned else principals[number % 3]
            raw = build(poisoned)
            digest = xxhash.xxh3_128_hexdigest(who.scope.tenant_id.bytes + signal.name.encode() + raw)
            done = asyncio.get_running_loop().create_future()
            made.append(Request(who, signal, raw, digest, now_unix_nano(), done))
        return made

    return make


@pytest.fixture
def receiver(run_receiver):
    """Runs a receiver whose log is in the folder `log`."""
    return partial(run_receiver, "log")


async def commit(receiver, requests):
    """Append requests as one group, and wait until all are answered."""
    for request in requests:
        receiver._appender.submit(request)
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*(request.done for request in requests))


def left_behind(folder, requests):
    """Writes the segment of a receiver that is killed before it inserts; its path and its rows."""
    log = RequestLog.open(folder)
    segment, rows = log.create(), Gathering()
    segment.sync(segment.write([rows.add(request.record()) for request in requests]))
    segment.seal()
    log.close()
    return segment.path, rows.take(segment.name)


async def is_done(folder):
    async with asyncio.timeout(WAIT_S):
        while [*folder.glob("*.segment"), *folder.glob("*.growing")]:  # noqa: ASYNC110 - files tell of nothing
            await asyncio.sleep(0.02)


@pytest.fixture
def there(telemetry_store, principals):
    """The stored items of a tenant, by table and view."""

    async def count(principal):
        reader = telemetry_store.bind(principal.scope)
        sql = {
            "spans": "SELECT count() AS n FROM @traces WHERE span_name != 'poison'",
            "of traces": "SELECT sum(span_count) AS n FROM @trace_summaries WHERE NOT has(service_names, 'poison')",
            "figures": "SELECT sum(count) AS n FROM @figures WHERE span_name != 'poison'",
            "usage": "SELECT sum(stored) AS n FROM @usage_hourly",
            "rejected": f"SELECT sum(items) AS n FROM @rejections WHERE reason = '{REFUSED}'",
        }
        return {name: (await reader.query(each, name="test"))[0]["n"] for name, each in sql.items()}

    return count


async def has_what_was_sound(there, requests, principals):
    for who in principals:
        mine = [request for request in requests if request.principal is who]
        poisoned = sum(b"poison" in request.raw for request in mine)
        sound = SPANS * len(mine) - poisoned
        found = await there(who)
        assert found == {**dict.fromkeys(("spans", "of traces", "figures", "usage"), sound), "rejected": poisoned}


@pytest.mark.parametrize("where", CONSTRAINTS)
async def test_a_poisoned_item_among_strangers(receiver, requests_of, refusing, there, principals, where, tmp_path):  # noqa: PLR0917
    requests = requests_of()
    async with refusing(*CONSTRAINTS[where]), receiver() as made:
        await commit(made, requests)
    for request in requests:
        outcome = request.done.result()
        assert outcome.rejected == ({REFUSED: 1} if b"poison" in request.raw else {})
        assert outcome.stored + sum(outcome.rejected.values()) == outcome.items == SPANS
    await has_what_was_sound(there, requests, principals)
    assert not [path for path in (tmp_path / "log").iterdir() if path.suffix in {".growing", ".segment", ".poison"}]


@pytest.mark.parametrize("where", CONSTRAINTS)
async def test_a_process_that_dies_over_it(  # noqa: PLR0917
    receiver, requests_of, refusing, there, principals, where, telemetry_store, tmp_path
):
    """At any moment: after the refusal, when some tables have rows; and after what was left is in."""
    requests = requests_of()
    writer = telemetry_store.ingest()
    path, batch = left_behind(tmp_path / "log", requests)
    async with refusing(*CONSTRAINTS[where]):
        insert = batch.insert_at(("traces_v3", ""))
        with pytest.raises(RejectedByStoreError):
            await writer.insert("traces_v3", insert.block, form=insert.form, token=batch.token)
        copy = path.read_bytes()
        for _ in range(2):
            async with receiver():
                await is_done(tmp_path / "log")
            # It died before the file was gone.
            path.write_bytes(copy)
        path.unlink()
    await has_what_was_sound(there, requests, principals)
    assert [*(tmp_path / "log").glob("*.poison")] == []


async def test_what_was_set_aside_goes_the_same_way(  # noqa: PLR0917
    receiver, requests_of, refusing, there, principals, telemetry_store, tmp_path
):
    """A batch set aside by an earlier version for one of its items: `duoscope admin spool replay` inserts all
    others.
    """
    requests = requests_of()
    folder = tmp_path / "log"
    path, _ = left_behind(folder, requests)
    path = RequestLog.look(folder).set_aside(path, "refused")
    (tmp_path / "ingest").symlink_to(folder)
    async with refusing(*CONSTRAINTS["view"]):
        assert await asyncio.to_thread(run, ["admin", "spool", "replay", path.stem, "--data-dir", str(tmp_path)]) == 0
        async with receiver():
            await is_done(folder)
    await has_what_was_sound(there, requests, principals)
    assert [*folder.glob("*.poison")] == []


async def test_points_and_their_catalogues(receiver, requests_of, refusing, principals, telemetry_store, otlp):  # noqa: PLR0917
    """A metric whose name no rollup takes, and one that the catalogue does not take."""

    def build(poisoned):
        metrics = [METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add() for _ in range(2)]
        for name, metric in zip(("sound", "poison" if poisoned else "sound too"), metrics, strict=True):
            metric.name = name
            metric.gauge.data_points.add(time_unix_nano=now_unix_nano(), as_int=1)
        return otlp.metrics("s", *metrics).SerializeToString()

    for table in ("metrics_v3_hourly", "metric_catalogue"):
        requests = requests_of(20, METRICS, build)
        async with refusing(table, "metric_name != 'poison'"), receiver() as made:
            await commit(made, requests)
        rejected = sum(sum(request.done.result().rejected.values()) for request in requests)
        assert rejected == (2 if table == "metrics_v3_hourly" else 0)
    for who in principals:
        sql = "SELECT sum(count) AS n FROM @metrics_hourly WHERE metric_name != 'poison'"
        (row,) = await telemetry_store.bind(who.scope).query(sql, name="test")
        mine = sum(2 for request in requests if request.principal is who)
        poison = sum(b"poison" in request.raw for request in requests if request.principal is who)
        assert row["n"] == 2 * (mine - poison)


async def test_an_error_that_nobody_foresaw_is_counted_and_loses_nothing(  # noqa: PLR0917
    receiver, requests_of, refusing, there, principals, tmp_path, monkeypatch
):
    def errors():
        return REGISTRY.get_sample_value("duoscope_ingest_batch_errors_total")

    def fail(*_):
        raise ZeroDivisionError

    requests, before = requests_of(), errors()
    async with refusing(*CONSTRAINTS["base"]), receiver() as made, asyncio.timeout(WAIT_S):
        with monkeypatch.context() as broken:
            broken.setattr(sifting, "only_rows", fail)
            await commit(made, requests)
            while errors() < before + 2:  # at once, and again from the disk  # noqa: ASYNC110 - counters tell nobody
                await asyncio.sleep(0.02)
            assert [*(tmp_path / "log").glob("*.segment")]
        while [*(tmp_path / "log").glob("*.segment")]:  # noqa: ASYNC110 - files tell of nothing
            await asyncio.sleep(0.02)
    assert [request.done.result().items for request in requests] == [SPANS] * len(requests)
    await has_what_was_sound(there, requests, principals)
    assert not [*(tmp_path / "log").glob("*.poison")]


async def test_a_table_that_refuses_everything_holds_up_its_own_signal_alone(  # noqa: PLR0917
    receiver, requests_of, refusing, there, principals, telemetry_store, otlp, tmp_path
):
    """Records of two tenants are refused one and all; spans of the same segment are stored, and counted."""

    def records(_):
        return otlp.logs("s", {"time_unix_nano": now_unix_nano(), "body": "x"}).SerializeToString()

    async def counted():
        readers = [telemetry_store.bind(who.scope) for who in principals]
        sql = "SELECT (SELECT count() FROM @logs) AS logs, (SELECT sum(stored) FROM @usage_hourly) AS usage"
        found = [(await reader.query(sql, name="test"))[0] for reader in readers]
        return [sum(row[name] for row in found) for name in ("logs", "usage")]

    folder = tmp_path / "log"
    spans, logs = requests_of(3), requests_of(3, LOGS, records)
    path, batch = left_behind(folder, [*spans, *logs])
    # It was killed after the first of its INSERTs.
    await Inserter(telemetry_store.ingest()).insert(replace(batch, inserts=batch.inserts[:1]))
    async with refusing("logs_v3", "body != 'x'"), receiver() as made:
        await is_done(folder)
        assert await counted() == [0, 3 * SPANS]
        await has_what_was_sound(there, spans, principals)
        (aside,) = folder.glob("*.poison")
        assert aside.stem != path.stem
        (tmp_path / "ingest").symlink_to(folder)
        assert await asyncio.to_thread(run, ["admin", "spool", "replay", aside.stem, "--data-dir", str(tmp_path)]) == 0
        await made._storing._look()
        made._storing._job.activate()
        await is_done(folder)
        assert await counted() == [0, 3 * SPANS], "they are refused once more"
    assert await asyncio.to_thread(run, ["admin", "spool", "replay", aside.stem, "--data-dir", str(tmp_path)]) == 0
    async with receiver():
        await is_done(folder)
    assert await counted() == [3, 3 * SPANS + 3]
    assert [*folder.glob("*.poison")] == []


def test_what_is_split_off_a_segment_keeps_the_tokens_of_its_items():
    token = new_id().hex
    aside = split_token(token, Kind.METRICS)
    assert whole_token(aside) == whole_token(token) == token
    assert len({aside, token, split_token(token, Kind.LOGS)}) == 3
