"""Every extreme of every field of every signal, in every table and view: refused by item, or taken by all of them."""

import pytest
from extreme_requests import Requests, as_json, item_names

from duoscope.kernel import limits
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Decoder, from_json
from duoscope.receiver.signals import SIGNALS
from duoscope.stores.clickhouse import VIEWS, WITH_ATTRIBUTES, RejectedByStoreError

RETENTION_DAYS = 30
TABLE_OF = {
    "span": "traces",
    "record": "logs",
    "histogram": "histograms",
    "delta_histogram": "histograms",
    "exponential_histogram": "exponential_histograms",
    "delta_exponential_histogram": "exponential_histograms",
    "summary": "summaries",
}
KINDS = [(signal, kind) for signal in SIGNALS for kind in item_names(signal)]


@pytest.fixture
def insert(telemetry_store, new_scope):
    """Stores requests in one INSERT a table, as the receiver does; answers what became of each, and a reader."""

    async def into_store(signal, raws, now_ns, scope=None):
        scope, decoder = scope or new_scope(), Decoder(signal.kind)
        outcomes = [decoder.add(raw, scope, RETENTION_DAYS, now_ns=now_ns) for raw in raws]
        for block in decoder.blocks():
            await telemetry_store.ingest().insert(block.table, block.native, form="Native", token=str(new_id()))
        return outcomes, telemetry_store.bind(scope)

    return into_store


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize(("signal", "kind"), KINDS, ids=[kind for _, kind in KINDS])
async def test_each_extreme(insert, signal, kind, encoding):
    requests = Requests("extremes")
    cases = list(requests.each(signal, kind))
    if encoding == "protobuf":
        raws = [request.SerializeToString() for _, request in cases]
    else:
        raws = [from_json(signal.kind, as_json(request), limits.INGEST_REQUEST_BYTES_MAX)[0] for _, request in cases]
    try:
        outcomes, reader = await insert(signal, raws, requests.now_ns)
    except RejectedByStoreError:
        refused = []
        for (name, _), raw in zip(cases, raws, strict=True):
            try:
                await insert(signal, [raw], requests.now_ns)
            except RejectedByStoreError as error:
                refused.append(f"{name}: {error}"[:300])
        pytest.fail("\n".join(refused) or "together, but none by itself")
    odd = {name: outcome.rejected for (name, _), outcome in zip(cases, outcomes, strict=True) if outcome.rejected}
    for (name, _), outcome in zip(cases, outcomes, strict=True):
        assert outcome.stored >= 1, name
        assert outcome.items == outcome.stored + sum(outcome.rejected.values()), name
    # Some of them are refused, and by far not all: the items are sound but for one field.
    assert 0 < len(odd) < len(cases) / 2
    (row,) = await reader.query(f"SELECT count() AS n FROM @{TABLE_OF.get(kind, 'metrics')}", name="test")
    assert row["n"] == sum(outcome.stored for outcome in outcomes)


async def test_every_view_can_be_read(insert, new_scope):
    """All columns of it, with all extremes among its rows."""
    scope = new_scope()
    for signal, kind in KINDS:
        requests = Requests("extremes")
        raws = [request.SerializeToString() for _, request in requests.each(signal, kind)]
        _, reader = await insert(signal, raws, requests.now_ns, scope)
    for view in sorted(VIEWS):
        # Named, or readers take the plain view in its place.
        named = ", attribute_1" if view in WITH_ATTRIBUTES else ""
        await reader.query(f"SELECT toString(tuple(*{named})) FROM @{view}", name="test")
