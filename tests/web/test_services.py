"""The page of services, in a real browser."""

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect


def test_a_service_has_its_form_over_time_and_its_change_against_the_window_before(running, visit):
    for ago_s in (5400, 5300, 600):
        browsing.send_shop(running, records=10, name="elder", ago_s=ago_s)
    browsing.send_shop(running, records=10, name="younger")
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("services?q=er-payment")
    elder, younger = (page.get_by_role("row", name=f"{name}-payment") for name in ("elder", "younger"))
    expect(elder.get_by_role("img", name="Requests of elder-payment over time")).to_be_visible()
    expect(elder.get_by_role("img", name="Errors of elder-payment over time")).to_be_visible()
    expect(elder.get_by_text("\N{MINUS SIGN}50%")).to_have_attribute("title", "0.0/min in the window before")
    # All failed, then and now: that is no change; and what was not there before has nothing to be compared with.
    expect(elder.get_by_text("100%", exact=True)).to_be_visible()
    expect(younger.get_by_text("100%", exact=True)).to_be_visible()
    expect(younger.get_by_text("%")).to_have_count(1)
