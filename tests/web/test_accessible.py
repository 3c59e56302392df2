"""Every page under axe, in both themes: WCAG 2.0 to 2.2, A and AA."""

import pytest

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

_OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
LATENCY = '[{"m":"shop.latency","by":["service"]}]'


def violations(page) -> list[str]:
    found = axe.Axe().run(page, options=_OPTIONS).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_passes_axe(running, shop, measured, visit, theme):
    visitor = visit(running, theme=theme)
    page = visitor.page
    page.goto(running.api_url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    found = {"login": violations(page)}
    visitor.log_in()
    pages = {
        "services": ("services", "shop-payment"),
        "service": ("services/one?service=shop-payment", "charge card"),
        "map": ("services?view=map&open=shop-payment", "of calls, those that fail most first"),
        "logs": ("logs?q=service:shop-payment", "declined"),
        "traces": ("traces?q=service:shop-payment", "POST /checkout"),
        "patterns": ("logs?view=patterns&q=service:shop-payment", "card of order <*> declined"),
        "tail": ("logs?view=tail", "Nothing has arrived yet"),
        "trace": (f"traces/{shop}?open=0000000000000003", "card declined"),
        "metrics": ("metrics", "shop.latency"),
        "explorer": (f"metrics?m={LATENCY}", "service=shop-payment"),
        "breakdown": (f"metrics?view=labels&m={LATENCY}", "/1"),
        "heatmap": (f"metrics?view=heatmap&m={LATENCY}", "up to 100 ms"),
        "exemplars": (f"metrics?view=exemplars&m={LATENCY}", "300 ms"),
        "promql": ("metrics?promql=shop_orders_total", "job=shop-payment"),
        "flame": (f"traces/{shop}?view=flame", "The same spans as rows"),
        "ingest": ("ingest?open=shop.latency", "Label of shop.latency"),
        "start": ("start", "Make a key"),
        "nothing": ("logs?q=nothingatall", "No records match"),
    }
    for name, (path, shown) in pages.items():
        visitor.open(path)
        expect(page.get_by_text(shown).first).to_be_visible()
        found[name] = violations(page)
        if name == "logs":
            page.get_by_role("button", name="Unfold the record here").first.click()
            expect(page.get_by_role("button", name="Fold the record", exact=True)).to_be_visible()
            found["unfolded"] = violations(page)
            page.get_by_role("button", name="Fold the record", exact=True).click()
            page.get_by_role("grid", name="Log records").focus()  # Enter would be the button's
            page.keyboard.press("j")
            page.keyboard.press("Enter")
            expect(page.get_by_role("complementary")).to_be_visible()
            found["log"] = violations(page)
            page.get_by_role("tab", name="Around it").click()
            expect(page.get_by_role("list", name="Records around it").get_by_role("button").first).to_be_visible()
            found["context"] = violations(page)
            page.keyboard.press("Escape")
            page.get_by_label("Query").fill("sev")
            expect(page.get_by_role("listbox")).to_be_visible()
            found["completion"] = violations(page)
            page.keyboard.press("Escape")
            page.get_by_role("button", name="How to write queries").click()
            found["query help"] = violations(page)
            page.keyboard.press("Escape")
            page.keyboard.press("t")
            expect(page.get_by_role("dialog", name="Time range")).to_be_visible()
            found["time"] = violations(page)
            page.keyboard.press("Escape")
            page.keyboard.press("Control+k")
            expect(page.get_by_role("option", name="shop-payment: traces")).to_be_visible()
            found["palette"] = violations(page)
            page.keyboard.press("Escape")
    visitor.open("traces?q=service:(shop-frontend OR shop-checkout OR shop-payment)")
    page.get_by_role("button", name="Compare the slowest").click()
    expect(page.get_by_role("complementary", name="Comparison")).to_contain_text("In the box")
    found["comparison"] = violations(page)
    assert not {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.parametrize("width", [320, 720])
def test_login_logs_and_a_trace_have_room_on_a_telephone_and_under_zoom(running, shop, visit, width):
    visitor = visit(running, width=width, height=700)
    page = visitor.page
    page.goto(running.api_url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    visitor.log_in()
    for path, shown in (
        ("logs?q=service:shop-payment", "declined"),
        (f"traces/{shop}", "charge card"),
        (f"traces/{shop}?open=0000000000000003", "card declined"),
    ):
        visitor.open(path)
        expect(page.get_by_text(shown).first).to_be_visible()
        assert page.evaluate(wide) <= width, path
        # All of the menu is in reach.
        for link in page.get_by_role("navigation", name="Pages").get_by_role("link").all():
            box = link.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
    visitor.open("logs?q=service:shop-payment")
    page.get_by_role("grid", name="Log records").get_by_role("row").first.click()
    expect(page.get_by_role("complementary", name="Log record").get_by_text("service.version")).to_be_visible()
    assert page.evaluate(wide) <= width
