"""What people do in the UI, in a real browser before a whole duoscope."""

import re
import subprocess
import time

import pytest

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect


ARRIVED_S = 10


@pytest.fixture(scope="module")
def fresh(start_up):
    """A duoscope to which nobody has sent anything."""
    with start_up() as up:
        yield up


def test_from_the_first_login_to_the_first_span(fresh, visit):
    visitor = visit(fresh)
    page = visitor.page
    visitor.log_in()
    expect(page.get_by_text("Send your first telemetry")).to_be_visible()
    expect(page.get_by_text("Waiting…")).to_have_count(3)
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("button", name="Copy key")).to_be_visible()
    command = page.get_by_role("tabpanel").locator("pre").inner_text()
    assert "<API key>" not in command
    done = subprocess.run(["bash", "-c", f"{command} -sSf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    began = time.monotonic()
    expect(page.get_by_text("✓ 1 span from hello")).to_be_visible()
    # Within two seconds on a quiet machine: it looks once a second.
    assert time.monotonic() - began < ARRIVED_S
    without_id = {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "nobody", "spanId": "00" * 8}]}]}]}
    browsing.send(fresh, "traces", without_id)
    rejected = page.get_by_role("list", name="Rejected in the last 24 hours")
    expect(rejected).to_contain_text("1 span of traces rejected invalid-id: a span needs a trace id of 16 bytes")
    visitor.open("metrics")
    expect(page.get_by_text("No points were sent yet")).to_be_visible()
    visitor.open("logs")
    page.get_by_role("link", name="Send data").last.click()
    page.get_by_role("link", name="Show traces").click()
    page.get_by_role("grid", name="Traces").get_by_text("GET /hello").click()
    page.get_by_role("treegrid", name="Spans").get_by_text("GET /hello").click()
    panel = page.get_by_role("complementary", name="Span")
    expect(panel.get_by_text("http.response.status_code")).to_be_visible()


def test_a_wrong_password_says_so_and_the_right_one_can_be_replaced(fresh, visit):
    up, visitor = fresh, visit(fresh)
    page = visitor.page
    page.goto(f"{up.api_url}/t/{up.known['tenant_id']}/logs?q=hello")
    page.get_by_label("Email").fill(up.known["admin_email"])
    page.get_by_label("Password").fill("not it")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("The address or the password is wrong.")
    visitor.was_refused(1)
    page.get_by_label("Password").fill(up.known["admin_password"])
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("New password").fill("a password of my very own")
    page.get_by_role("button", name="Set password").click()
    # The link that was opened is where one is after all this.
    expect(page.get_by_label("Query")).to_have_value("hello")
    page.reload()
    expect(page.get_by_label("Query")).to_have_value("hello")
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").find("ey") == -1


def test_tabs_go_on_and_end_together(running, shop, visit):
    visitor = visit(running)
    visitor.log_in()
    second = visitor.tab()
    second.goto(f"{running.api_url}/t/{running.known['tenant_id']}/traces")
    expect(second.get_by_role("heading", name="Traces")).to_be_visible()
    visitor.page.get_by_role("button", name=running.known["admin_email"]).click()
    visitor.page.get_by_role("menuitem", name="Log out", exact=True).click()
    for page in (visitor.page, second):
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
    second.reload()
    expect(second.get_by_role("button", name="Log in")).to_be_visible()


def test_a_search_of_logs_with_a_mistake_and_what_clicks_add_to_it(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs")
    query = page.get_by_label("Query")
    expect(query).to_be_visible()
    page.keyboard.press("/")
    expect(query).to_be_focused()
    query.fill("service:shop-payment severity>=errr")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("character 22")
    expect(page.locator("mark")).to_have_text("errr")
    # What may stand there is offered, and stands there at a click.
    page.get_by_role("group", name="What may stand there").get_by_role("button", name="error", exact=True).click()
    expect(query).to_have_value("service:shop-payment severity>=error")
    records = page.get_by_role("grid", name="Log records")
    expect(records).to_have_attribute("aria-rowcount", "6")
    expect(page.get_by_text("6 records", exact=True).first).to_be_visible()
    # Only the main button zooms.
    page.locator("figure svg").click(button="right")
    assert "from=" not in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(records).to_have_attribute("aria-activedescendant", re.compile("0$"))
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Log record")
    expect(panel).to_contain_text("card of order 0 declined")
    page.keyboard.press("j")
    expect(panel).to_contain_text("card of order 10 declined")
    # What a panel had of the focus goes to the list when it closes, and arrow keys go on there.
    panel.get_by_role("button", name="Close").click()
    expect(records).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("card of order 20 declined")
    page.keyboard.press("ArrowUp")
    expect(panel).to_contain_text("card of order 10 declined")
    field = panel.locator("div", has=page.locator("dt", has_text="order.id")).last
    field.hover()
    field.get_by_role("button", name="Not").click()
    expect(query).to_have_value("service:shop-payment severity>=error -order.id:10")
    expect(records).to_have_attribute("aria-rowcount", "5")
    page.go_back()
    expect(query).to_have_value("service:shop-payment severity>=error")
    expect(records).to_have_attribute("aria-rowcount", "6")
    # A link shows its record also where the list does not have it.
    page.goto(re.sub("q=[^&]*", "q=nothingatall", page.url))
    expect(page.get_by_text("No records match")).to_be_visible()
    expect(panel).to_contain_text("card of order 10 declined")
    expect(page.get_by_role("button", name="Without nothingatall")).to_be_visible()
    # What the console says of the mistake, which the list and the bars were answered.
    visitor.was_refused()


def test_a_trace_by_keys_from_the_list_to_its_error_and_its_logs(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("traces?q=service:shop-payment")
    expect(page.get_by_role("grid", name="Traces")).to_have_attribute("aria-rowcount", "1")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/traces/{shop}*")
    spans = page.get_by_role("treegrid", name="Spans")
    expect(spans).to_have_attribute("aria-rowcount", "4")
    page.keyboard.press("e")
    panel = page.get_by_role("complementary", name="Span")
    expect(panel).to_contain_text("card declined")
    assert "open=0000000000000003" in page.url
    panel.get_by_role("tab", name="Its logs").click()
    expect(panel.get_by_text("card of order 0 declined")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(spans).to_have_attribute("aria-rowcount", "2")
    page.keyboard.press("ArrowRight")
    expect(spans).to_have_attribute("aria-rowcount", "4")
    page.reload()
    expect(panel).to_contain_text("place order")


def test_a_session_that_ended_asks_over_the_page_and_keeps_what_was_typed(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=declined")
    expect(page.get_by_role("row").first).to_be_visible()
    page.get_by_label("Query").fill("declined -order")
    with running.api() as client:
        sessions = client.get("/sessions", params={"sort": "-created_at"}).json()["items"]
        of_browser = next(one for one in sessions if "Chrome" in (one["user_agent"] or ""))
        assert client.delete(f"/sessions/{of_browser['session_id']}").status_code == 204
    page.get_by_role("button", name="Refresh").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    for _ in range(3):
        expect(dialog.get_by_label("Password")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()
    # Keys of the page below it do nothing.
    dialog.get_by_role("button", name="Log in", exact=True).focus()
    page.keyboard.press("t")
    expect(page.get_by_role("dialog")).to_have_count(1)
    dialog.get_by_label("Password").fill(running.known["admin_password"])
    dialog.get_by_role("button", name="Log in", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("row").first).to_be_visible()
    expect(page.get_by_label("Query")).to_have_value("declined -order")
    visitor.was_refused()


def test_what_needs_a_recent_login_asks_for_it_and_goes_on(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    browsing.end_proof(running)
    everywhere = page.get_by_role("menuitem", name="Log out everywhere")
    dialog = page.get_by_role("dialog", name="Show once more who you are")
    account = page.get_by_title("Account")
    # Whoever gives up stays where they are.
    account.click()
    everywhere.click()
    expect(dialog.get_by_label("Password")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    account.click()
    everywhere.click()
    dialog.get_by_label("Password").fill("not it")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("That password is wrong.")
    dialog.get_by_label("Password").fill(running.known["admin_password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    with running.api() as client:
        assert client.get("/sessions").status_code == 200  # of this client, which has logged in anew
    visitor.was_refused()


def test_what_one_has_chosen_is_there_in_another_browser(running, shop, visit):
    page, other = visit(running), visit(running)
    page.log_in()
    page.page.get_by_title("Account").click()
    with page.page.expect_response("**/users/me") as kept:
        page.page.get_by_role("menuitem", name="Dark", exact=True).click()
    assert kept.value.status == 200
    other.log_in()
    expect(other.page.locator("html")).to_have_attribute("data-theme", "dark")
    other.page.get_by_title("Account").click()
    with other.page.expect_response("**/users/me"):
        other.page.get_by_role("menuitem", name="Like the system").click()


def test_an_empty_range_leads_to_the_newest(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z")
    expect(page.get_by_text("No log records in this range")).to_be_visible()
    page.get_by_role("button", name="Go to the newest").click()
    expect(page.get_by_role("grid", name="Log records").get_by_role("row").first).to_be_visible()
    visitor.open("traces?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&q=service:x")
    expect(page.get_by_role("button", name="Without service:x")).to_be_visible()


def test_a_link_into_a_tenant_without_a_role_says_so(running, shop, visit):
    visitor = visit(running)
    visitor.log_in()
    other = "01a22a64-99f6-76fe-b3a3-000000000000"
    visitor.page.goto(f"{running.api_url}/t/{other}/logs")
    expect(visitor.page.get_by_role("heading", name="You have no role in this tenant")).to_be_visible()
    visitor.page.get_by_role("link", name="Go to your own").click()
    expect(visitor.page.get_by_role("heading", name="Services")).to_be_visible()
    visitor.was_refused()


def test_a_filter_is_typed_in_its_middle_and_single_keys_can_be_switched_off(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    name = page.get_by_label("Filter services by name")
    expect(name).to_be_visible()
    page.keyboard.press("/")
    expect(name).to_be_focused()
    page.keyboard.type("payment")
    page.keyboard.press("Home")
    page.keyboard.type("shop-")
    expect(name).to_have_value("shop-payment")
    page.wait_for_url("**q=shop-payment*")
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    card = page.get_by_role("dialog", name="Keys")
    card.get_by_label("Single keys").uncheck()
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="Services")).to_be_visible()
    page.keyboard.press("t")
    page.get_by_role("button", name=running.known["admin_email"]).click()
    page.get_by_role("menuitem", name="Keys").click()
    expect(page.get_by_role("dialog")).to_have_count(1)
    card.get_by_label("Single keys").check()
    card.get_by_role("button", name="Close").click()
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", name="Logs")).to_be_visible()


def test_whoever_reads_logs_alone_begins_there_and_sees_no_way_to_traces(running, shop, visit):
    with running.api() as client:
        made = client.post("/roles", json={"name": "log reader", "permissions": ["log:read"]})
        assert made.status_code == 201, made.text
    of = ("--tenant", running.known["tenant_id"], "--role", "log reader", "--generate")
    user = running.admin("create-user", "logs@example.com", *of)
    visitor = visit(running)
    page = visitor.page
    visitor.log_in(email="logs@example.com", password=user["password"])
    page.wait_for_url("**/logs*")
    page.get_by_label("Query").fill("card of order 0 declined")
    page.keyboard.press("Enter")
    page.get_by_role("grid", name="Log records").get_by_text("card of order 0 declined").click()
    panel = page.get_by_role("complementary", name="Log record")
    expect(panel.get_by_text("trace_id")).to_be_visible()
    expect(panel.get_by_role("link", name="Open the trace")).to_have_count(0)
    expect(page.get_by_role("link", name="Traces")).to_have_count(0)


def test_the_query_completes_fields_and_values_and_knows_what_ran_before(running, shop, visit):
    with running.api() as client:
        browsing.wait_for(lambda: client.get("/fields/service/values?signal=logs&prefix=shop").json()["items"])
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs")
    query = page.get_by_label("Query")
    offers = page.get_by_role("listbox", name="Completions").get_by_role("option")
    query.click()
    page.keyboard.type("serv")
    expect(offers.first).to_contain_text("service")
    page.keyboard.press("Tab")
    expect(query).to_have_value("service:")
    page.keyboard.type("SHOP-P")
    expect(offers).to_have_text([re.compile(r"^shop-payment\s*\d+$")])
    page.keyboard.press("ArrowDown")
    expect(query).to_have_attribute("aria-activedescendant", re.compile("0$"))
    page.keyboard.press("Enter")
    expect(query).to_have_value("service:shop-payment ")
    page.keyboard.type("declined")
    page.keyboard.press("Enter")
    records = page.get_by_role("grid", name="Log records")
    expect(records).to_have_attribute("aria-rowcount", "6")
    query.fill("")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("listbox", name="Queries that ran here")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(query).to_have_value("service:shop-payment declined")
    page.get_by_role("button", name="How to write queries").click()
    expect(page.get_by_role("dialog", name="Queries")).to_contain_text("connection refused")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    # What was run is forgotten with the session.
    page.get_by_role("button", name=running.known["admin_email"]).click()
    page.get_by_role("menuitem", name="Log out", exact=True).click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert "declined" not in page.evaluate("JSON.stringify(localStorage)")


def test_clicks_on_the_values_of_fields_write_the_query(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment")
    query = page.get_by_label("Query")
    records = page.get_by_role("grid", name="Log records")
    fields = page.get_by_role("navigation", name="Fields")
    # The counts are of the query, and exact.
    failed = fields.get_by_role("button", name=re.compile(r"^error\s*6$"))
    placed = fields.get_by_role("button", name=re.compile(r"^info\s*54$"))
    expect(placed).to_be_visible()
    failed.click()
    expect(query).to_have_value("service:shop-payment severity:error")
    expect(records).to_have_attribute("aria-rowcount", "6")
    # Another value of the field takes the place of the first, and is still offered.
    placed.click()
    expect(query).to_have_value("service:shop-payment severity:info")
    placed.click(modifiers=["Alt"])
    expect(query).to_have_value("service:shop-payment -severity:info")
    expect(records).to_have_attribute("aria-rowcount", "6")
    fields.get_by_role("button", name="Not severity:info").click()
    expect(query).to_have_value("service:shop-payment")
    page.get_by_role("button", name="Fields", exact=True).click()
    expect(fields).to_have_count(0)


def test_a_record_stands_among_those_around_it_and_is_of_a_pattern(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?q=service:shop-payment severity:error")
    page.get_by_role("grid", name="Log records").get_by_text("card of order 30 declined").click()
    panel = page.get_by_role("complementary", name="Log record")
    panel.get_by_role("tab", name="Around it").click()
    around = panel.get_by_role("list", name="Records around it")
    expect(around.get_by_role("button")).to_have_count(41)
    expect(around.locator("[aria-current=true]")).to_contain_text("card of order 30 declined")
    # Older ones have the higher numbers.
    expect(around.get_by_role("button").first).to_contain_text("order 50")
    panel.get_by_role("button", name="Earlier").click()
    expect(around.get_by_role("button").first).to_contain_text("order 59 placed")
    expect(panel.get_by_role("button", name="Earlier")).to_have_count(0)
    around.get_by_text("order 31 placed").click()
    expect(around.locator("[aria-current=true]")).to_contain_text("order 31 placed")
    assert "severity%3Aerror" in page.url
    page.get_by_role("button", name="Patterns").click()
    row = page.get_by_role("row", name="card of order <*> declined")
    expect(row).to_contain_text("6")
    expect(page.get_by_text(re.compile(r"patterns? in 6 records; none match in the time before"))).to_be_visible()
    row.get_by_role("button", name="Records of").click()
    expect(page.get_by_label("Query")).to_have_value(re.compile(r"body:/card\\s\+of\\s\+order\\s\+\.\*\\s\+declined/$"))
    expect(page.get_by_role("grid", name="Log records")).to_have_attribute("aria-rowcount", "6")


def test_a_tail_shows_what_arrives_and_holds_still_while_one_reads(running, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("logs?view=tail&q=service:tailed-payment declined")
    expect(page.get_by_text("Nothing has arrived yet")).to_be_visible()
    state = page.get_by_role("status").filter(has_text=re.compile("Live|Paused"))
    expect(state).to_have_text("Live")
    browsing.send_shop(running, records=20, name="tailed")
    records = page.get_by_role("grid", name="Log records")
    expect(records).to_have_attribute("aria-rowcount", "2")
    records.get_by_text("card of order 10 declined").click()
    expect(page.get_by_role("complementary", name="Log record")).to_contain_text("card of order 10 declined")
    expect(state).to_have_text("Paused")
    browsing.send_shop(running, records=30, name="tailed")
    more = page.get_by_role("button", name="3 new")
    expect(more).to_be_visible()
    expect(records).to_have_attribute("aria-rowcount", "2")
    more.click()
    expect(records).to_have_attribute("aria-rowcount", "5")
    expect(page.get_by_role("complementary")).to_have_count(0)
    records.focus()
    page.keyboard.press("Space")
    expect(state).to_have_text("Paused")
    page.keyboard.press("Space")
    expect(state).to_have_text("Live")
    # A connection that is lost is made again, here with another session, and a line says what may be missing.
    with running.api() as client:
        sessions = client.get("/sessions", params={"sort": "-created_at"}).json()["items"]
        of_browser = next(one for one in sessions if "Chrome" in (one["user_agent"] or ""))
        assert client.delete(f"/sessions/{of_browser['session_id']}").status_code == 204
    dialog = page.get_by_role("dialog", name="Your session has ended")
    dialog.get_by_label("Password").fill(running.known["admin_password"])
    dialog.get_by_role("button", name="Log in", exact=True).click()
    expect(records.get_by_text("Connected again")).to_be_visible()
    expect(records).to_have_attribute("aria-rowcount", "6")
    page.get_by_label("Query").fill("severity>=")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Query, character")
    visitor.was_refused()


def test_a_box_on_the_heatmap_filters_or_says_what_its_spans_have_in_common(running, shop, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    asked = "service:(shop-frontend OR shop-checkout OR shop-payment)"
    visitor.open(f"traces?q={asked}")
    heatmap = page.locator("figure")
    expect(heatmap.get_by_text("4 spans", exact=True)).to_be_visible()
    page.get_by_role("button", name="Compare the slowest").click()
    panel = page.get_by_role("complementary", name="Comparison")
    expect(panel).to_contain_text("In the box: 1 span")
    expect(panel).to_contain_text("The rest: 3 spans")
    only = panel.get_by_role("button", name='Only name:"POST /checkout"')
    only.focus()
    only.click()
    expect(page.get_by_label("Query")).to_have_value(f'{asked} name:"POST /checkout"')
    expect(panel).to_have_count(0)
    expect(heatmap.get_by_text("1 span", exact=True)).to_be_visible()
    page.go_back()
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    # All of the time, but the upper half of the durations alone.
    expect(heatmap.get_by_text("4 spans", exact=True)).to_be_visible()
    place = heatmap.locator("canvas").bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 1, place["y"] + 1)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] - 1, place["y"] + place["height"] / 3)
    page.mouse.up()
    page.get_by_role("button", name="Compare with the rest").click()
    expect(panel).to_contain_text("The rest:")
    # A trace leads back to the list, with the box and its comparison.
    page.get_by_role("grid", name="Traces").get_by_role("row").first.click()
    page.get_by_role("link", name="Traces").filter(has_text="←").click()
    expect(panel).to_contain_text("The rest:")
    listed = page.url
    visitor.open(f"traces?q={asked}&view=compare&box=1-2-1-2")
    expect(panel).to_contain_text("No span is in the box")
    page.goto(listed)
    page.get_by_role("button", name="Only these").click()
    expect(page.get_by_label("Query")).to_have_value(re.compile(r" duration:\(>=\S+ms <\S+ms\)$"))
    expect(heatmap.get_by_text("3 spans", exact=True)).to_be_visible()
    assert "from=" in page.url
