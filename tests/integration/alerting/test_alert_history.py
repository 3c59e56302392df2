"""What happened to alerts in their history in ClickHouse: each transition once, whatever broke on the way."""

import asyncio

import pytest

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.worker.alert_shipping import ship_alerts

DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}


class Interrupted:
    """ClickHouse that dies before or after the INSERT, as told; the real one otherwise."""

    def __init__(self, records, *, after):
        self._records, self._after = records, after

    def __getattr__(self, name):
        return getattr(self._records, name)

    async def append_alerts(self, rows, *, token):
        if self._after:
            await self._records.append_alerts(rows, token=token)
        raise DuoscopeError(ErrorKind.UNAVAILABLE, "telemetry-store-unavailable", "away")


@pytest.fixture
async def history(watched):
    await watched.rule(DEPTH, ABOVE, for_seconds=60, delay_seconds=0)
    await watched.gauge("depth", *enumerate([20, 20, 1, 1]), queue="a")
    for minute in (0, 1, 2):
        await watched.minute(minute)

    async def read():
        reader = watched.telemetry.bind(watched.scope)
        return await reader.query(
            "SELECT number, toString(status) AS status, reason, value, threshold, labels, alert_rule_name "
            "FROM @alert_events ORDER BY timestamp, number", name="test.history",
        )  # fmt: skip

    return read


async def _interrupted(watched, records, *, after):
    with pytest.raises(DuoscopeError, match="away"):
        await ship_alerts(watched.metadata, Interrupted(records, after=after), untold_s=0)


@pytest.mark.parametrize("broken", [(), (False,), (True,), (False, False, True)], ids=str)
async def test_each_transition_is_there_once(watched, history, broken):
    records = watched.telemetry.records()
    for after in broken:
        await _interrupted(watched, records, after=after)
    await asyncio.gather(*(ship_alerts(watched.metadata, records, untold_s=0) for _ in range(3)))
    assert await ship_alerts(watched.metadata, records, untold_s=0) == 0
    found = await history()
    assert [(each["number"], each["status"]) for each in found] == [(1, "pending"), (2, "triggered"), (3, "resolved")]
    assert (found[1]["value"], found[1]["threshold"], found[1]["alert_rule_name"]) == (20, 10, "rule")
    assert found[1]["labels"] == {"queue": "a", "team": "shop"}
