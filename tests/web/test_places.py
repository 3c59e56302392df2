"""Tenants, tabs, roles, ranges and views: where one is, and what stays there."""

import os
import re
import signal
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect


@pytest.fixture(scope="module")
def second(running):
    """A tenant beside the first one, in which one service has sent a record."""
    tenant_id = running.admin("create-tenant", "Second")["tenant_id"]
    key = running.admin("create-api-key", "--tenant", tenant_id)["api_key"]
    record = {"body": {"stringValue": "of the second tenant"}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "second-service"}}]}
    logs = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    browsing.send(running, "logs", logs, key=key)
    return tenant_id


def test_a_switch_leaves_nothing_of_the_former_tenant(running, shop, second, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs")
    page.get_by_label("Query").fill("service:shop-payment declined")
    page.keyboard.press("Enter")
    page.get_by_role("grid", name="Log records").get_by_text("card of order 0 declined").click()
    expect(page.get_by_role("complementary", name="Log record")).to_contain_text("shop-payment")
    page.get_by_title("Switch tenant").click()
    page.get_by_role("menuitem", name="Second").click()
    page.wait_for_url(f"**/t/{second}/**")
    page.get_by_role("link", name="Logs").click()
    expect(page.get_by_role("grid", name="Log records").get_by_text("of the second tenant")).to_be_visible()
    page.get_by_role("textbox", name="Query").click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Palette").get_by_role("combobox").fill("shop")
    expect(page.get_by_text("Nothing is called like that.")).to_be_visible()
    said = page.evaluate("[document.documentElement.outerHTML, document.title, JSON.stringify(history.state)].join()")
    assert not re.search("shop-|declined|order 0", said)
    assert page.evaluate("caches.keys()") == []


def test_an_unknown_page_keeps_the_menu_and_leads_home(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("dashboards/none")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Logs")).to_be_visible()
    page.goto(f"{running.api_url}/nowhere")
    page.get_by_role("link", name="Go to the first page").click()
    expect(page.get_by_role("heading", name="Services", level=1)).to_be_visible()


def test_a_link_opens_in_its_tenant_and_two_tabs_are_in_two(running, shop, second, visit):
    visitor = visit(running)
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment")
    other = visitor.tab()
    other.goto(f"{running.api_url}/t/{second}/logs")
    own, theirs = (page.get_by_role("grid", name="Log records") for page in (visitor.page, other))
    expect(theirs.get_by_text("of the second tenant")).to_be_visible()
    expect(own).to_have_attribute("aria-rowcount", re.compile(r"^\d+$"))
    # Both tokens have to be had anew at once; one tab waits for the other.
    for page in (visitor.page, other):
        page.reload(wait_until="commit")
    expect(theirs.get_by_text("of the second tenant")).to_be_visible()
    expect(own.get_by_text("card of order 0 declined")).to_be_visible()
    visitor.page.get_by_title("Account").click()
    visitor.page.get_by_role("menuitem", name="Log out", exact=True).click()
    for page in (visitor.page, other):
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_a_role_is_taken_and_given_back_while_its_holder_looks_on(running, shop, visit):
    tenant = running.known["tenant_id"]
    user = running.admin("create-user", "looking@example.com", "--tenant", tenant, "--role", "viewer", "--generate")
    visitor = visit(running)
    page = visitor.page
    visitor.log_in(email="looking@example.com", password=user["password"])
    visitor.open("logs?q=service:shop-payment")
    records = page.get_by_role("grid", name="Log records")
    expect(records.get_by_role("row").first).to_be_visible()
    with running.api() as client:
        (found,) = client.get("/users", params={"email": "looking@example.com"}).json()["items"]
        roles = f"/users/{found['user_id']}/roles"
        (held,) = client.get(roles).json()["items"]
        assert client.delete(f"{roles}/{held['user_role_id']}").status_code == 204
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_text("log:read").first).to_be_visible()
        given = client.post(roles, json={"role_id": held["role_id"], "tenant_id": tenant})
        assert given.status_code == 201, given.text
    page.get_by_role("button", name="Refresh").click()
    expect(records.get_by_role("row").first).to_be_visible()
    visitor.was_refused()


def test_a_view_is_kept_under_a_name_for_all_browsers(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment+severity:error&range=3h")
    expect(page.get_by_role("grid", name="Log records")).to_be_visible()
    dialog = page.get_by_role("dialog", name="Palette")
    page.keyboard.press("Control+k")
    page.keyboard.type("save")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("combobox", name="Name of the view")).to_be_focused()
    page.keyboard.type("Failed payments")
    with page.expect_response("**/users/me") as kept:
        page.keyboard.press("Enter")
    assert kept.value.status == 200
    other = visit(running)
    other.log_in()
    other.page.keyboard.press("Control+k")
    other.page.keyboard.type("failed pay")
    other.page.keyboard.press("Enter")
    expect(other.page.get_by_role("textbox", name="Query")).to_have_value("service:shop-payment severity:error")
    assert "range=3h" in other.page.url
    other.page.keyboard.press("Control+k")
    other.page.keyboard.type("forget failed")
    with other.page.expect_response("**/users/me") as forgotten:
        other.page.keyboard.press("Enter")
    assert forgotten.value.json()["settings"]["views"] == []


def test_a_range_goes_back_and_forth_in_any_zone(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?from=2026-01-01T12:00:00Z&to=2026-01-01T13:00:00Z&tz=UTC")
    trigger = page.get_by_title(re.compile("^Time range, in "))
    expect(trigger).to_contain_text("2026-01-01 12:00")
    page.get_by_role("button", name="The range before this one").click()
    expect(trigger).to_contain_text("2026-01-01 11:00")
    page.get_by_role("button", name="The range after this one").click()
    expect(trigger).to_contain_text("2026-01-01 12:00")
    trigger.click()
    page.get_by_label("Another time zone").fill("Asia/Tokyo")
    expect(trigger).to_contain_text("2026-01-01 21:00")
    assert "tz=Asia%2FTokyo" in page.url


def test_a_store_that_is_away_is_said_and_what_it_has_comes_back(start_up, visit):
    with start_up() as up:
        browsing.send_shop(up)
        visitor = visit(up)
        page = visitor.page
        visitor.log_in()
        visitor.open("logs")
        records = page.get_by_role("grid", name="Log records")
        expect(records.get_by_role("row").first).to_be_visible()
        processes = _postgres(up)
        _signalled(processes, signal.SIGSTOP)
        try:
            page.get_by_role("button", name="Refresh").click()
            alert = page.get_by_role("alert").filter(has=page.get_by_role("button", name="Try again")).first
            expect(alert).to_be_visible()
        finally:
            _signalled(processes, signal.SIGCONT)
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(records.get_by_role("row").first).to_be_visible()
        visitor.was_refused()
        page.goto("about:blank")  # before duoscope goes for good, which a page would complain of


def _postgres(up) -> list[int]:
    """The processes of its PostgreSQL."""
    first = int((up.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    children = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if path.read_text().rpartition(")")[2].split()[1] == str(first)
    ]
    return [first, *children]


def _signalled(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)
