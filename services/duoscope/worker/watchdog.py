"""Pings a URL each minute while alert rules are evaluated, so that silence is noticed elsewhere.

The service behind the URL alerts when no ping comes: for a process that hangs, a machine that is gone, rules that are
far behind. Nothing is pinged unless the operator gives a URL.
"""

from typing import Final

from duoscope.alerting.evaluator import Evaluator
from duoscope.background.driver import Driver, Job, Running
from duoscope.kernel.errors import unavailable
from duoscope.net.outbound import Outbound

PING_WATCHDOG: Final = Job("ping-watchdog", period_s=60.0, at_once=True, jitter=0.0)
_OK: Final = range(200, 300)
_RETRY_AFTER_S: Final = 60.0


async def ping(evaluator: Evaluator, outbound: Outbound, url: str) -> None:
    """Ping once, if rules are evaluated in time.

    Raises:
        DuoscopeError: UNAVAILABLE if they are not, if PostgreSQL is away, or for another answer than 2xx.
    """
    await evaluator.watch_lag()
    await evaluator.ready()
    answer = await outbound.request("GET", url, share="watchdog")
    if answer.status not in _OK:
        raise unavailable(
            f"The watchdog answered {answer.status}.", code="watchdog-refused", retry_after_s=_RETRY_AFTER_S
        )


def start_watchdog(driver: Driver, evaluator: Evaluator, outbound: Outbound, url: str) -> Running:
    """Start to ping a URL each minute."""

    async def run() -> None:
        await ping(evaluator, outbound, url)

    return driver.start(PING_WATCHDOG, run)
