"""Runs the jobs that a process repeats in the background, so that none of them can end unnoticed.

A job is declared once, as a constant of the module that does the work, and started with `Driver.start`. One turn is one
call of its coroutine function. Whatever a turn raises is logged and counted, and the next turn comes all the same: an
unforeseen error must not stop mail, purges or copies of the audit log until a restart. `ready` names the jobs that
missed several turns in a row. No other module starts a task that repeats (tests/tidy).

A turn takes no arguments: it reads its work from where it is stored, and may run in several processes at the same time.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from duoscope.kernel.errors import DuoscopeError, unavailable

_log = logging.getLogger(__name__)

MISSES_MAX: Final = 3
"""After this many failed turns in a row, readiness reports the job."""
RETRY_MAX_S: Final = 60.0
"""The first turn after a failure comes after the period, or after this where the period is longer."""
TURN_MAX_S: Final = 900.0
CANCEL_AGAIN_S: Final = 1.0
_RETRY_AFTER_S: Final = 30.0

_success_at = Gauge("duoscope_background_last_success_timestamp_seconds", "When a job last had a good turn", ["job"])
_turn_seconds = Histogram(
    "duoscope_background_turn_seconds",
    "Time of one turn of a job",
    ["job"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600),
)
_failures = Counter("duoscope_background_failures", "Turns of a job that failed", ["job"])
_missed = Gauge("duoscope_background_missed_turns", "Turns of a job that failed one after another, up to now", ["job"])

JOBS: Final[dict[str, "Job"]] = {}
"""Every job that is declared, by name."""


@dataclass(frozen=True, slots=True)
class Job:
    """The declaration of a job. Declare each once, in a module's constant.

    Attributes:
        name: in kebab case; shows in logs, metrics and readiness.
        period_s: from the end of a turn to the beginning of the next.
        jitter: the part of each pause that is random, so that processes do not act in step.
        at_once: whether the first turn comes at the start, without a pause.
        retry_s: the pause after a failure; doubled with each further one, up to the period. By default the period, and
            at most RETRY_MAX_S.
        turn_max_s: a turn that takes longer is reported by readiness. `inf` for jobs that wait within their turns.
        stop_s: how long a stop waits for the turn under way before it is cancelled.
    """

    name: str
    period_s: float
    jitter: float = 0.1
    at_once: bool = False
    retry_s: float | None = None
    turn_max_s: float = TURN_MAX_S
    stop_s: float = 0.0

    def __post_init__(self) -> None:
        if self.name in JOBS:
            raise ValueError(f"two jobs are called {self.name}")
        JOBS[self.name] = self

    def pause_after(self, misses: int) -> float:
        """The pause in seconds, before jitter, after that many failures in a row."""
        if not misses:
            return self.period_s
        first_s = min(self.period_s, RETRY_MAX_S) if self.retry_s is None else self.retry_s
        return min(first_s * 2 ** min(misses - 1, 30), max(self.period_s, first_s))


@dataclass(frozen=True, slots=True)
class Next:
    """The time of the next turn, which a turn may return: `in_s` seconds later, instead of after the job's period."""

    in_s: float


AGAIN: Final = Next(0.0)
"""There is more to do: the next turn begins at once."""
FINISHED: Final = Next(math.inf)
"""No further turn, unless `activate` asks for one."""

Turn = Callable[[], Awaitable[Next | None]]


class Running:
    """A job that was started with `Driver.start`.

    Attributes:
        job: its declaration.
        run: one turn.
        misses: how many turns failed in a row until now.
        stopping: set when the job is told to stop; a long turn may check it.
    """

    def __init__(self, job: Job, run: Turn) -> None:
        self.job = job
        self.run = run
        self.misses = 0
        self.stopping = asyncio.Event()
        self._activated = asyncio.Event()
        self._asked: asyncio.Future[None] | None = None
        self._turn_began: float | None = None
        _failures.labels(job.name)
        _missed.labels(job.name).set(0)
        self._task = asyncio.create_task(self._repeat(), name=job.name)
        self._task.add_done_callback(self._ended)

    def activate(self) -> asyncio.Future[None]:
        """Begin a turn now, or right after the current one.

        Returns:
            A future that is done when that turn is over, however it ended. It need not be awaited.
        """
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            if self._task.done():
                self._asked.cancel()
        self._activated.set()
        return self._asked

    def note_progress(self) -> None:
        """Report progress from within a long turn, so that readiness does not take it for hanging."""
        self._turn_began = time.monotonic()
        self._succeeded()

    def problem(self) -> str | None:
        """Describe to operators what is wrong with the job, or return None. Contains no text of an exception."""
        if self._task.done() and not self.stopping.is_set():
            return f"The job {self.job.name} has ended; restart the process."
        if self.misses >= MISSES_MAX:
            return f"The job {self.job.name} has failed {self.misses} times in a row; the log says why."
        if self._turn_began is not None and time.monotonic() - self._turn_began > self.job.turn_max_s:
            return f"The job {self.job.name} has been at one turn for more than {self.job.turn_max_s:g} s."
        return None

    async def stop(self) -> None:
        """Begin no further turn, and return when the current one is over; see `Job.stop_s`. May be called twice."""
        self.stopping.set()
        self._activated.set()
        if self._task.done() or self._task is asyncio.current_task():
            return
        timeout_s = None if math.isinf(self.job.stop_s) else self.job.stop_s
        _, running = await asyncio.wait({self._task}, timeout=timeout_s)
        while running:
            # Cancel repeatedly: code below may take a cancellation for an answer that came at the same moment.
            self._task.cancel()
            _, running = await asyncio.wait({self._task}, timeout=CANCEL_AGAIN_S)

    async def _repeat(self) -> None:
        pause_s = 0.0 if self.job.at_once else self.job.period_s
        while not self.stopping.is_set():
            await self._pause(pause_s)
            if not self.stopping.is_set():
                pause_s = await self._turn()

    async def _pause(self, seconds: float) -> None:
        seconds *= random.uniform(1 - self.job.jitter, 1 + self.job.jitter)  # noqa: S311 - not a secret
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._activated.wait()
        except TimeoutError:
            return

    async def _turn(self) -> float:
        """Run one turn. Returns the pause after it, in seconds before jitter."""
        self._activated.clear()
        asked, self._asked = self._asked, None
        began = self._turn_began = time.monotonic()
        try:
            following = await self.run()
        except asyncio.CancelledError as error:
            # Either this task is being stopped, or what the turn waited for was cancelled: then it is an ordinary
            # failure.
            if self.stopping.is_set() or _is_cancelled():
                raise
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - a job goes on, whatever broke
            self._failed(error)
        else:
            self._succeeded()
            return self.job.period_s if following is None else following.in_s
        finally:
            self._turn_began = None
            _turn_seconds.labels(self.job.name).observe(time.monotonic() - began)
            if asked is not None and not asked.done():
                asked.set_result(None)
        return self.job.pause_after(self.misses)

    def _succeeded(self) -> None:
        if self.misses:
            _log.warning("%s works again, after %d failures", self.job.name, self.misses)
        self.misses = 0
        _missed.labels(self.job.name).set(0)
        _success_at.labels(self.job.name).set_to_current_time()

    def _failed(self, error: BaseException) -> None:
        self.misses += 1
        _failures.labels(self.job.name).inc()
        _missed.labels(self.job.name).set(self.misses)
        if self.misses & (self.misses - 1):  # told at the first, second, fourth, eighth, ... failure in a row
            return
        if isinstance(error, DuoscopeError):
            _log.warning("%s failed (%d in a row): %s (%s)", self.job.name, self.misses, error.message, error.detail)
        else:
            _log.error("%s failed (%d in a row)", self.job.name, self.misses, exc_info=error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.cancel()
        if not self.stopping.is_set():
            error = None if task.cancelled() else task.exception()
            _log.critical("the job %s has ended", self.job.name, exc_info=error)


class Driver:
    """The jobs of one process, or of one part of it. Use within one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, Running] = {}

    def start(self, job: Job, run: Turn) -> Running:
        """Start a job.

        Args:
            job: its declaration; must not run here already.
            run: one turn. It may return when the next is to come.
        """
        known = self._running.get(job.name)
        if known is not None and not known.stopping.is_set():
            raise ValueError(f"{job.name} runs already")
        running = self._running[job.name] = Running(job, run)
        return running

    @property
    def running(self) -> list[Running]:
        """The jobs that were started and not stopped, in the order of their start."""
        return [running for running in self._running.values() if not running.stopping.is_set()]

    def activate(self, name: str) -> asyncio.Future[None]:
        """Begin a turn of the job `name` now; see `Running.activate`. Raises KeyError if no such job was started."""
        return self._running[name].activate()

    def problems(self) -> list[str]:
        """A sentence for each job that missed several turns, hangs in one, or has ended."""
        return [problem for running in self.running if (problem := running.problem())]

    async def ready(self) -> None:
        """Raise UNAVAILABLE `background-jobs-failing`, naming the failing jobs, unless there are none."""
        if problems := self.problems():
            raise unavailable(" ".join(problems), code="background-jobs-failing", retry_after_s=_RETRY_AFTER_S)

    async def stop(self) -> None:
        """Stop all jobs, the last one started first."""
        for running in reversed(self.running):
            await running.stop()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
