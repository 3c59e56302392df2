"""Windows of time: the same rows as the whole range, and one window where the question is known."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.stores.clickhouse.reach import QUESTIONS_MAX, Reach, Reached
from duoscope.telemetry import windows
from duoscope.telemetry.times import SECOND_NS, TimeRange

DAY = TimeRange(1_000 * SECOND_NS, 1_000 * SECOND_NS + 86_400 * SECOND_NS)


class Table:
    """Rows at these times, newest first, and how often they were read."""

    def __init__(self, times: list[int]) -> None:
        self.times = sorted(times, reverse=True)
        self.reads = 0

    async def newest(self, wanted: int, reached: Reached | None) -> list[int]:
        async def read(window: TimeRange):
            self.reads += 1
            rows = [{"ts": at} for at in self.times if window.start_ns <= at < window.end_ns][:wanted]
            return rows, len(rows) == wanted

        rows, _ = await windows.backward(DAY, DAY.end_ns, wanted, read, reached=reached)
        return [row["ts"] for row in rows]


@given(
    st.lists(st.integers(DAY.start_ns, DAY.end_ns - 1), max_size=50),
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=4),
)
async def test_what_is_remembered_changes_no_answer(times, asked):
    """Whatever was asked before: rows that came or went since, other numbers of rows."""
    reach, tenant_id, table = Reach(), uuid4(), Table(times)
    for wanted, is_all in asked:
        reached = Reached(reach, tenant_id, "logs", "" if is_all else "error")
        assert await table.newest(wanted, reached) == table.times[:wanted]
        table.times = table.times[len(table.times) // 3 :]


@pytest.mark.parametrize("every_s", [0.1, 60, 3_600, 100_000])
async def test_a_known_question_reads_one_window(every_s):
    """Of rows that are near one another, far apart, or fewer than are wanted."""
    count = min(2_000, int(86_400 / every_s))
    table = Table([DAY.end_ns - 1 - int(number * every_s * SECOND_NS) for number in range(count)])
    reach, tenant_id = Reach(), uuid4()
    for read_before in (False, True):
        before = table.reads
        assert await table.newest(100, Reached(reach, tenant_id, "logs", "error")) == table.times[:100]
        assert table.reads - before == 1 or not read_before
    assert Reached(reach, uuid4(), "logs", "error").ns_per_row == 0


def test_the_question_that_was_not_asked_for_the_longest_time_is_forgotten():
    """One that was looked at since is not."""
    reach, tenant_id = Reach(), uuid4()
    for number in range(QUESTIONS_MAX):
        reach.note(tenant_id, number, 1.0)
    assert reach.get(tenant_id, 0)
    reach.note(tenant_id, -1, 1.0)
    assert reach.get(tenant_id, 0)
    assert reach.get(tenant_id, 1) is None
