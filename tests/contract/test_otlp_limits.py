"""The limits of tenants and keys as a client meets them, over all three transports."""

import math

import grpc
import pytest

from duoscope.identity.directory import ingest_limits
from duoscope.kernel.actor import operator
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_keys

TRANSPORTS = ("grpc", "http/protobuf", "http/json")
over_all = pytest.mark.parametrize("transport", TRANSPORTS)
obligation = pytest.mark.obligation


@pytest.fixture
def limited(metadata_store, verifier):
    """Give the verifier's key and its tenant limits, before the key is first used."""

    async def limit(*, rate_limit=None, **own):
        async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.limits") as tx:
            (key,) = await api_keys.list_all(tx)
            await tx.execute("UPDATE api_keys SET rate_limit = $1", rate_limit)
        await ingest_limits.change(metadata_store, operator(), key.tenant_id, own)

    return limit


@pytest.fixture
def records(otlp):
    """A request of so many log records, in the encoding of a transport."""

    def build(transport, count):
        now = now_unix_nano()
        if transport == "http/json":
            each = f'{{"timeUnixNano":"{now}"}}'
            inner = ",".join([each] * count)
            return f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{inner}]}}]}}]}}'.encode()
        return otlp.logs("s", *({"time_unix_nano": now} for _ in range(count))).SerializeToString()

    return build


@obligation(
    "70",
    "Failures",
    "more items a second than the tenant may send",
    "RESOURCE_EXHAUSTED or 429, and how long to wait",
)
@over_all
async def test_beyond_the_rate(serve, limited, records, transport):
    await limited(items_per_second=1, burst_seconds=100)
    async with serve() as send:
        assert (await send(transport, "logs", records(transport, 95))).code == 0
        for count in (95, 50):
            answer = await send(transport, "logs", records(transport, count))
            answer.expect(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "items-limited")
            assert 20 < answer.retry_s <= 95
            if transport != "grpc":
                assert answer.headers["retry-after"] == str(math.ceil(answer.retry_s))


@obligation(
    "71", "Failures", "a request larger than the tenant may ever send", "RESOURCE_EXHAUSTED without RetryInfo or 413"
)
@over_all
async def test_what_never_fits(serve, limited, records, transport):
    await limited(items_per_second=10, burst_seconds=1)
    async with serve() as send:
        answer = await send(transport, "logs", records(transport, 11))
        answer.expect(grpc.StatusCode.RESOURCE_EXHAUSTED, 413, "larger-than-limit")
        assert answer.retry_s is None
        assert "retry-after" not in answer.headers
        assert "10 at once" in answer.status.message


@obligation(
    "72", "Failures", "more requests a minute than the key may send", "RESOURCE_EXHAUSTED or 429, with RetryInfo"
)
@over_all
async def test_a_keys_requests_a_minute(serve, limited, transport):
    await limited(rate_limit=2)
    async with serve() as send:
        for _ in range(2):
            assert (await send(transport, "metrics")).code == 0
        answer = await send(transport, "metrics")
        answer.expect(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "requests-limited")
        assert 25 < answer.retry_s <= 30


@over_all
async def test_what_is_refused_leaves_nothing_held(serve, limited, records, transport):
    await limited(requests_in_flight=1, items_per_second=1, burst_seconds=100)
    async with serve() as send:
        assert (await send(transport, "logs", records(transport, 95))).code == 0
        for count in (101, 95, 50):
            answer = await send(transport, "logs", records(transport, count))
            assert answer.reason in ("items-limited", "larger-than-limit")
        assert send.ingest.budget._held == 0
        (account,) = send.ingest._admission._tenants._found.values()
        assert (account.in_flight, account.held) == (0, 0)
