"""The palette, by keyboard alone."""

import re

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def test_the_palette_goes_to_pages_services_and_traces_and_does_what_keys_do(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs")
    line = page.get_by_role("textbox", name="Query")
    line.focus()
    # It opens wherever one writes, keeps the focus, and gives it back.
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Palette")
    wanted = dialog.get_by_role("combobox")
    expect(wanted).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
        expect(wanted).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(line).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("shop-payment traces")
    expect(dialog.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/traces\?.*q=service"))
    expect(page.get_by_role("textbox", name="Query")).to_have_value("service:shop-payment")
    page.keyboard.press("Control+k")
    page.keyboard.insert_text(f" 00-{shop}-0000000000000003-01 ")
    expect(dialog.get_by_role("option", selected=True)).to_contain_text(f"Open trace {shop}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/traces/{shop}*")
    spans = page.get_by_role("treegrid", name="Spans")
    expect(spans).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("next error")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("card declined")
    page.get_by_role("button", name="Find").click()
    page.keyboard.type("nothing is called so")
    expect(dialog.get_by_text("Nothing is called like that.")).to_be_visible()
    page.keyboard.press("Enter")
    wanted.fill("dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Control+k")
    page.keyboard.type("metr")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Metrics")).to_be_visible()
