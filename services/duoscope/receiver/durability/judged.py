"""The INSERTs of what was judged of requests: the ledger's, and before it that of rejections, if there are any.

Few segments have rejections. A view of the ledger that counts them would be analysed at each INSERT all the same.
"""

import json
from collections import Counter
from typing import Any, Final

from duoscope.receiver.durability.batch import Insert
from duoscope.stores.clickhouse import LEDGER, REJECTIONS

_FORM: Final = "JSONEachRow"
_OWNER: Final = ("organization_id", "workspace_id", "tenant_id", "signal", "api_key_id")
_MINUTE_S: Final = 60
_NOTHING: Final = b'"rejected": {}'


def of_requests(ledger: bytes) -> list[Insert]:
    """The INSERTs that end a batch, by the ledger's rows: a line of JSON for each request."""
    # Most have none: those are not parsed.
    lines = [line for line in ledger.split(b"\n") if _NOTHING not in line]
    rejections = _rejections([json.loads(line) for line in lines])
    ended = [Insert(LEDGER, _FORM, ledger)]
    return [Insert(REJECTIONS, _FORM, rejections), *ended] if rejections else ended


def _rejections(rows: list[dict[str, Any]]) -> bytes:
    """Rows for rejections: requests and items by their owner, minute and reason."""
    requests: Counter[tuple[Any, ...]] = Counter()
    items: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        minute = int(float(row["received_at"])) // _MINUTE_S * _MINUTE_S
        for reason, count in row["rejected"].items():
            kind = (*(row[name] for name in _OWNER), minute, reason)
            requests[kind] += 1
            items[kind] += count
    names = (*_OWNER, "minute", "reason", "requests", "items")
    lines = (dict(zip(names, (*kind, requests[kind], items[kind]), strict=True)) for kind in requests)
    return "\n".join(map(json.dumps, lines)).encode()
