"""Time zones, by the names that are IANA's."""

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from duoscope.kernel.errors import invalid


def time_zone(name: str, field: str) -> ZoneInfo:
    """Find a time zone. Raises INVALID, which names the field, for a name that is not IANA's."""
    wrong = invalid(f"`{field}`: {name[:100]!r} is no time zone of IANA's, such as Europe/Berlin.")
    if name not in _zones():
        raise wrong
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise wrong from error


@cache
def _zones() -> frozenset[str]:
    """IANA's names. A machine knows others, such as `localtime`, which are another zone on another machine."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())
