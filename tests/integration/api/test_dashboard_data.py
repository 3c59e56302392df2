"""The data of a dashboard over the API, from telemetry that was sent."""

import asyncio
import json
from uuid import UUID

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.dashboards import data, management
from duoscope.dashboards.data import Viewer
from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.stores.clickhouse.questions import Described
from duoscope.telemetry import logs
from duoscope.telemetry.times import TimeRange
from support.shared import shared

MINUTE_NS = 60 * 10**9
END_NS = now_unix_nano() // MINUTE_NS * MINUTE_NS - 5 * MINUTE_NS
START_NS = END_NS - 60 * MINUTE_NS
RIGHTS = ("dashboard:read", "dashboard:write", "metric:read", "log:read", "trace:read")


def promql(expression):
    return {"kind": "promql", "expression": expression}


def dashboard(*widgets, collapsed=(), variables=()):
    """Widgets by (key, type, questions), those of the second kind in a collapsed section."""
    made = [
        {
            "key": key,
            "type": kind,
            "queries": [{"name": f"Q{number}", **each} for number, each in enumerate(queries)],
        }
        for key, kind, queries in (*widgets, *collapsed)
    ]
    places = [{"widget": each["key"], "x": 0, "y": 4 * n, "width": 4, "height": 4} for n, each in enumerate(made)]
    sections = [
        {"places": places[: len(widgets)]},
        {"title": "More", "is_collapsed": True, "places": places[len(widgets) :]},
    ]
    return {"name": "D", "widgets": made, "sections": sections, "variables": list(variables)}


@pytest.fixture
async def scope(new_scope, deliver, otlp):
    made = new_scope()
    for pod, value in (("a", 1.0), ("b", 2.0)):
        points = [
            NumberDataPoint(
                time_unix_nano=START_NS + n * MINUTE_NS, as_double=value, attributes=otlp.attributes({"pod": pod})
            )
            for n in range(61)
        ]
        await deliver(made, otlp.metrics("cart", Metric(name="depth", gauge=Gauge(data_points=points))))
    records = [{"time_unix_nano": END_NS - n * MINUTE_NS - 1, "body": f"refused {n}"} for n in range(3)]
    await deliver(made, otlp.logs("cart", *records))
    return made


@pytest.fixture
def ask(api, scope):
    """Stores a dashboard and asks for its data; answers it by widget and query."""

    async def data(document, *rights, status=200, **body):
        headers = await api.headers(scope, *(rights or RIGHTS))
        writer = await api.headers(scope, *RIGHTS)
        made = await api.client.post("/api/v1/dashboards", json=document, headers=writer)
        assert made.status_code == 201, made.text
        asked = {"start": str(START_NS), "end": str(END_NS)} | body
        path = f"/api/v1/dashboards/{made.json()['dashboard_id']}/data"
        answer = await api.client.post(path, json=asked, headers=headers)
        assert answer.status_code == status, answer.text
        if status != 200:
            return answer.json()
        return {each["key"]: {query["name"]: query for query in each["queries"]} for each in answer.json()["widgets"]}

    return data


async def test_every_widget_has_its_answer(ask):
    shown = await ask(
        dashboard(
            ("line", "line_chart", [{"question": promql("depth"), "legend": "{{pod}} of $who"}]),
            ("now", "stat", [{"question": promql("sum(depth)"), "is_instant": True}]),
            ("errors", "stat", [{"question": {"kind": "log", "query": "refused"}, "is_instant": True}]),
            ("logs", "logs", [{"question": {"kind": "log-records", "query": "refused", "limit": 2}}]),
            ("wrong", "stat", [{"question": promql("depth + on(none) depth")}, {"question": promql("1")}]),
            ("hidden", "stat", [{"question": promql("2"), "is_hidden": True}]),
            variables=[{"kind": "text", "name": "who", "value": "us"}],
        )
    )
    line = shown["line"]["Q0"]
    assert (line["step_seconds"], line["legend"]) == (15, "{{pod}} of us")
    assert line["start"] + 15 * 239 == END_NS // 10**9
    assert sorted((each["labels"]["pod"], set(each["values"])) for each in line["series"]) == [
        ("a", {1.0}),
        ("b", {2.0}),
    ]
    assert all(len(each["values"]) == 240 for each in line["series"])
    assert [each["values"] for each in shown["now"]["Q0"]["series"]] == [[3.0]]
    assert [each["values"] for each in shown["errors"]["Q0"]["series"]] == [[3.0]]
    records = shown["logs"]["Q0"]
    assert [each["body"] for each in records["records"]] == ["refused 0", "refused 1"]
    assert not records["is_complete"]
    assert shown["wrong"]["Q0"]["error"]["code"] == "invalid-question"
    assert shown["wrong"]["Q1"]["error"] is None
    assert shown["hidden"] == {}


async def test_equal_questions_are_asked_once_and_collapsed_ones_not(ask, monkeypatch):
    asked = []
    run = TelemetryReader.query

    async def query(self, sql, parameters=None, *, name, settings=None):
        asked.append(name)
        return await run(self, sql, parameters, name=name, settings=settings)

    monkeypatch.setattr(TelemetryReader, "query", query)
    records, counted = ({"question": {"kind": kind, "query": "refused"}} for kind in ("log-records", "log"))
    await ask(dashboard(("logs", "logs", [records]), ("count", "stat", [counted])))
    once = sorted(asked)
    assert "logs.search" in once
    asked.clear()
    twice = dashboard(
        ("logs", "logs", [records]),
        ("table", "table", [records, records | {"is_instant": True}]),
        ("count", "stat", [counted, counted]),
        collapsed=[("three", "logs", [{"question": {"kind": "log-records", "query": "other"}}])],
    )
    later = {"start": str(START_NS + MINUTE_NS), "end": str(END_NS + MINUTE_NS)}
    shown = await ask(twice, **later)
    assert set(shown) == {"logs", "table", "count"}
    assert [len(each["records"]) for each in shown["table"].values()] == [3, 3]
    assert shown["count"]["Q0"]["series"] == shown["count"]["Q1"]["series"] != []
    assert asked.count("logs.aggregate") == once.count("logs.aggregate")
    asked.clear()
    assert await ask(twice, **later) == shown | {
        key: {name: query | {"cost": query["cost"] | {"is_cached": True}} for name, query in of.items()}
        for key, of in shown.items()
    }
    assert asked == []  # whoever looks next has the same answers
    opened = await ask(twice, widgets=["three"])
    assert list(opened) == ["three"]
    assert asked


async def test_fifty_who_look_cost_as_much_as_one(api, scope, monkeypatch):
    asked = []
    run = TelemetryReader._run

    async def counted(self, name, settings, work):
        asked.append(name)
        return await run(self, name, settings, work)

    monkeypatch.setattr(TelemetryReader, "_run", counted)
    headers = [await api.headers(scope, *RIGHTS) for _ in range(50)]
    widgets = [(f"w{n}", "line_chart", [{"question": promql(f"depth * {n}")}]) for n in range(20)]
    document = dashboard(*widgets, ("errors", "stat", [{"question": {"kind": "log", "query": "refused"}}]))
    made = await api.client.post("/api/v1/dashboards", json=document, headers=headers[0])
    path = f"/api/v1/dashboards/{made.json()['dashboard_id']}/data"

    costs = []

    async def look(who, end_ns):
        body = {"start": str(end_ns - 30 * MINUTE_NS), "end": str(end_ns)}
        answer = await api.client.post(path, json=body, headers=who)
        assert answer.status_code == 200, answer.text
        costs.append(answer.headers.get("duoscope-cost"))
        return [(each["key"], each["queries"][0]["series"]) for each in answer.json()["widgets"]]

    first = await look(headers[0], END_NS - MINUTE_NS)
    of_one = len(asked)
    assert 0 < of_one < 20  # expressions are read together
    said = dict(part.split("=") for part in costs[0].split(", "))
    assert int(said["queries"]) == of_one + 20  # and each expression has its turn to be computed
    assert int(said["rows"]) > 0
    assert await look(headers[1], END_NS - MINUTE_NS) == first
    assert costs[1] is None  # it was all known
    asked.clear()
    # Not one of them looks at the same moment, but all in the same step.
    answers = await asyncio.gather(*(look(who, END_NS + n * 10**8) for n, who in enumerate(headers)))
    assert all(each == answers[0] for each in answers)
    assert all(series for _, series in answers[0])
    assert len(asked) <= 2 * of_one
    assert not api.services.answers._flying


async def test_widgets_come_as_they_are_ready_and_end_with_who_looks(api, scope, monkeypatch):
    headers = await api.headers(scope, *RIGHTS)
    begun, let = asyncio.Event(), asyncio.Event()
    search = logs.search

    async def slow(*args, **how):
        begun.set()
        await let.wait()
        return await search(*args, **how)

    monkeypatch.setattr(logs, "search", slow)
    document = dashboard(
        ("logs", "logs", [{"question": {"kind": "log-records", "query": "refused"}}]),
        ("line", "line_chart", [{"question": promql("depth")}]),
    )
    made = await api.client.post("/api/v1/dashboards", json=document, headers=headers)
    principal = await who(api, headers)
    _, kept = await management.read(api.services.metadata, principal, UUID(made.json()["dashboard_id"]))
    viewer = Viewer(
        scope, api.services.telemetry.bind(scope), api.services.metadata, principal.permissions, Described()
    )

    async def look(end_ns):
        times = TimeRange(end_ns - 60 * MINUTE_NS, end_ns)
        return data.answers(api.services.answers, await data.look(viewer, kept, times, variables={}, widgets=None))

    first, second = await look(END_NS), await look(END_NS)
    assert (await anext(first)).key == "line"
    assert (await anext(second)).cost.is_cached
    await begun.wait()
    (flight,) = api.services.answers._flying.values()
    await first.aclose()
    assert (flight.waiting, flight.errand.task.done()) == (1, False)  # somebody else still looks
    await second.aclose()
    assert not api.services.answers._flying
    await asyncio.wait({flight.errand.task})
    assert flight.errand.task.cancelled()
    let.set()
    asked = {"start": str(START_NS), "end": str(END_NS)}
    lines = await api.client.post(
        f"/api/v1/dashboards/{made.json()['dashboard_id']}/data",
        json=asked,
        headers=headers | {"accept": "application/x-ndjson"},
    )
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert sorted(json.loads(line)["key"] for line in lines.text.splitlines()) == ["line", "logs"]


async def who(api, headers):
    token = headers["authorization"].removeprefix("Bearer ")
    actor = Actor(user_id=None, email="", kind="user", ip_address=None, user_agent=None, request_id=new_id())
    return await api.services.access.principal(api.services.tokens.verify(token), actor)


async def test_variables_are_answered_together_and_after_each_other(api, scope):
    headers = await api.headers(scope, *RIGHTS)
    label = {"kind": "label-values", "label": "pod"}
    document = dashboard(("line", "line_chart", [{"question": promql('depth{pod=~"$pod"}')}])) | {
        "variables": [
            {"kind": "query", "name": "again", "source": label | {"selector": 'depth{pod="$pod"}'}, "value": ["zzz"]},
            {"kind": "query", "name": "pod", "source": label | {"selector": "depth"}},
            {"kind": "query", "name": "value", "regex": "depth.* (\\d)\\.?\\d* ",
             "source": {"kind": "query-result", "expression": "depth"}},
            {"kind": "query", "name": "service", "source": {"kind": "field-values", "signal": "logs",
                                                            "field": "service", "query": "refused"}},
            {"kind": "interval", "name": "every", "options": ["1m", "5m"]},
        ]
    }  # fmt: skip
    document["widgets"][0]["repeat"] = "pod"
    document["variables"][1] |= {"include_all": True, "multi": True}
    made = await api.client.post("/api/v1/dashboards", json=document, headers=headers)
    assert made.status_code == 201, made.text
    path = f"/api/v1/dashboards/{made.json()['dashboard_id']}"
    times = {"start": str(START_NS), "end": str(END_NS)}

    async def ask(what="variables", **body):
        answer = await api.client.post(f"{path}/{what}", json=times | body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = {each["name"]: each for each in (await ask())["variables"]}
    assert [each["error"] for each in found.values()] == [None] * 5
    shown = {name: ([o["value"] for o in each["options"]], each["value"]) for name, each in found.items()}
    assert shown == {"again": (["a"], ["a"]), "pod": (["a", "b"], ["a"]), "value": (["1", "2"], ["1"]),
                     "service": (["cart"], ["cart"]), "every": (["1m", "5m"], ["1m"])}  # fmt: skip
    changed = (await ask(changed=["pod"], variables={"pod": ["b"], "again": ["a"]}))["variables"]
    assert [(each["name"], each["value"]) for each in changed] == [("again", ["b"])]
    copies = (await ask("data", variables={"pod": ["$__all"]}))["widgets"]
    assert [(each["repeated"], each["queries"][0]["series"][0]["labels"]["pod"]) for each in copies] == [
        ({"pod": "a"}, "a"),
        ({"pod": "b"}, "b"),
    ]
    circle = document | {"variables": [
        {"kind": "query", "name": name, "source": label | {"selector": f'x{{a="${other}"}}'}}
        for name, other in (("pod", "b"), ("b", "pod"))
    ]}  # fmt: skip
    refused = await api.client.post("/api/v1/dashboards", json=circle, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-dashboard")


async def test_variables_are_chosen_by_who_looks(ask):
    variables = [
        {"kind": "query", "name": "pod", "source": {"kind": "label-values", "label": "pod"}, "multi": True,
         "include_all": True, "value": ["$__all"]},
        {"kind": "list", "name": "k", "options": [{"value": "1"}, {"value": "2"}]},
    ]  # fmt: skip
    document = dashboard(
        ("some", "stat", [{"question": promql('depth{pod=~"$pod"}'), "is_instant": True}]),
        ("top", "stat", [{"question": promql("topk($k, depth)"), "is_instant": True}]),
        variables=variables,
    )

    def pods(shown, key):
        assert shown[key]["Q0"]["error"] is None, shown
        return sorted(each["labels"]["pod"] for each in shown[key]["Q0"]["series"])

    at_first = await ask(document)
    assert (pods(at_first, "some"), pods(at_first, "top")) == (["a", "b"], ["b"])
    assert pods(await ask(document, variables={"pod": ["a"]}), "some") == ["a"]
    assert pods(await ask(document, variables={"pod": ['a"} or depth{pod="b']}), "some") == []
    refused = await ask(document, variables={"k": ["3"]}, status=400)
    assert refused["code"] == "invalid-variable"
    assert (await ask(document, variables={"other": []}, status=400))["code"] == "invalid-variable"
    assert (await ask(document, widgets=["other"], status=400))["code"] == "invalid-request"


async def test_a_question_needs_the_permission_of_its_signal(ask):
    document = dashboard(
        ("metric", "stat", [{"question": promql("depth")}]),
        ("logs", "logs", [{"question": {"kind": "log-records"}}]),
    )
    shown = await ask(document, "dashboard:read", "metric:read")
    assert shown["metric"]["Q0"]["series"]
    assert shown["logs"]["Q0"]["error"]["code"] == "forbidden"
    assert "log:read" in shown["logs"]["Q0"]["error"]["message"]
    assert shown["logs"]["Q0"]["records"] == []


@pytest.mark.parametrize(
    "name", ["prometheus-operator__apiserver", "traefik__traefik", "istio__istio-service-dashboard"]
)
async def test_every_converted_panel_of_a_real_dashboard_can_be_asked(api, scope, name):
    headers = await api.headers(scope, *RIGHTS)
    source = json.loads(shared("dashboards", f"{name}.json").read_text("utf-8"))
    made = await api.client.post("/api/v1/dashboards/import", json={"document": source}, headers=headers)
    assert made.status_code == 201, made.text
    keys = [widget["key"] for widget in made.json()["dashboard"]["widgets"]]
    path = f"/api/v1/dashboards/{made.json()['stored']['dashboard_id']}/data"
    answer = await api.client.post(path, json={"widgets": keys}, headers=headers)
    errors = [query["error"] for each in answer.json()["widgets"] for query in each["queries"] if query["error"]]
    assert errors == []
    assert sum(len(each["queries"]) for each in answer.json()["widgets"]) > 10


async def test_a_call_asks_so_much_and_ends_in_time(api, ask, monkeypatch):
    async def never(*args, **how):
        await asyncio.Event().wait()

    document = dashboard(
        ("line", "line_chart", [{"question": promql("depth")}]),
        ("logs", "logs", [{"question": {"kind": "log-records", "query": "refused"}}]),
    )
    monkeypatch.setattr(logs, "search", never)
    monkeypatch.setattr(data, "CALL_S", 2.0)
    shown = await ask(document)
    assert shown["line"]["Q0"]["series"]
    assert shown["logs"]["Q0"]["error"]["code"] == "timeout"
    assert not api.services.answers._flying
    monkeypatch.setattr(data, "QUESTIONS_MAX", 1)
    assert (await ask(document, status=400))["code"] == "invalid-request"


async def test_a_widget_may_have_a_range_of_its_own(ask):
    document = dashboard(*((key, "line_chart", [{"question": promql("depth")}]) for key in ("own", "whole")))
    document["widgets"][0]["range_seconds"] = 600
    shown = await ask(document)
    spans = {key: (each["Q0"]["start"], each["Q0"]["step_seconds"]) for key, each in shown.items()}
    end_s = END_NS // 10**9
    assert spans == {"own": (end_s - 600 + 5, 5), "whole": (end_s - 3600 + 15, 15)}
