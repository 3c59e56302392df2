"""The page of what arrives, in a real browser."""

import time

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect


def test_usage_rejections_limits_and_the_label_to_blame(running, measured, visit):
    old = str(time.time_ns() - 10 * 365 * 86_400 * 10**9)
    record = {"timeUnixNano": old, "body": {"stringValue": "of another age"}}
    answer = browsing.post(running, "logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    assert answer.status_code == 200
    with running.api() as client:
        browsing.wait_for(lambda: client.get("/ingest/rejections").json()["items"])
        browsing.wait_for(lambda: client.get("/ingest/cardinality").json()["metrics"])
        name = client.get("/api-keys").json()["items"][0]["name"]
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    page.get_by_role("link", name="Ingest").click()
    page.get_by_role("region", name="Usage").get_by_text("in a longer range").first.wait_for()
    visitor.open("ingest?range=6h")
    usage = page.get_by_role("region", name="Usage")
    expect(usage.get_by_role("img", name="Items of logs by hour")).to_be_visible()
    rejections = page.get_by_role("region", name="Rejections")
    expect(rejections.get_by_role("row", name="time-out-of-range")).to_contain_text(name)
    limits = page.get_by_role("region", name="Limits")
    expect(limits.get_by_role("row", name="Active series")).to_contain_text("%")
    expect(limits.get_by_role("row", name="One log body")).to_contain_text("1 MiB")
    cardinality = page.get_by_role("region", name="Cardinality")
    cardinality.get_by_role("button", name="shop.latency").click()
    expect(cardinality.get_by_text("has the most values")).to_contain_text("Of shop.latency")
    expect(cardinality.get_by_role("row", name="route")).to_contain_text("2")
    page.reload()
    expect(cardinality.get_by_role("button", name="shop.latency")).to_have_attribute("aria-pressed", "true")
