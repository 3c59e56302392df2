"""The pages of metrics, in a real browser."""

import re

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def test_a_metric_is_found_asked_and_broken_down(running, measured, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    page.get_by_role("link", name="Metrics").click()
    rows = page.get_by_role("grid", name="Metrics").get_by_role("row")
    page.get_by_label("Find a metric").fill("shop.")  # other tests of this stack may have sent more
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("shop.latency")
    expect(rows.first).to_contain_text("histogram")
    expect(rows.first.get_by_role("img", name="p95 of shop.latency")).to_be_visible()
    expect(rows.nth(1)).to_contain_text("order")
    page.get_by_label("Find a metric").fill("payment")
    expect(rows).to_have_count(2)
    page.get_by_label("Find a metric").fill("long")
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    query = page.get_by_role("region", name="Query A")
    expect(query.get_by_label("Metric of query A")).to_have_value("shop.latency")
    # What is offered fits the type; averages of a histogram are not the first that one sees.
    aggregation = query.get_by_label("Aggregation of query A")
    expect(aggregation).to_have_value("p95")
    assert "last" not in aggregation.locator("option").all_inner_texts()
    label = query.get_by_label("Label for query A")
    label.click()
    page.keyboard.type("serv")
    expect(query.get_by_role("listbox").get_by_role("option").first).to_have_text("service")
    page.keyboard.press("Enter")
    series = page.get_by_role("table").get_by_role("row")
    expect(series).to_have_count(3)
    expect(series.nth(1)).to_contain_text("service=shop-payment")
    page.get_by_role("button", name="max", exact=True).click()
    page.get_by_role("button", name="max", exact=True).click()
    expect(series.nth(1)).to_contain_text("service=shop-frontend")
    page.get_by_role("button", name="service=shop-frontend").click()
    expect(series.nth(1)).to_have_attribute("aria-selected", "true")


def test_a_filter_completes_says_its_mistakes_and_a_label_breaks_it_down(running, measured, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open('metrics?m=[{"m":"shop.latency","by":["service"]}]')
    query = page.get_by_role("region", name="Query A")
    series = page.get_by_role("table").get_by_role("row")
    expect(series).to_have_count(3)
    filtered = query.get_by_label("Filter of query A")
    filtered.fill("service:(")
    page.keyboard.press("Enter")
    expect(query.get_by_role("alert")).to_contain_text("Query, character 10")
    filtered.fill("service:shop-pay")
    expect(query.get_by_role("listbox").get_by_role("option")).to_have_text([re.compile("^shop-payment")])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(filtered).to_have_value("service:shop-payment ")
    page.keyboard.press("Enter")
    expect(series).to_have_count(2)
    page.get_by_role("tab", name="Break down").click()
    by_route = page.get_by_role("region", name="By route")
    expect(by_route.get_by_role("listitem")).to_have_text(["/0", "/1"])
    by_route.get_by_role("button", name="Break down").click()
    page.get_by_role("tab", name="Series").click()
    expect(series).to_have_count(3)
    address = page.url
    page.reload()
    expect(series).to_have_count(3)
    assert page.url == address
    assert visitor.refusals
    visitor.refusals.clear()


def test_a_formula_over_two_queries_and_the_same_in_promql(running, measured, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open('metrics?m=[{"m":"shop.orders","a":"increase"}]')
    series = page.get_by_role("table").get_by_role("row")
    expect(series).to_have_count(2)
    page.get_by_role("button", name="+ Query").click()
    page.get_by_label("Metric of query B").click()
    page.keyboard.type("latency")
    page.keyboard.press("Enter")
    page.get_by_label("Aggregation of query B").select_option("count")
    formula = page.get_by_label("Formula")
    formula.fill("a /")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("unexpected end of input")
    formula.fill("a / b")
    page.keyboard.press("Enter")
    # Fifteen orders and twenty-one requests in each minute.
    ratio = series.filter(has_text="a / b")
    expect(ratio).to_contain_text("0.714")
    for letter in "AB":
        page.get_by_role("button", name=f"Query {letter} in the chart").click()
    expect(series).to_have_count(2)
    page.get_by_role("button", name="Remove query B").click()
    expect(page.get_by_role("region", name="Query B")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("b")
    page.get_by_role("button", name="PromQL").click()
    line = page.get_by_role("textbox", name="PromQL")
    line.fill("sum by (job) (")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("parse error")
    line.fill("sum by (job) (shop_orders_total)")
    page.keyboard.press("Enter")
    expect(series).to_have_count(3)
    expect(page.get_by_role("button", name="job=shop-frontend")).to_be_visible()
    assert visitor.refusals
    visitor.refusals.clear()


def test_an_exemplar_leads_to_its_trace(running, measured, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open('metrics?m=[{"m":"shop.latency"}]')
    dot = page.locator("figure a")
    expect(dot).to_have_count(1)
    dot.click()
    page.wait_for_url(re.compile(rf"/traces/{measured}.*open=0000000000000003"))
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("card declined")
    page.go_back()
    page.get_by_role("tab", name="Exemplars").click()
    page.get_by_role("link", name=measured).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/traces/{measured}"))


def test_a_histogram_has_a_heatmap_and_the_same_as_a_table(running, measured, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open('metrics?m=[{"m":"shop.latency"}]&range=30m')
    page.get_by_role("tab", name="Heatmap").click()
    bands = page.get_by_role("table", name="Observations of shop.latency by value").get_by_role("row")
    # Of two services, ten minutes long: nine quick ones each, and three slow ones of the second.
    expect(bands).to_have_text([re.compile("^Value"), re.compile("^100 ms . 1 s3014%14%"), "up to 100 ms18086%100%"])
    chart = page.get_by_role("figure").filter(has_text="210 observations")
    expect(chart.get_by_role("link", include_hidden=True)).to_have_count(1)
    query = page.get_by_role("region", name="Query A").get_by_label("Filter of query A")
    query.fill("service:shop-payment route:/1")
    page.keyboard.press("Enter")
    expect(bands.nth(1)).to_contain_text("15")
    expect(bands.nth(2)).to_contain_text("45")
    plot = page.get_by_role("figure").filter(has_text="60 observations").locator("canvas")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("from=.*to="))
    page.go_back()
    expect(bands.nth(2)).to_contain_text("45")
    visitor.open('metrics?m=[{"m":"shop.orders"}]&view=heatmap')
    expect(page.get_by_role("tab", name="Series")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name="Heatmap")).to_have_count(0)


def test_promql_completes_functions_metrics_labels_and_values(running, measured, visit):
    visitor = visit(running)
    page = visitor.page
    visitor.log_in()
    visitor.open("metrics?promql=vector(1)")
    line = page.get_by_role("textbox", name="PromQL")
    offers = page.get_by_role("listbox", name="Completions").get_by_role("option")
    line.fill("")
    line.press_sequentially("sum by (")
    page.keyboard.press("Escape")
    line.fill("")
    line.press_sequentially("increas")
    expect(offers).to_have_text(["increase"])
    page.keyboard.press("Tab")
    expect(line).to_have_value("increase(")
    line.press_sequentially("shop_ord")
    expect(offers).to_have_text(["shop_orders_total"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    line.press_sequentially("{jo")
    expect(offers).to_have_text(["job"])
    page.keyboard.press("Tab")
    expect(line).to_have_value('increase(shop_orders_total{job="')
    expect(offers).to_have_text(["shop-frontend", "shop-payment"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    line.press_sequentially("}[5m])")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(2)
