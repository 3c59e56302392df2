"""What the list of records can do besides: columns, wrapping, picking, finding."""

import csv
import json
import re
import time
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect


def test_columns_and_wrapping_are_in_the_address(running, shop, visit):
    with running.api() as client:
        browsing.wait_for(lambda: client.get("/fields?signal=logs&prefix=order").json()["items"])
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment severity:error")
    records = page.get_by_role("grid", name="Log records")
    row = records.get_by_role("row").filter(has_text="card of order 10 declined")
    expect(row.get_by_role("gridcell")).to_have_count(4)
    column = page.get_by_label("Add a column")
    column.click()
    page.keyboard.type("order.i")
    expect(page.get_by_role("listbox", name="Add a column").get_by_role("option")).to_have_text(["order.id"])
    page.keyboard.press("Enter")
    expect(row.get_by_role("gridcell").nth(3)).to_have_text("10")
    page.get_by_role("button", name="Wrap").click()
    page.get_by_role("button", name="Dense").click()
    page.reload()
    expect(row.get_by_role("gridcell").nth(3)).to_have_text("10")
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Dense")).to_have_attribute("aria-pressed", "true")
    page.get_by_title("Without the column order.id").click()
    page.get_by_role("button", name="Wrap").click()
    expect(row.get_by_role("gridcell")).to_have_count(4)
    assert row.bounding_box()["height"] == 20


def test_rows_are_picked_with_shift_and_found_with_ctrl_f(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment")
    records = page.get_by_role("grid", name="Log records")
    rows = records.get_by_role("row")
    rows.nth(1).click()
    rows.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("3 rows picked")).to_be_visible()
    expect(records.locator("[data-picked]")).to_have_count(3)
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert [line.split(" ", 2)[2] for line in copied] == [f"shop-payment order {number} placed" for number in (1, 2, 3)]
    expect(page.get_by_role("button", name="Copy as text")).to_be_visible()
    records.focus()
    page.keyboard.press("Shift+J")
    expect(page.get_by_text("4 rows picked")).to_be_visible()
    page.get_by_role("button", name="Copy as JSON").click()
    page.get_by_role("button", name="Copied").wait_for()
    made = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert [one["attributes"]["order.id"] for one in made] == [1, 2, 3, 4]
    page.get_by_role("button", name="Clear").click()
    expect(records.locator("[data-picked]")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_label("Query").focus()
    page.keyboard.press("Control+f")
    page.keyboard.type("DECLINED")
    expect(page.get_by_text("6 found")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 6")).to_be_visible()
    # Around the end, and in sight whether it was before or not.
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("6 of 6")).to_be_visible()
    expect(records.get_by_role("row", selected=True)).to_contain_text("card of order 50 declined")
    page.keyboard.press("Escape")
    expect(records).to_be_focused()


def test_fields_make_a_panel_give_way_where_both_have_no_room(running, shop, visit):
    visitor = visit(running, width=1100)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment")
    fields = page.get_by_role("navigation", name="Fields")
    expect(fields).to_be_visible()
    page.get_by_role("grid", name="Log records").get_by_role("row").first.click()
    panel = page.get_by_role("complementary", name="Log record")
    expect(panel).to_be_visible()
    expect(fields).to_be_hidden()
    switch = page.get_by_role("button", name="Fields", exact=True)
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    expect(panel).to_have_count(0)
    expect(fields).to_be_visible()
    expect(switch).to_have_attribute("aria-pressed", "true")


def test_the_chart_is_by_any_field_and_a_body_with_parts_is_unfolded(running, visit):
    body = {"kvlistValue": {"values": [
        {"key": "msg", "value": {"stringValue": "paid"}},
        {"key": "order", "value": {"kvlistValue": {"values": [{"key": "id", "value": {"intValue": "7"}}]}}},
    ]}}  # fmt: skip
    records = [
        {"timeUnixNano": str(time.time_ns() - at * 10**9), "body": of, "attributes": [
            {"key": "shop.till", "value": {"stringValue": f"till {at}"}}]}
        for at, of in enumerate((body, {"stringValue": '{"level": "info", "took": {"ms": 12}}'}))
    ]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "parts"}}]}
    browsing.send(running, "logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:parts")
    rows = page.get_by_role("grid", name="Log records").get_by_role("row")
    expect(rows).to_have_count(2)
    # What fields there are is counted some seconds after the records.
    with running.api() as client:
        fields = lambda: client.get("/fields?signal=logs&prefix=shop.till").json()["items"]  # noqa: E731
        browsing.wait_for(fields)
    page.reload()
    by = page.get_by_label("Chart by")
    by.click()
    page.keyboard.type("shop.ti")
    page.get_by_role("option", name="shop.till").wait_for()
    page.keyboard.press("Enter")
    expect(page.locator("figure").get_by_text("till 1", exact=True).first).to_be_visible()
    assert "by=shop.till" in page.url
    rows.first.click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("order.id", exact=True)).to_be_visible()
    panel.get_by_title("Only body.order.id:7").click()
    expect(page.get_by_label("Query")).to_have_value("service:parts body.order.id:7")
    expect(rows).to_have_count(1)
    page.go_back()
    expect(rows).to_have_count(2)
    rows.last.click()
    expect(panel.get_by_text("took.ms", exact=True)).to_be_visible()
    panel.get_by_role("button", name="As text").click()
    expect(panel.get_by_text("took.ms", exact=True)).to_have_count(0)


def test_bars_are_brushed_and_a_record_is_unfolded_where_it_is(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment&range=3h")
    records = page.get_by_role("grid", name="Log records")
    row = records.get_by_role("row", name="order 1 placed", exact=False).first
    row.get_by_role("button", name="Unfold the record here").click()
    expect(row.get_by_text("service.version", exact=True)).to_be_visible()
    expect(page.get_by_role("complementary")).to_have_count(0)
    height = row.bounding_box()["height"]
    below = records.get_by_role("row", name="order 2 placed", exact=False).first
    assert below.bounding_box()["y"] >= row.bounding_box()["y"] + height
    # Values in there go into the query by keys, too.
    row.get_by_text("order.id", exact=True).hover()
    page.keyboard.press("Shift+F")
    expect(page.get_by_label("Query")).to_have_value("service:shop-payment -order.id:1")
    page.go_back()
    expect(page.get_by_label("Query")).to_have_value("service:shop-payment")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Fold the record").click()
    expect(row.get_by_text("service.version", exact=True)).to_have_count(0)
    browsing.wait_for(lambda: row.bounding_box()["height"] == 24)
    plot = page.locator("figure svg").first.bounding_box()
    page.mouse.move(plot["x"] + plot["width"] * 0.5, plot["y"] + 20)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] - 2, plot["y"] + 20, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("from=.*to="))
    expect(records.get_by_role("row").first).to_be_visible()


def test_what_is_downloaded_is_read_as_csv_and_as_json(running, visit):
    body = '=HYPERLINK("http://x"), "quoted"'
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": body}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "downloaded"}}]}
    browsing.send(running, "logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]})
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:downloaded")
    expect(page.get_by_role("grid", name="Log records").get_by_role("row")).to_have_count(1)

    def downloaded(name):
        page.get_by_role("button", name="Download", exact=True).click()
        with page.expect_download() as begun:
            page.get_by_role("menuitem", name=name).click()
        return Path(begun.value.path())

    with downloaded("loaded as CSV").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["service"], row["body"]) == ("downloaded", f"'{body}")
    (line,) = downloaded("as JSON lines").read_text("utf-8").splitlines()
    assert json.loads(line)["body"] == body
