"""The process's own log: one line per record on stderr, key=value, for people and log collectors alike."""

import json
import logging
import re
import sys
import time
import traceback
from typing import Final

_BARE = re.compile(r"[\w.:/@+-]+")
_STANDARD: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "taskName"}
_QUIET: Final = ("asyncio", "clickhouse_connect", "grpc", "uvicorn", "urllib3")
"""Libraries whose routine messages are logged only at DEBUG."""


class KeyValueFormatter(logging.Formatter):
    """`time=… level=… logger=… message=…`, then the `extra` values, then an exception, all on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record as one line."""
        instant = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        pairs: dict[str, object] = {
            "time": f"{instant}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        pairs |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            pairs["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        return " ".join(f"{key}={_value(value)}" for key, value in pairs.items())


def configure(level: str) -> None:
    """Send every record of `level` or above to stderr. Call it once per process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level.upper() != "DEBUG":
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)


def _value(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
