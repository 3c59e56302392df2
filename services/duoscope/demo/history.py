"""Hours of a past of the fleet, sent at once: with the shape of a day, releases, an incident, and one large trace."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from duoscope.demo.fleet import SCENARIOS, Request, play
from duoscope.demo.past import MINUTE_NS, Past
from duoscope.demo.sender import FleetSender

SECOND_NS: Final = 1_000_000_000
BUSY_PER_S: Final = 0.6
"""Requests a second in the busiest hour; the quietest has a fifth of it."""
_QUIET: Final = 0.2
_BUSIEST_HOUR: Final = 15
_HOURS_A_DAY: Final = 24
_RELEASE: Final = ("catalogue", "1.10.0", 0.3)
"""A release without consequences: of which service, which version, and when, as a share of the past."""
_INCIDENT: Final = (0.6, 0.75)
_LARGE_AT: Final = 0.45
LARGE_SPANS: Final = 20_000
_FLUSH_EVERY: Final = 150
"""Requests; their spans and records must fit into the SDK's queues."""


@dataclass(frozen=True, slots=True)
class Told:
    """A past that was sent.

    Attributes:
        requests: that were played.
        failed: the id of a trace of the incident that failed.
        large: the id of the large trace.
    """

    requests: int
    failed: str | None
    large: str


def busy(at_ns: int) -> float:
    """Requests a second at this time of the day, UTC: most in the afternoon, least at night."""
    at = datetime.fromtimestamp(at_ns / SECOND_NS, UTC)
    hour = at.hour + at.minute / 60
    wave = (1 + math.cos((hour - _BUSIEST_HOUR) / _HOURS_A_DAY * 2 * math.pi)) / 2
    return BUSY_PER_S * (_QUIET + (1 - _QUIET) * wave)


def requests(rng: random.Random, start_ns: int, end_ns: int) -> Iterator[tuple[Request, bool]]:
    """Play the requests of a past in the order of time; each with whether it was played while the incident was on."""
    incident = SCENARIOS["checkout-outage"]
    service, version, release_at = _RELEASE
    length = end_ns - start_ns
    at_ns = start_ns
    while True:
        at_ns += round(rng.expovariate(busy(at_ns)) * SECOND_NS)
        if at_ns >= end_ns:
            return
        share = (at_ns - start_ns) / length
        is_on = _INCIDENT[0] <= share < _INCIDENT[1]
        versions = {service: version} if share >= release_at else {}
        yield play(rng, at_ns, incident if is_on else None, versions), is_on


def tell(sender: FleetSender, rng: random.Random, start_ns: int, end_ns: int, said: Callable[[float], None]) -> Told:
    """Send a past.

    Args:
        sender: through which; its measurements go to a `Past`.
        rng: what is random.
        start_ns: when the past begins.
        end_ns: when it ends.
        said: called now and then with how much of it is sent, from 0 to 1.
    """
    past = sender.past = Past(start_ns, rng)
    next_minute_ns = start_ns + MINUTE_NS
    number, failed = 0, None
    for request, is_on in requests(rng, start_ns, end_ns):
        while request.call.end_ns >= next_minute_ns:
            sender.export(past.points(next_minute_ns))
            next_minute_ns += MINUTE_NS
        trace_id = sender.send(request)
        if is_on and request.call.failed:
            failed = trace_id
        number += 1
        if number % _FLUSH_EVERY == 0:
            sender.flush()
            said((request.call.end_ns - start_ns) / (end_ns - start_ns))
    sender.export(past.points(end_ns))
    large = sender.send_import(start_ns + round((end_ns - start_ns) * _LARGE_AT), LARGE_SPANS)
    sender.flush()
    return Told(number, failed, large)
