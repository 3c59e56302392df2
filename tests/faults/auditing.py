"""The final read, over the API: which items of the books are there, how often, and what else is there."""

from collections import Counter
from dataclasses import dataclass

from sending import ITEMS

from duoscope.receiver.signals import METRICS

ROLLUPS = {
    "usage of logs": "logs",
    "usage of traces": "traces",
    "usage of metrics": "metrics",
    "metrics by the hour": "metrics",
    "requests by the minute": "traces",
}
"""Sums that the API shows, and what they are of."""


def pages(api, path, query):
    cursor = None
    while True:
        answer = api.post(path, json={"query": query, "limit": 1000, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def found(tenant):
    """How often each item is there for the tenant, read over the API; and items that are nobody's of its own."""
    items, foreign = Counter(), 0
    with tenant.api() as api:
        for record in pages(api, "/logs/search", ""):
            foreign += record["service_name"] != tenant.name
            items[record["body"]] += 1
        for trace in pages(api, "/traces/search", ""):
            answer = api.get(f"/traces/{trace['trace_id']}")
            assert answer.status_code == 200, answer.text
            for span in answer.json()["spans"]:
                foreign += span["service_name"] != tenant.name
                items[span["name"]] += 1
        totals = {name: _points(api, tenant, ["i"], name) for name in ("count", "sum")}
        rollups = Counter()
        for day in pages_of(api, "/usage", group_by="signal"):
            rollups[f"usage of {day['signal']}"] += day["stored"]
        rollups["metrics by the hour"] = sum(_points(api, tenant, ["service"], "count").values())
        answer = api.get("/services")
        assert answer.status_code == 200, answer.text
        rollups["requests by the minute"] = sum(each["request_count"] for each in answer.json()["items"])
    return Found(items, totals, rollups, foreign)


@dataclass(frozen=True)
class Found:
    """The API's view of a tenant: items by name, points by series, sums of rollups, foreign items."""

    items: Counter
    totals: dict[str, dict[str, float]]
    rollups: Counter
    foreign: int


def _points(api, tenant, labels, aggregation):
    query = {"metric": f"n.{tenant.name}", "group_by": labels, "step": "1h", "aggregation": aggregation}
    answer = api.post("/metrics/query", json=query)
    assert answer.status_code == 200, answer.text
    return {
        next(iter(series["labels"].values())): sum(value for _, value in series["points"] if value is not None)
        for series in answer.json()["series"]
    }


def pages_of(api, path, **query):
    cursor = {}
    while True:
        answer = api.get(path, params=query | {"limit": 100} | cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


@dataclass(frozen=True)
class Row:
    """One line of the table. Everything is items, but for rounds and retries, which are of requests."""

    fault: str
    rounds: int
    sent: int
    acknowledged: int
    rejected: int
    unknown: int
    retries: int
    lost: int
    doubled: int
    foreign: int


def audit(fault, tenant, books, rounds=1):
    """Compare the books with what the API shows, item by item; then the rollups with the items."""
    there = found(tenant)
    items, foreign = Counter(there.items), there.foreign
    lost = doubled = 0
    for number, (kind, _) in books.sent.items():
        if kind is METRICS:
            continue
        for item in range(ITEMS):
            times = items.pop(f"r{number} i{item}", 0)
            lost += number in books.acknowledged and not times
            doubled += max(times - 1, 0) if number not in books.rejected else times
    foreign += sum(items.values())
    # Points have no number of their own: every series has one of each request, and their values add up.
    points = [n for n, (kind, _) in books.sent.items() if kind is METRICS and n in books.acknowledged]
    perhaps = [n for n, (kind, _) in books.sent.items() if kind is METRICS and n in books.unknown]
    stored = Counter()
    for item in range(ITEMS):
        count, total = (there.totals[name].get(str(item), 0) for name in ("count", "sum"))
        stored["metrics"] += count
        lost += max(len(points) - count, 0)
        doubled += max(count - len(points) - len(perhaps), 0)
        if count == len(points):
            doubled += abs(total - sum(points)) > 0.5
    # What is in the tables is what was counted, whatever was sent.
    for number, (kind, _) in books.sent.items():
        if kind is not METRICS:
            stored[kind.name] += sum(there.items[f"r{number} i{item}"] for item in range(ITEMS))
    for rollup, of in ROLLUPS.items():
        if there.rollups[rollup] != stored[of]:
            print(f"{fault}: {rollup} are {there.rollups[rollup]}, and {stored[of]} are stored")  # noqa: T201 - for who looks into it
        lost += max(stored[of] - there.rollups[rollup], 0)
        doubled += max(there.rollups[rollup] - stored[of], 0)
    return Row(
        fault,
        rounds,
        *(ITEMS * len(each) for each in (books.sent, books.acknowledged, books.rejected, books.unknown)),
        books.retries,
        int(lost),
        int(doubled),
        foreign,
    )
