"""The records around a record are those that a search of its source has next to it."""

import random

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.telemetry import log_context, logs, windows
from duoscope.telemetry.times import TimeRange

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)


@pytest.fixture
async def reader(stored, otlp):
    pick = random.Random(5)
    # Many at the same times, twins among them, and some far away.
    times = [*(pick.randrange(6) for _ in range(60)), 10**9, 60 * 10**9, 3000 * 10**9]
    requests = [
        otlp.logs(
            service,
            *({"time_unix_nano": HOUR.start_ns + at, "body": f"{pick.randrange(4)}"} for at in times),
            **{"k8s.pod.name": pod},
        )
        for service, pod in (("shop", "a"), ("shop", "b"), ("cart", "a"))
    ]
    return await stored(*requests)


async def _all(reader, query):
    """Oldest first, as a search has them."""
    return (await logs.search(reader, HOUR, query, limit=1000)).items[::-1]


@pytest.mark.parametrize("first_ns", [10**4, windows.FIRST_NS])
async def test_each_record_is_between_its_neighbours(reader, monkeypatch, first_ns):
    monkeypatch.setattr(windows, "FIRST_NS", first_ns)
    for source, query in (("resource", "service:shop k8s.pod.name:a"), ("service", "service:cart"), ("any", "")):
        expected = await _all(reader, query)
        chosen = [record for record in expected if record.service_name != "shop" or source != "any"]
        for record in chosen[:: 45 if source == "any" else 21]:
            twins = [at for at, other in enumerate(expected) if other.id == record.id]
            found = await log_context.context(reader, record.id, before=3, after=4, source=source)
            assert found.record == record
            assert found.before == expected[max(0, twins[-1] - 3) : twins[-1]]
            assert found.after == expected[twins[-1] + 1 : twins[-1] + 5]
            assert found.more_before is (twins[-1] > 3)
            assert found.more_after is (twins[-1] + 5 < len(expected))


async def test_sides_of_no_length_and_of_all(reader):
    expected = await _all(reader, "service:cart")
    alone = await log_context.context(reader, expected[40].id, before=0, after=0)
    assert (alone.before, alone.record, alone.after) == ([], expected[40], [])
    around = await log_context.context(reader, expected[40].id, before=100, after=100)
    assert [*around.before, around.record, *around.after] == expected
    assert (around.more_before, around.more_after) == (False, False)


async def test_large_neighbours_are_fewer(stored, otlp, monkeypatch):
    records = [{"time_unix_nano": HOUR.start_ns + n, "body": "x", "event_name": f"{n}" * 200_000} for n in range(9)]
    reader = await stored(otlp.logs("s", *records))
    middle = (await _all(reader, ""))[4]
    found = await log_context.context(reader, middle.id, before=3, after=3)
    assert len(found.before) == len(found.after) == 3


async def test_refused_and_not_found(reader, api, new_scope):
    for bad in ("", "x" * 32, "0" * 31):
        with pytest.raises(DuoscopeError, match="32 hexadecimal digits"):
            await log_context.context(reader, bad)
    for nobody in ("0" * 32, "f" * 32, "7" + "f" * 31):
        with pytest.raises(DuoscopeError) as raised:
            await log_context.context(reader, nobody)
        assert raised.value.kind is ErrorKind.NOT_FOUND
    headers = await api.headers(new_scope())
    for bad in ("", "?id=1", "?id=" + "0" * 32 + "&before=-1", "?id=" + "0" * 32 + "&source=all"):
        assert (await api.client.get(f"/api/v1/logs/context{bad}", headers=headers)).status_code == 400
    own = (await _all(reader, ""))[0].id
    answer = await api.client.get(f"/api/v1/logs/context?id={own}", headers=headers)
    never = await api.client.get(f"/api/v1/logs/context?id={'0' * 32}", headers=headers)
    assert answer.status_code == 404
    assert answer.json() | {"request_id": ""} == never.json() | {"request_id": ""}
