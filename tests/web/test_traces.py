"""Durations of spans and large traces, in a real browser."""

import re
import time

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect

SPANS = 20_000
DRAWN_S = 15
"""On a busy machine; alone it is some 2 s, most of them for the answer."""


def test_a_flame_graph_of_twenty_thousand_spans_has_the_selection_of_the_waterfall(running, visit):
    trace_id = browsing.send_large_trace(running, SPANS)
    with running.api() as client:
        browsing.wait_for(lambda: client.get(f"/traces/{trace_id}/summary").json().get("span_count") == SPANS)
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    began = time.monotonic()
    visitor.open(f"traces/{trace_id}?view=flame")
    canvas = page.locator(f"canvas[data-spans='{SPANS}']")
    canvas.wait_for()
    # Drawn is what has colour.
    browsing.wait_for(
        lambda: canvas.evaluate("c => c.getContext('2d').getImageData(1, 4, c.width / 2, 1).data.some(v => v > 0)")
    )
    assert time.monotonic() - began < DRAWN_S
    page.get_by_label("Find spans").fill("needle")
    expect(page.get_by_text("1 found")).to_be_visible()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Span")
    expect(panel.get_by_role("heading", name="needle")).to_be_visible()
    page.get_by_label("Find spans").fill("")
    page.keyboard.press("Escape")
    # The root is on top, as wide as the trace.
    canvas.click(position={"x": 400, "y": 8})
    expect(panel.get_by_role("heading", name="call 0")).to_be_visible()
    assert "open=0000000000000001" in page.url
    page.keyboard.press("j")
    expect(panel.get_by_role("heading", name="call 1")).to_be_visible()
    page.get_by_role("button", name="Flame graph").click()
    spans = page.get_by_role("treegrid", name="Spans")
    expect(spans).to_have_attribute("aria-rowcount", str(SPANS))
    expect(spans.get_by_role("row", selected=True)).to_contain_text("call 1")


def test_a_bar_of_durations_is_a_box_on_the_heatmap(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("traces?q=service:(shop-frontend OR shop-checkout OR shop-payment)")
    bars = page.locator("figure svg g")
    expect(bars).to_have_count(4)
    bars.first.click()
    page.get_by_role("button", name="Only these").click()
    expect(page.get_by_label("Query")).to_have_value(re.compile(r" duration:\(>=\S+ms <\S+ms\)$"))
    expect(page.locator("figure").get_by_text("1 span", exact=True)).to_be_visible()


def test_a_waterfall_ends_at_a_level_groups_what_is_alike_hides_what_was_not_found_and_zooms(running, visit):
    trace_id = browsing.send_large_trace(running, 3_000)
    with running.api() as client:
        browsing.wait_for(lambda: client.get(f"/traces/{trace_id}/summary").json().get("span_count") == 3_000)
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open(f"traces/{trace_id}")
    spans = page.get_by_role("treegrid", name="Spans")
    expect(spans).to_have_attribute("aria-rowcount", "3000")
    for _ in range(5):
        page.keyboard.press("<")
    expect(page.get_by_text("2 of 7 levels")).to_be_visible()
    expect(spans).to_have_attribute("aria-rowcount", "501")
    page.keyboard.press("s")
    # The first six hundred ms: the root, and its children as one.
    expect(spans).to_have_attribute("aria-rowcount", "2")
    page.get_by_role("button", name="Show 500 alike spans one by one").click()
    expect(spans).to_have_attribute("aria-rowcount", "501")
    page.keyboard.press("s")
    for _ in range(5):
        page.keyboard.press(">")
    page.get_by_label("Find spans").fill("needle")
    page.get_by_role("button", name="Hide others").click()
    # It stands at the sixth level or above, below the root.
    expect(page.get_by_text("1 found")).to_be_visible()
    browsing.wait_for(lambda: int(spans.get_attribute("aria-rowcount") or 0) <= 7)
    expect(spans.get_by_text("needle")).to_be_visible()
    page.get_by_label("Find spans").fill("")
    expect(spans).to_have_attribute("aria-rowcount", "3000")
    axis = page.get_by_text("0 ms", exact=True)
    expect(axis).to_be_visible()
    spans.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    expect(page.get_by_role("button", name="Whole trace")).to_be_visible()
    page.get_by_role("button", name="Whole trace").click()
    page.get_by_title("Drag or turn the wheel to zoom").hover()
    page.mouse.wheel(0, -400)
    expect(page.get_by_role("button", name="Whole trace")).to_be_visible()


def test_hours_without_anything_are_folded_and_records_are_marks(running, shop, visit):
    trace_id = browsing.send_gap(running, hours=3)
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open(f"traces/{trace_id}")
    expect(page.get_by_text("⋯ 3 h", exact=True)).to_be_visible()
    page.get_by_role("button", name="Fold gaps").click()
    expect(page.get_by_text("⋯ 3 h", exact=True)).to_have_count(0)
    visitor.open(f"traces/{shop}")
    failed = page.get_by_role("treegrid", name="Spans").get_by_role("row", name="charge card")
    expect(failed.get_by_title("error: card of order")).not_to_have_count(0)


def test_a_hundred_thousand_spans(running, visit):
    trace_id = browsing.send_large_trace(running, 100_000)
    with running.api() as client:
        browsing.wait_for(lambda: client.get(f"/traces/{trace_id}/summary").json().get("span_count") == 100_000)
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open(f"traces/{trace_id}")
    spans = page.get_by_role("treegrid", name="Spans")
    expect(spans).to_have_attribute("aria-rowcount", "100000")
    page.get_by_label("Find spans").fill("needle")
    expect(page.get_by_text("1 found")).to_be_visible()
    page.keyboard.press("Enter")
    expect(spans.get_by_role("row", selected=True)).to_contain_text("needle")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Group alike").click()
    browsing.wait_for(lambda: int(spans.get_attribute("aria-rowcount") or 0) < 100_000)
