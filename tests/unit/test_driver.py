"""The driver of background jobs: turns, failures, pauses, and its stop."""

import asyncio
import math

import pytest

from duoscope.background import driver as module
from duoscope.background.driver import AGAIN, FINISHED, MISSES_MAX, Driver, Job, Next
from duoscope.kernel.errors import DuoscopeError, ErrorKind


@pytest.fixture
def job(monkeypatch):
    """Declares a job that leaves no trace in the list of those that are."""
    monkeypatch.setattr(module, "JOBS", {})

    def declare(name="test", period_s=3600.0, **options):
        return Job(name, period_s, **options)

    return declare


@pytest.fixture
async def driver():
    made = Driver()
    yield made
    await made.stop()


class Work:
    """Turns that do as they are told, counted."""

    def __init__(self, *results):
        self.results = list(results)
        self.turns = 0

    async def __call__(self):
        self.turns += 1
        result = self.results.pop(0) if self.results else None
        if isinstance(result, BaseException):
            raise result
        return result


async def test_a_job_comes_at_its_time_and_when_it_is_asked_for(driver, job):
    later, at_once, began = Work(), Work(), asyncio.Event()
    waiting = driver.start(job("later"), later)

    async def run():
        await at_once()
        began.set()

    begun = driver.start(job("at-once", at_once=True), run)
    await asyncio.wait_for(began.wait(), 10)
    assert (later.turns, at_once.turns) == (0, 1)
    await waiting.activate()
    assert later.turns == 1
    await driver.activate("at-once")
    assert at_once.turns == 2
    assert driver.running == [waiting, begun]


async def test_asking_twice_is_one_turn_and_asking_within_one_is_another(driver, job):
    inside, go_on = asyncio.Event(), asyncio.Event()
    turns = 0

    async def run():
        nonlocal turns
        turns += 1
        inside.set()
        await go_on.wait()

    running = driver.start(job(), run)
    assert running.activate() is running.activate()
    await inside.wait()
    following = running.activate()
    go_on.set()
    await following
    assert turns == 2


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), asyncio.CancelledError(), DuoscopeError(ErrorKind.INVALID, "x", "x")]
)
async def test_a_failure_is_counted_told_and_over_when_a_turn_is_good(driver, job, error, caplog):
    running = driver.start(job(), Work(*[error] * MISSES_MAX))
    for number in range(1, MISSES_MAX + 1):
        assert not driver.problems()
        await running.activate()
        assert running.misses == number
    with pytest.raises(DuoscopeError, match=f"The job test has failed {MISSES_MAX} times in a row") as told:
        await driver.ready()
    assert told.value.kind is ErrorKind.UNAVAILABLE
    assert "test failed (1 in a row)" in caplog.text
    assert "test failed (2 in a row)" in caplog.text
    assert "(3 in a row)" not in caplog.text
    await running.activate()
    assert running.misses == 0
    await driver.ready()
    assert "test works again, after 3 failures" in caplog.text


async def test_a_turn_says_when_the_next_one_comes(driver, job):
    work, finished = Work(AGAIN, AGAIN, Next(0.001), FINISHED), asyncio.Event()

    async def run():
        following = await work()
        if following is FINISHED:
            finished.set()
        return following

    running = driver.start(job(at_once=True), run)
    await asyncio.wait_for(finished.wait(), 10)
    assert work.turns == 4
    await running.activate()
    assert work.turns == 5


def test_pauses_after_failures(job):
    hourly, quick, soon = job("a"), job("b", period_s=5.0), job("c", period_s=2.0, retry_s=0.1)
    assert [hourly.pause_after(n) for n in (0, 1, 2, 3, 10, 1000)] == [3600, 60, 120, 240, 3600, 3600]
    assert [quick.pause_after(n) for n in (0, 1, 2, 1000)] == [5, 5, 5, 5]
    assert [soon.pause_after(n) for n in (1, 2, 5, 6, 1000)] == [0.1, 0.2, 1.6, 2, 2]
    with pytest.raises(ValueError, match="two jobs are called a"):
        job("a")


async def test_one_name_runs_once(driver, job):
    declared = job()
    running = driver.start(declared, Work())
    with pytest.raises(ValueError, match="test runs already"):
        driver.start(declared, Work())
    await running.stop()
    await driver.start(declared, Work()).activate()


async def test_a_turn_that_hangs_is_told_unless_it_fares_well(driver, job):
    inside = asyncio.Event()

    async def hang():
        inside.set()
        await asyncio.Event().wait()

    running = driver.start(job(at_once=True, turn_max_s=0.0), hang)
    waits = driver.start(job("waits", at_once=True, turn_max_s=math.inf), hang)
    await inside.wait()
    assert driver.problems() == ["The job test has been at one turn for more than 0 s."]
    running.misses = waits.misses = MISSES_MAX
    assert len(driver.problems()) == 2
    waits.note_progress()
    assert len(driver.problems()) == 1


async def test_a_job_that_somebody_ends_is_told(driver, job, caplog):
    running = driver.start(job(), Work())
    asked = running.activate()
    running._task.cancel()
    await asyncio.wait({running._task})
    assert asked.cancelled()
    assert running.activate().cancelled()
    assert driver.problems() == ["The job test has ended; restart the process."]
    assert "the job test has ended" in caplog.text


async def test_a_stop_waits_for_the_turn_under_way(driver, job):
    inside, over = asyncio.Event(), []

    async def run():
        inside.set()
        await running.stopping.wait()
        over.append(True)
        return AGAIN

    running = driver.start(job(at_once=True, stop_s=math.inf), run)
    await inside.wait()
    await driver.stop()
    assert over == [True]
    assert not driver.running
    await running.stop()


async def test_a_stop_insists_where_a_cancellation_is_swallowed(driver, job, monkeypatch):
    monkeypatch.setattr(module, "CANCEL_AGAIN_S", 0.01)
    inside, cancelled = asyncio.Event(), 0

    async def run():
        nonlocal cancelled
        inside.set()
        while cancelled < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1

    running = driver.start(job(at_once=True), run)
    await inside.wait()
    await running.stop()
    assert cancelled == 3
