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
