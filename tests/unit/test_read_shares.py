"""Fair shares of tenants: slots for reads, and memory of answers."""

import asyncio

import pytest

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.query_limits import QueryLimits
from duoscope.stores.clickhouse.questions import Asker, Question, cancelled
from duoscope.stores.clickhouse.read_memory import ReadMemory, hold, reading
from duoscope.stores.clickhouse.read_slots import ReadSlots
from support.listening import until

A, B, C, D = (new_id() for _ in range(4))


class Readers:
    """Queries that last until they are told to end; `began` has whose they were, in the order in which they began."""

    def __init__(self, slots, **limited):
        self._slots = slots
        self._limits = QueryLimits(**limited)
        self.began, self._ends, self.tasks = [], [], []

    async def ask(self, tenant, caller=None, question=None):
        end = asyncio.Event()
        kind = "system" if caller is None else "api-key"
        asker = Asker(tenant, caller or tenant, kind, limits=self._limits)
        self.tasks.append(asyncio.create_task(self._read(asker, question or Question(), end)))
        self._ends.append((caller or tenant, end))
        await settle()

    async def _read(self, asker, question, end):
        async with self._slots.taken(asker, question) as turn:
            self.began.append(asker.caller_id)
            await end.wait()
            return turn

    async def end_first(self, tenant):
        place = next(n for n, (whose, end) in enumerate(self._ends) if whose == tenant and not end.is_set())
        self._ends[place][1].set()
        await settle()

    async def close(self):
        for _, end in self._ends:
            end.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_tenants_take_turns_and_have_a_share():
    readers = Readers(ReadSlots(slots=4, kept=1, wait_max_s=60), queries_at_once=2, queries_waiting=5)
    for _ in range(5):
        await readers.ask(A)
    assert readers.began == [A, A]
    await readers.ask(B)
    await readers.ask(B)  # of four places the last is for who has none
    assert readers.began == [A, A, B]
    await readers.ask(C)
    assert readers.began == [A, A, B, C]
    await readers.ask(D)
    await readers.end_first(C)
    assert readers.began == [A, A, B, C, D]
    await readers.end_first(A)
    await readers.end_first(D)
    await readers.end_first(A)
    assert sorted(readers.began[5:]) == sorted([A, B])
    threads = await readers.close()
    assert threads[0].threads == limits.READ_THREADS_MAX
    assert threads[1].threads == 1
    assert not readers._slots._running
    assert not readers._slots._waiting


async def test_who_had_much_lately_gives_way_in_the_store():
    now = [100.0]
    slots = ReadSlots(slots=4, kept=1, wait_max_s=60, clock=lambda: now[0])

    async def asked(tenant, seconds):
        async with slots.taken(Asker(tenant, tenant), Question()) as turn:
            now[0] += seconds
        return turn.priority

    assert [await asked(A, 2) for _ in range(4)] == [1, 3, 4, 5]
    # Who asks little stays ahead, however often; with as much, two are side by side.
    assert [await asked(B, 0.01) for _ in range(20)] == [1] * 20
    now[0] += 120
    for _ in range(8):
        assert abs(await asked(A, 1) - await asked(B, 1)) <= 1
    now[0] += 120
    assert [await asked(A, 0), await asked(B, 0)] == [1, 1]
    assert len(slots._had) <= 2
    now[0] += 120
    for tenant in (new_id() for _ in range(50)):
        await asked(tenant, 0.001)
        now[0] += 30
    assert len(slots._had) <= 2


async def test_who_had_much_does_not_begin_beside_who_had_little(monkeypatch):
    now = [100.0]
    readers = Readers(ReadSlots(slots=6, kept=2, wait_max_s=60, clock=lambda: now[0]), queries_at_once=2)
    await readers.ask(A)
    now[0] += 8
    await readers.end_first(A)
    await readers.ask(A)  # alone, it begins at once
    assert readers.began == [A, A]
    await readers.ask(B)
    await readers.ask(A)
    assert readers.began == [A, A, B]
    await readers.end_first(B)
    assert readers.began == [A, A, B, A]
    # Not for ever: who is at work for long had much, too, and a second is enough.
    await readers.end_first(A)
    await readers.ask(B)
    await readers.ask(A)
    now[0] += 30
    await readers.ask(C)
    await readers.end_first(C)
    assert readers.began == [A, A, B, A, B, C, A]
    await readers.end_first(A)
    now[0] += 1
    monkeypatch.setattr(limits, "READ_GIVES_WAY_MAX_S", 0.01)
    await readers.ask(D)
    await readers.ask(A)
    assert readers.began[-1] == D
    now[0] += 1
    await until(lambda: readers.began[-1] == A)
    await readers.close()
    assert not readers._slots._began


async def test_a_queue_is_short_and_a_wait_has_an_end():
    readers = Readers(ReadSlots(slots=4, kept=1, wait_max_s=60), queries_at_once=1, queries_waiting=1)
    for _ in range(3):
        await readers.ask(A)
    error = readers.tasks[2].exception()
    assert (error.kind, error.code) == (ErrorKind.RATE_LIMITED, "too-many-reads")
    assert error.retry_after_s
    readers.tasks[1].cancel()
    await settle()
    await readers.ask(A)
    await readers.end_first(A)
    assert readers.began == [A, A]
    await readers.close()
    slots = ReadSlots(slots=1, kept=0, wait_max_s=0)
    async with slots.taken(Asker(A, A), Question()):
        with pytest.raises(DuoscopeError) as caught:
            async with slots.taken(Asker(B, B), Question()):
                pass
    assert (caught.value.kind, caught.value.code) == (ErrorKind.UNAVAILABLE, "reads-busy")
    async with slots.taken(Asker(B, B), Question()):
        pass
    assert not slots._running
    assert not slots._waiting


async def test_callers_of_a_tenant_take_turns_and_a_key_has_a_limit_of_its_own():
    readers = Readers(ReadSlots(slots=6, kept=2, wait_max_s=60), queries_at_once=2, key_queries_at_once=1)
    for _ in range(3):
        await readers.ask(A, B)
    assert readers.began == [B]
    await readers.ask(A, C)  # the queue of another key of the same tenant does not hold it
    assert readers.began == [B, C]
    await readers.ask(A, D)
    await readers.end_first(B)
    await readers.end_first(C)
    assert readers.began[2:] == [B, D]
    await readers.close()
    assert not readers._slots._running_of


async def test_questions_that_have_read_come_first():
    readers = Readers(ReadSlots(slots=1, kept=0, wait_max_s=60), queries_at_once=1, queries_waiting=9)
    begun, fresh = Question(), Question()
    await readers.ask(A, question=begun)
    await readers.ask(A, question=fresh)
    await readers.ask(A, question=begun)
    await readers.end_first(A)
    assert [question.has_had_slot for question in (begun, fresh)] == [True, False]
    readers._ends[2][1].set()  # of the third, which has the slot: the second gets it now
    await settle()
    assert fresh.has_had_slot
    assert [task.done() for task in readers.tasks] == [True, False, True]
    await readers.close()


async def test_one_request_waits_as_one_and_leaves_the_queue_when_it_is_ended():
    readers = Readers(ReadSlots(slots=4, kept=1, wait_max_s=60), queries_at_once=1, queries_waiting=1)
    await readers.ask(A)
    wide = Question()
    for _ in range(3):
        await readers.ask(A, question=wide)
    await readers.ask(A)
    assert readers.tasks[4].exception().code == "too-many-reads"
    wide.end(cancelled())
    await settle()
    assert {task.exception().code for task in readers.tasks[1:4]} == {"query-cancelled"}
    await readers.ask(A)
    await readers.end_first(A)
    assert readers.began == [A, A]
    await readers.close()
    assert not readers._slots._running
    assert not readers._slots._waiting


def test_answers_have_a_budget_of_the_tenant_and_one_of_all():
    memory = ReadMemory(tenant_bytes_max=100, bytes_max=250)
    with reading():
        hold(memory, A, 90)
        with pytest.raises(DuoscopeError) as caught:
            hold(memory, A, 20)
        assert caught.value.code == "answers-unread"
        hold(memory, B, 150)  # the first is taken whatever its size
        with pytest.raises(DuoscopeError) as caught:
            hold(memory, C, 20)
        assert caught.value.code == "answers-full"
    assert memory.held == 0
    hold(memory, A, 1000)  # background work
    assert memory.held == 0
