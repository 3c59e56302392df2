"""What was rejected, counted from the ledger's rows of a segment."""

import json

from duoscope.receiver.durability.judged import of_requests

OWNER = {"organization_id": "o", "workspace_id": "w", "tenant_id": "t", "api_key_id": "k"}


def row(received_at, rejected, signal="logs", tenant="t"):
    return json.dumps(OWNER | {"tenant_id": tenant, "signal": signal, "received_at": received_at, "rejected": rejected})


def test_rejections_are_counted_by_owner_minute_and_reason():
    rows = [
        row("60.000", {"a": 1, "b": 2}),
        row("119.999", {"a": 3}),
        row("120.000", {"a": 4}),
        row("60.000", {}),
        row("60.000", {"a": 5}, signal="traces"),
        row("60.000", {"a": 6}, tenant="other"),
    ]
    rejections, ledger = of_requests("\n".join(rows).encode())
    assert (rejections.table, ledger.table) == ("ingest_rejections", "ingest_ledger")
    found = [json.loads(line) for line in rejections.block.split(b"\n")]
    assert [
        (each["tenant_id"], each["signal"], each["minute"], each["reason"], each["requests"], each["items"])
        for each in found
    ] == [
        ("t", "logs", 60, "a", 2, 4),
        ("t", "logs", 60, "b", 1, 2),
        ("t", "logs", 120, "a", 1, 4),
        ("t", "traces", 60, "a", 1, 5),
        ("other", "logs", 60, "a", 1, 6),
    ]
    assert all(each["organization_id"] == "o" and each["workspace_id"] == "w" for each in found)


def test_nothing_is_inserted_where_nothing_was_rejected():
    assert [insert.table for insert in of_requests("\n".join([row("1.000", {})] * 3).encode())] == ["ingest_ledger"]
