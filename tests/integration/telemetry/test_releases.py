"""When versions of services were first seen."""

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import releases
from duoscope.telemetry.metrics.frames import second
from duoscope.telemetry.times import TimeRange

S = 10**9
HOUR = 3600
_NOW_S = now_unix_nano() // S
_START_S = _NOW_S - 2 * HOUR
_DAY_S = 24 * HOUR


@pytest.fixture
async def reader(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    seen = (
        ("checkout", "1.0", -3 * HOUR),
        ("checkout", "1.0", 60),
        ("checkout", "1.1", 1200),
        ("checkout", "1.1", 300),
        # Back to what was there is no release; nor is what has no version.
        ("checkout", "1.0", 1800),
        ("cart", "", 60),
        ("cart", "7", 90),
        # Days ago, which is seen by the values that are counted; another service's version is another one.
        ("stock", "2", -2 * _DAY_S),
        ("stock", "2", 30),
        ("store", "2", 40),
    )
    for number, (service, version, at) in enumerate(seen):
        start = (_START_S + at) * S
        span = {"trace_id": bytes([number + 1]) * 16, "span_id": bytes([number + 1]) * 8, "name": "x",
                "start_time_unix_nano": start, "end_time_unix_nano": start + 1}  # fmt: skip
        versions = {"service.version": version} if version else {}
        await deliver(scope, otlp.spans(service, span, **versions), with_values=True)
    return telemetry_store.bind(scope)


async def test_a_version_is_new_once_with_the_one_before_it(reader):
    times = TimeRange(_START_S * S, (_START_S + 2 * HOUR) * S)
    found = await releases.list_releases(reader, times)
    assert [(one.service, one.version, one.first_seen, one.before) for one in found.items] == [
        ("store", "2", second(_START_S + 40), None),
        ("cart", "7", second(_START_S + 90), None),
        ("checkout", "1.1", second(_START_S + 300), "1.0"),
    ]
    assert not found.truncated
    of_one = await releases.list_releases(reader, times, "checkout")
    assert [one.version for one in of_one.items] == ["1.1"]
    earlier = TimeRange((_START_S - 4 * HOUR) * S, _START_S * S)
    assert [one.version for one in (await releases.list_releases(reader, earlier)).items] == ["1.0"]
