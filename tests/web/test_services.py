"""The page of services, in a real browser."""

import re

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect


def test_a_service_has_its_form_over_time_and_its_change_against_the_window_before(running, visit):
    for ago_s in (7000, 5300, 600):
        browsing.send_shop(running, records=10, name="elder", ago_s=ago_s)
    browsing.send_shop(running, records=10, name="younger")
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("services?q=er-payment")
    elder, younger = (page.get_by_role("row", name=f"{name}-payment") for name in ("elder", "younger"))
    expect(elder.get_by_role("img", name="Requests of elder-payment over time")).to_be_visible()
    expect(elder.get_by_role("img", name="Errors of elder-payment over time")).to_be_visible()
    expect(elder.get_by_text("\N{MINUS SIGN}50%")).to_have_attribute("title", "2.0/h in the window before")
    # All failed, then and now: that is no change; and what was not there before has nothing to be compared with.
    expect(elder.get_by_text("100%", exact=True)).to_be_visible()
    expect(younger.get_by_text("100%", exact=True)).to_be_visible()
    expect(younger.get_by_text("%")).to_have_count(1)


def test_a_service_shows_a_release_what_fails_and_leads_on_from_a_point(running, visit):
    browsing.send_shop(running, name="till", ago_s=900)
    browsing.send_shop(running, name="till", ago_s=300, version="2.0")
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("services?q=till-payment")
    page.get_by_role("link", name="till-payment").click()
    expect(page.get_by_role("heading", name="till-payment", level=1)).to_be_visible()
    expect(page.get_by_text("2.0 was first seen at")).to_be_visible()
    expect(page.locator("figure").first.get_by_text("2.0", exact=True)).to_be_visible()
    operations = page.get_by_role("region", name="Operations")
    expect(operations.get_by_role("row", name="charge card")).to_contain_text("100%")
    failures = page.get_by_role("region", name="Errors by message")
    expect(failures.get_by_role("row", name="card declined")).to_contain_text("2")
    callers, callees = (page.get_by_role("region", name=name) for name in ("Callers", "Callees"))
    expect(callers.get_by_role("link", name="till-checkout")).to_be_visible()
    expect(callees).to_contain_text("It calls nobody")
    # By keys alone: the chart is a table too, whose rows lead on.
    page.get_by_text("As a table").focus()
    page.keyboard.press("Enter")
    steps = page.get_by_role("row").filter(has=page.get_by_role("link", name="Failed traces here"))
    expect(steps).to_have_count(2)
    steps.last.get_by_role("link", name="Failed traces here").click()
    expect(page.get_by_label("Query")).to_have_value("service:till-payment status:error")
    expect(page.get_by_role("grid", name="Traces").get_by_role("row")).to_have_count(1)
    page.go_back()
    chart = page.get_by_role("region", name="Requests").locator("canvas")
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] - 3, "y": 20})
    expect(page.get_by_role("status").filter(has_text="none failed")).to_be_visible()
    page.get_by_role("link", name="Logs here").click()
    expect(page.get_by_label("Query")).to_have_value("service:till-payment")
    assert "from=" in page.url
    page.go_back()
    expect(page.get_by_role("heading", name="till-payment", level=1)).to_be_visible()
    expect(page.get_by_text("2.0 was first seen at")).to_be_visible()
    operations.get_by_role("button", name="charge card").click()
    expect(page.get_by_text("Only charge card (server)")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Only charge card")).to_have_count(0)


def test_the_map_shows_the_neighbours_of_a_node_and_is_a_table_too(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    page.get_by_role("button", name="Map").click()
    drawn = page.get_by_role("region", name="Map of services")
    payment = drawn.get_by_role("button", name="shop-payment: ")
    expect(payment).to_have_accessible_name(re.compile("100% failed"))
    calls = page.get_by_role("region", name="Calls").get_by_role("row")
    everything = calls.count()
    payment.focus()
    page.keyboard.press("Enter")
    expect(payment).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Only its neighbours").click()
    expect(drawn.get_by_role("button")).to_have_count(2)
    expect(calls).to_have_count(2)
    assert everything > 2
    address = page.url
    page.reload()
    expect(drawn.get_by_role("button")).to_have_count(2)
    assert page.url == address
    calls.last.get_by_role("link", name="shop-payment").click()
    expect(page.get_by_role("heading", name="shop-payment", level=1)).to_be_visible()


@pytest.fixture
def crowded(start_up):
    """A stack of its own: other tests look for their services among few."""
    with start_up() as up:
        browsing.send_fan(up, 70)
        yield up


def test_a_map_of_too_many_services_draws_neighbours_at_once(crowded, visit):
    visitor = visit(crowded)
    page = visitor.page
    visitor.log_in()
    visitor.open("services?view=map&open=fan-7")
    expect(page.get_by_text("nodes are too many to draw: these are the neighbours of fan-7.")).to_be_visible()
    expect(page.get_by_role("region", name="Map of services").get_by_role("button")).to_have_count(2)
    page.get_by_label("Node").select_option("fan-0")
    expect(page.get_by_role("region", name="Map of services").get_by_role("button")).to_have_count(60)
