"""The same bytes again are stored once, in every table that an INSERT reaches: the engine's part and the receiver's."""

import asyncio
import re

import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Decoder
from duoscope.receiver.durability.batch import Batch, Insert, Part
from duoscope.receiver.durability.judged import of_requests
from duoscope.receiver.durability.records import FORMER_MAGIC, MAGIC
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.requests import Request
from duoscope.receiver.signals import LOGS, METRICS, SIGNALS, TRACES
from duoscope.stores.clickhouse import FORMER

DAY_NS = 86_400 * 10**9
_COLUMNS_OF_THE_TENANT = "organization_id, workspace_id, tenant_id"


@pytest.fixture
def query(telemetry_store):
    """Any SQL, past the views."""

    async def run(sql):
        return await telemetry_store._readers.run(lambda client: client.query(sql).result_rows)

    return run


@pytest.fixture
async def reached(query):
    """Every table that keeps tenants' telemetry, with the word that reads it as merged."""
    rows = await query(
        "SELECT name, engine FROM system.tables WHERE database = 'duoscope' AND engine LIKE '%MergeTree' "
        "AND has_own_data AND name IN (SELECT table FROM system.columns WHERE name = 'tenant_id')"
    )
    return {name: "" if engine == "MergeTree" else "FINAL" for name, engine in rows}


@pytest.fixture
def writer(telemetry_store):
    return telemetry_store.ingest()


@pytest.fixture
def content(query, reached):
    """All rows of a tenant, by table."""

    async def of(scope):
        found = {}
        for table, final in reached.items():
            rows = await query(
                f"SELECT count(), sum(cityHash64(* EXCEPT ({_COLUMNS_OF_THE_TENANT}))) FROM "
                f"(SELECT * FROM {table} {final} WHERE tenant_id = '{scope.tenant_id}')"
            )
            if rows[0][0]:
                found[table] = rows[0]
        return found

    return of


@pytest.fixture
def requests(otlp):
    """A request of each signal: all types of metrics, several days, ids, exemplars."""

    def make(seed=0):
        now = now_unix_nano()
        times = [now - day * DAY_NS - seed for day in (0, 1, 5)]
        spans = otlp.spans(
            "s",
            *(
                {"trace_id": b"t" * 16, "span_id": bytes([n + 1]) * 8, "name": f"x{n}", "start_time_unix_nano": t}
                for n, t in enumerate(times)
            ),
        )
        records = otlp.logs("s", *({"time_unix_nano": t, "body": "b", "trace_id": b"t" * 16} for t in times))
        scope = METRICS.request().resource_metrics.add().scope_metrics.add()
        for t in times:
            point = scope.metrics.add(name="g").gauge.data_points.add(time_unix_nano=t, as_int=1)
            point.exemplars.add(time_unix_nano=t, as_double=2)
            for monotonic in (False, True):
                total = scope.metrics.add(name=f"t{monotonic}").sum
                total.aggregation_temporality, total.is_monotonic = 2, monotonic
                total.data_points.add(time_unix_nano=t, as_double=3)
            for name in ("histogram", "exponential_histogram"):
                data = getattr(scope.metrics.add(name=name), name)
                data.aggregation_temporality = 1
                data.data_points.add(time_unix_nano=t, count=1, sum=1.0)
            scope.metrics.add(name="s").summary.data_points.add(time_unix_nano=t, count=1)
        return {TRACES: spans, LOGS: records, METRICS: otlp.metrics("s", *scope.metrics)}

    return make


def batch_of(kind, raw, scope, token, received_ns):
    """The batch that a receiver makes of one request."""
    decoder = Decoder(kind.kind)
    before = decoder.rows()
    outcome = decoder.add(raw, scope, 30, now_ns=received_ns)
    rows = {table: (before[table], end) for table, end in decoder.rows().items() if end}
    inserts = [Insert(block.table, "Native", block.native) for block in decoder.blocks()]
    digest = new_id().hex
    ledger = (
        f'{{"organization_id":"{scope.organization_id}","workspace_id":"{scope.workspace_id}",'
        f'"tenant_id":"{scope.tenant_id}","digest":"{digest}","received_at":"{received_ns / 1e9:.3f}",'
        f'"signal":"{kind.name}","api_key_id":"{scope.tenant_id}","bytes":{len(raw)},"items":{outcome.items},'
        f'"stored":{outcome.stored},"rejected":{{"no-value":1}}}}'
    )
    inserts += of_requests(ledger.encode())
    part = Part(str(scope.workspace_id), str(scope.tenant_id), digest, outcome, rows)
    return Batch(token, received_ns, (part,), tuple(inserts))


@pytest.mark.parametrize("kind", SIGNALS, ids=lambda kind: kind.name)
async def test_tokens_hold_in_every_table_and_view(writer, new_scope, requests, content, query, kind):  # noqa: PLR0917
    """Each INSERT once, twice, and a batch that broke off after any of its INSERTs and was begun anew."""
    raw, now = requests()[kind].SerializeToString(), now_unix_nano()
    once, again = new_scope(), new_scope()
    single, repeated = (batch_of(kind, raw, scope, new_id().hex, now) for scope in (once, again))
    for insert in single.inserts:
        await writer.insert(insert.table, insert.block, form=insert.form, token=single.token)
    for breaks_off_after in range(len(repeated.inserts) + 1):
        for insert in repeated.inserts[:breaks_off_after]:
            await writer.insert(insert.table, insert.block, form=insert.form, token=repeated.token)
    there, due = await content(again), await content(once)
    # Digests and keys are the tenant's own, so of the tables that have them only the count can be compared.
    own = {table for table in due if table.startswith("ingest_")}
    assert {t: v if t not in own else v[0] for t, v in there.items()} == {
        t: v if t not in own else v[0] for t, v in due.items()
    }
    for table, column in (("ingest_usage_hourly", "requests"), ("ingest_rejections", "items")):
        assert await query(f"SELECT sum({column}) FROM {table} WHERE tenant_id = '{again.tenant_id}'") == [(1,)]
    assert len(there) > len(own) + (1 if kind is LOGS else 2)


async def test_every_table_remembers_enough_tokens(query, reached):
    """More than a thousand batches later the first is still known."""
    rows = await query("SELECT name, create_table_query FROM system.tables WHERE database = 'duoscope'")
    windows = {
        name: int(found[1]) if (found := re.search(r"non_replicated_deduplication_window = (\d+)", sql)) else 0
        for name, sql in rows
        if name in reached
    }
    others = ("alert", "audit", "uptime", "spans_v3_before")
    filled = {name: window for name, window in windows.items() if not name.startswith(others)}
    assert set(filled.values()) == {10_000}, filled


@pytest.fixture
def receiver(metadata_store, telemetry_store, hasher, secret_keys, tmp_path):
    """Starts a receiver over a folder; the same folder again is the same receiver after a restart."""

    async def start(folder="one"):
        verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
        made = Ingest(telemetry_store, verifier, RequestLog.open(tmp_path / folder), driver=Driver())
        await made.start()
        return made

    return start


@pytest.fixture
async def principal(receiver, inhabited):
    ingest = await receiver("keys")
    yield await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)
    await ingest.close()


async def test_the_same_bytes_again(receiver, principal, requests, content):
    """At once, later, after a restart, and at another receiver over the same stores."""
    messages = {kind: message.SerializeToString() for kind, message in requests().items()}
    first = await receiver()
    for kind, raw in messages.items():
        await first.accept(principal, kind, raw)
    due = await content(principal.scope)
    for kind, raw in messages.items():
        answers = await asyncio.gather(*(first.accept(principal, kind, raw) for _ in range(5)))
        assert len(set(answers)) == 1
    await first.close()
    # Counts of values go along with a later segment, or when the receiver stops.
    due["field_values"] = (await content(principal.scope))["field_values"]
    for folder in ("one", "two"):
        later = await receiver(folder)
        for kind, raw in messages.items():
            await later.accept(principal, kind, raw)
        await later.close()
    assert await content(principal.scope) == due


@pytest.mark.parametrize("magic", [MAGIC, FORMER_MAGIC], ids=["of-this-version", "of-before-points-by-the-hour"])
async def test_a_segment_that_a_dead_receiver_left(receiver, principal, requests, content, writer, tmp_path, magic):  # noqa: PLR0917
    """Its INSERTs were done, but the ledger's was not."""
    log = RequestLog.open(tmp_path / "dead")
    segment, rows = log.create(), Gathering()
    for kind, message in requests().items():
        request = Request(principal, kind, message.SerializeToString(), new_id().hex, now_unix_nano(), None)
        segment.sync(segment.write([rows.add(request.record())]))
    batch = rows.take(segment.name)
    if magic == FORMER_MAGIC:
        batch = batch.in_former_tables()
        with segment.abandon().open("r+b") as file:
            file.write(magic)
    for insert in batch.inserts[:-1]:
        await writer.insert(insert.table, insert.block, form="Native", token=batch.token_of(insert))
    log.close()
    revived = await receiver("dead")
    async with asyncio.timeout(20):
        while segment.path.exists():  # noqa: ASYNC110 - a file tells of nothing
            await asyncio.sleep(0.02)
    await revived.close()
    found = await content(principal.scope)
    assert (found["logs_v3"][0], found["traces_v3"][0], found["ingest_ledger"][0]) == (3, 3, 3)
    points = {"number_points": 9, "histogram_points": 3, "exponential_histogram_points": 3, "summary_points": 3}
    if magic == FORMER_MAGIC:
        points = {FORMER[table]: count for table, count in points.items()}
    tables = {*FORMER, *FORMER.values()} & found.keys()
    assert {table: found[table][0] for table in tables} == points
