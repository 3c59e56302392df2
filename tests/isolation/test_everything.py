"""Every operation of the OpenAPI document, called as its parameters ask for, against a neighbour who has the same.

The other files of this folder look closely at what each resource should do; this one makes sure that none is left out:
a new path is called here without anybody writing a line, and a new kind of id fails until it is said what it is.
"""

import dataclasses
import random
import re
import statistics
import time
from types import SimpleNamespace

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.identity.operators import administration
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from support.alerts import alerting, notified
from support.api import timeless

_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}
_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
_SHARED = {"region_id", "permission_id", "slug", "name", "version", "token"}
"""Ids of what is everybody's; `slug` names the login of an organization, which strangers may begin, `name` a label of
Prometheus, which all may ask for, and `token` opens a shared dashboard to whoever has it."""
_VOLATILE = {"/metrics", "/health/live", "/health/ready", "/api/v1/logs/tail", "/api/v1/queries"}
"""Of the process, without end, or about what was just asked; test_routes.py follows a tail and looks at queries."""
_TEST = PlatformScope(reason="a test")
_ORGANIZATIONS = {"organization_id", "workspace_id", "identity_provider_id", "email_domain_id"}
"""What two tenants of one workspace have in common, or cannot reach at all."""
_OF_ORGANIZATIONS = tuple(f"/api/v1/{name}" for name in ("identity-providers", "email-domains", "organizations/"))
"""What is read by who may do so organization-wide, and by no tenant's admin."""


@pytest.fixture
def mine(new_scope):
    return new_scope()


@pytest.fixture(params=["in the same workspace", "in another organization"])
def theirs(request, mine, new_scope):
    return dataclasses.replace(mine, tenant_id=new_id()) if "workspace" in request.param else new_scope()


@pytest.fixture
def admin(api):
    async def headers(scope, **reach):
        return (await api.headers(scope, *ROLE_PERMISSIONS, **reach)) | _SAME_ID

    return headers


@pytest.fixture
async def operations(api):
    """(method, path, names of its path parameters, names of its query parameters) of the whole document."""
    document = (await api.client.get("/schema/openapi.json")).json()
    return [
        (
            method.upper(),
            path,
            re.findall(r"\{(\w+)\}", path),
            {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"},
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.fixture
def inhabit(api, admin, deliver, otlp):
    """Fill a tenant with one of everything; answers the ids by the names that paths give them."""
    above = {}

    async def fill(scope) -> dict[str, str]:
        headers = await admin(scope)
        # One an organization: every tenant of it sees who may do everything in all of them.
        if scope.organization_id not in above:
            above[scope.organization_id] = await admin(scope, organization_wide=True)

        async def make(path, body, who=headers):
            answer = await api.client.post(f"/api/v1/{path}", json=body, headers=who)
            assert answer.status_code == 201, (path, answer.text)
            return answer.json()

        role = await make("roles", {"name": "on-call", "permissions": ["log:read"]})
        key = await make("api-keys", {"name": "collector", "permissions": ["logs:write"]})
        body = {"email": "same@example.com", "role_ids": [role["role_id"]]}
        invitation = await make("invitations", body)
        provider = {"name": "Login", "issuer": "https://login.example.com", "client_id": "duoscope",
                    "client_secret": "hush", "allowed_email_domains": ["example.com"]}  # fmt: skip
        made_provider = await make("identity-providers", provider, above[scope.organization_id])
        domain = {"domain": f"{scope.tenant_id}.example"}
        claim = await make("email-domains", domain, above[scope.organization_id])
        me = (await api.client.get("/api/v1/auth/me", headers=headers)).json()
        held = await make(f"users/{me['user_id']}/roles", {"role_id": role["role_id"]})
        sessions = (await api.client.get("/api/v1/sessions", headers=headers)).json()["items"]
        regions = (await api.client.get("/api/v1/regions", headers=headers)).json()["items"]
        permissions = (await api.client.get("/api/v1/permissions", headers=headers)).json()["items"]
        trace_id, span_id = new_id().bytes, new_id().bytes[-8:]
        span = {"trace_id": trace_id, "span_id": span_id, "name": "GET /", "kind": 2, "status": 2,
                "start_time_unix_nano": _START_NS, "end_time_unix_nano": _START_NS + 5}  # fmt: skip
        await deliver(
            scope,
            otlp.logs("checkout", {"time_unix_nano": _START_NS, "body": "refused", "trace_id": trace_id}),
            otlp.spans("checkout", span),
            with_values=True,
        )
        group = await make("notification-groups", {"name": "On call"})
        channel = {"notification_group_id": group["group_id"], "name": "hook", "channel_type": "webhook",
                   "config": {"url": "https://example.com/hook"}}  # fmt: skip
        made_channel = await make("notification-channels", channel)
        silence = {"matchers": [{"name": "job", "operator": "=", "value": "x"}], "comment": "moving",
                   "ends_at": "2100-01-01T00:00:00Z"}  # fmt: skip
        made_silence = await make("silences", silence)
        window = {"name": "Nights", "starts_at": "2026-01-01T02:00", "ends_at": "2026-01-01T04:00", "time_zone": "UTC",
                  "recurrence": "FREQ=DAILY", "matchers": silence["matchers"]}  # fmt: skip
        made_window = await make("maintenance-windows", window)
        inhibits = {"name": "Severe", "source_matchers": silence["matchers"], "target_matchers": silence["matchers"]}
        made_inhibition = await make("inhibition-rules", inhibits)
        objective = {"name": "Works", "objective": 0.99, "good_config": {"kind": "trace", "query": "status:ok"},
                     "total_config": {"kind": "trace"}}  # fmt: skip
        made_slo = await make("slos", objective | {"windows": []})
        part = f"w{scope.tenant_id.hex}"
        drawn = await make("dashboards", _dashboard(part))
        link = await make(f"dashboards/{drawn['dashboard_id']}/links", {"name": "Wiki"})
        template = await make("dashboard-templates", {"name": "Ours", "dashboard_id": drawn["dashboard_id"]})
        recorded = {"content": "groups: [{name: a, rules: [{record: a:b, expr: up}]}]"}
        imported = await api.client.post("/api/v1/alert-rules/import", json=recorded, headers=headers)
        rule_id, notification_id = await notified(api, scope, group["group_id"])
        instance_id = await alerting(api, scope, rule_id)
        found = await api.client.post("/api/v1/logs/search", json={"start": str(_START_NS)}, headers=headers)
        return {
            "headers": headers,
            "record_id": found.json()["items"][0]["id"],
            "user_id": me["user_id"],
            "user_role_id": held["user_role_id"],
            "role_id": role["role_id"],
            "api_key_id": key["api_key_id"],
            "invitation_id": invitation["invitation_id"],
            "identity_provider_id": made_provider["identity_provider_id"],
            "email_domain_id": claim["email_domain_id"],
            "slug": made_provider["slug"],
            "group_id": group["group_id"],
            "silence_id": made_silence["silence_id"],
            "maintenance_window_id": made_window["maintenance_window_id"],
            "inhibition_rule_id": made_inhibition["inhibition_rule_id"],
            "channel_id": made_channel["channel_id"],
            "slo_id": made_slo["slo_id"],
            "alert_rule_id": str(rule_id),
            "instance_id": str(instance_id),
            "named_expression_id": imported.json()["items"][0]["id"],
            "notification_id": str(notification_id),
            "dashboard_id": drawn["dashboard_id"],
            "dashboard_link_id": link["link"]["dashboard_link_id"],
            "version": "1",
            "template_id": template["template_id"],
            "token": link["token"],
            "key": part,
            "session_id": sessions[0]["session_id"],
            # A login over the network makes one, and a query has one while it runs; of what has none, any id will do.
            "device_id": str(new_id()),
            "query_id": str(new_id()),
            "region_id": regions[0]["region_id"],
            "name": "job",
            "permission_id": permissions[0]["permission_id"],
            "trace_id": trace_id.hex(),
            "span_id": span_id.hex(),
            "tenant_id": str(scope.tenant_id),
            "workspace_id": str(scope.workspace_id),
            "organization_id": str(scope.organization_id),
        }

    return fill


@pytest.fixture
def world(api, operations, admin, inhabit):
    return SimpleNamespace(client=api.client, operations=operations, admin=admin, inhabit=inhabit)


def _dashboard(part: str) -> dict:
    """A dashboard with a widget and a variable of that name."""
    widget = {
        "key": part,
        "type": "stat",
        "queries": [{"name": "A", "question": {"kind": "promql", "expression": "up"}}],
    }
    place = {"widget": part, "x": 0, "y": 0, "width": 6, "height": 4}
    variable = {"kind": "text", "name": part}
    return {"name": "Same", "widgets": [widget], "sections": [{"places": [place]}], "variables": [variable]}


def _query(path: str, names: set[str], ids: dict[str, str]) -> dict[str, str]:
    known = {"start": str(_START_NS), "end": str(_START_NS + 3600 * 10**9), "metric": "depth",
             "limit": "50", "id": ids["record_id"], "signal": "logs", "service": "checkout", "query": "up",
             "match[]": "up", "step": "60"}  # fmt: skip
    if path.startswith("/api/v1/prom/"):  # Prometheus tells time in seconds
        known |= {"start": str(_START_NS // 10**9), "end": str(_START_NS // 10**9 + 3600)}
    if path in _METRIC_STANDS_WITH_METRICS:
        known |= {"signal": "metrics", "query": "service:checkout"}
    if path == "/api/v1/metrics/heatmap":  # points of metrics have no words
        known["query"] = "service:checkout"
    return {name: value for name, value in known.items() if name in names}


_METRIC_STANDS_WITH_METRICS = {"/api/v1/fields", "/api/v1/fields/{name}/values"}


def _queries(path: str, names: set[str], ids: dict[str, str]) -> list[dict[str, str]]:
    """What each read is asked: once, or once for each signal where the parameters of one are not those of another."""
    asked = _query(path, names, ids)
    if path not in _METRIC_STANDS_WITH_METRICS:
        return [asked]
    others = {name: "up" if name == "query" else value for name, value in asked.items() if name != "metric"}
    if path == "/api/v1/fields":  # of items all that came are listed
        others.pop("query")
    return [asked, others | {"signal": "logs"}, others | {"signal": "traces"}]


def _unknown(ids: dict[str, str]) -> dict[str, str]:
    made = {
        "trace_id": new_id().hex,
        "span_id": new_id().hex[-16:],
        "record_id": f"{_START_NS:016x}{random.getrandbits(64):016x}",
    }
    return {name: made.get(name) or str(new_id()) for name in ids}


async def test_every_read_is_the_same_bytes_with_and_without_a_neighbour(world, mine, theirs, queries):
    own = await world.inhabit(mine)
    reads = [
        (path, names, query)
        for method, path, names, query in world.operations
        if method == "GET" and path not in _VOLATILE and "slug" not in names
    ]
    readers = {"tenant's admin": own["headers"]}
    if theirs.organization_id != mine.organization_id:  # otherwise the tenant is no neighbour of theirs
        readers["organization's admin"] = await world.admin(mine, organization_wide=True)

    async def read():
        answers = {}
        for path, names, query in reads:
            assert not set(names) - set(own), f"{path}: say in this file what these are"
            for who, headers in readers.items():
                for number, params in enumerate(_queries(path, query, own)):
                    answer = await world.client.get(path.format(**own), params=params, headers=headers)
                    answers[who, path, number] = (answer.status_code, answer.content)
        return answers

    alone = await read()
    for (who, path, _), (status, content) in alone.items():
        assert status == 200 or (status, who) == (403, "tenant's admin"), (path, content)
    refused = {path for (_, path, _), (status, _) in alone.items() if status == 403}
    assert all(path.startswith(_OF_ORGANIZATIONS) for path in refused), refused
    assert {name.partition(".")[0] for name, *_ in queries} >= {"traces", "services", "service_map", "metrics"}
    await world.inhabit(theirs)
    again = await read()
    for call, expected in alone.items():
        assert again[call] == expected, call


def _body(method: str, path: str) -> dict | None:
    """Something that the path would take, were the id one's own."""
    if method == "PATCH":
        return {"expires_at": None} if path.endswith("{user_role_id}") else _CHANGES.get(path, {"name": "taken over"})
    return _BODIES.get(path, {}) if method == "POST" else None


_CHANGES = {
    "/api/v1/users/{user_id}": {"first_name": "Eve"},
    "/api/v1/silences/{silence_id}": {"comment": "taken over"},
    "/api/v1/dashboards/{dashboard_id}/visibility": {"visibility": "workspace"},
    "/api/v1/alert-rules/{alert_rule_id}/notification-groups": {"notification_group_ids": []},
}
_BODIES = {
    "/api/v1/api-keys/{api_key_id}/revoke": {"reason": "taken over"},
    "/api/v1/alerts/{instance_id}/acknowledge": {"comment": "taken over"},
    "/api/v1/users/{user_id}/roles": {"role_id": "{own_role_id}"},
    "/api/v1/dashboards/{dashboard_id}/links": {"name": "taken over"},
    "/api/v1/dashboards/{dashboard_id}/widgets": {"widget": {"key": "a", "type": "text"}},
}


async def _foreign_calls(world, headers, own, foreign, skipped):
    """Each operation with the neighbour's ids and with ids that never were: both answers."""
    never = _unknown(foreign)
    for method, path, names, _ in world.operations:
        if not names or set(names) & (_SHARED | skipped):
            continue
        body = _body(method, path)
        if body:
            body = {key: own["role_id"] if value == "{own_role_id}" else value for key, value in body.items()}
        for ids in (foreign, never):
            assert not set(names) - set(ids), f"{path}: say in this file what these are"
        # One id of theirs in a path of mine, too: a user of mine with a role of theirs.
        for mixed in [set(), *({name} for name in names if len(names) > 1)]:
            answers = [
                await world.client.request(
                    method,
                    path.format(**{name: (own if name in mixed else ids)[name] for name in names}),
                    json=body,
                    headers=headers,
                )
                for ids in (foreign, never)
            ]
            yield method, path, answers


async def test_every_foreign_id_answers_as_one_that_never_was(world, mine, theirs):
    own, foreign = await world.inhabit(mine), await world.inhabit(theirs)
    calls = [(own["headers"], _ORGANIZATIONS)]
    if theirs.organization_id != mine.organization_id:
        calls = [(own["headers"], set()), (await world.admin(mine, organization_wide=True), set())]
    called = 0
    for headers, skipped in calls:
        async for method, path, answers in _foreign_calls(world, headers, own, foreign, skipped):
            called += 1
            # 403 only where the caller may do that to nothing at all, which says nothing of the id.
            assert answers[0].status_code in {403, 404}, (method, path, answers[0].text)
            assert answers[0].content == answers[1].content, (method, path)
            assert timeless(answers[0].headers) == timeless(answers[1].headers), (method, path)
    assert called > 20
    still = await world.client.get(f"/api/v1/api-keys/{foreign['api_key_id']}", headers=foreign["headers"])
    assert (still.status_code, still.json()["status"]) == (200, "active")


_SAMPLES = 150
_ROUNDS = 3
_APART = 0.2


def _bias(first: list[float], second: list[float]) -> float:
    """How far the chance that a sample of the first is above one of the second is from one half: 0 alike, 0.5 apart.

    The statistic of the rank test of Mann, Whitney and Wilcoxon: a few slow samples of a busy machine do not move it.
    """
    above = sum((a > b) + (a == b) / 2 for a in first for b in second)
    return above / (len(first) * len(second)) - 0.5


async def _times(call, choices, *, before=None):
    """Seconds of each choice, called in random order, so that whatever else the machine does befalls all alike."""
    order = [choice for choice in choices for _ in range(_SAMPLES)]
    random.shuffle(order)
    found = {choice: [] for choice in choices}
    for choice in order:
        if before is not None:
            await before()
        began = time.perf_counter()
        await call(choice)
        found[choice].append(time.perf_counter() - began)
    return found


def test_the_bias_tells_a_tenth_of_a_difference_from_none():
    rng = random.Random(1)
    noisy = [[rng.expovariate(1) + shift for _ in range(_SAMPLES)] for shift in (1, 1, 2)]
    assert abs(_bias(noisy[0], noisy[1])) < _APART < abs(_bias(noisy[0], noisy[2]))


@pytest.mark.parametrize("path", ["roles/{role_id}", "api-keys/{api_key_id}", "users/{user_id}", "traces/{trace_id}"])
async def test_a_foreign_id_takes_as_long_as_one_that_never_was(api, inhabit, mine, new_scope, path):
    """With 150 samples each, chance alone moves the bias by 0.033: six of that, three times over, is no chance."""
    own, foreign = await inhabit(mine), await inhabit(new_scope())
    never = _unknown(foreign)

    async def call(ids):
        answer = await api.client.get(f"/api/v1/{path.format(**dict(ids))}", headers=own["headers"])
        assert answer.status_code == 404

    choices = [tuple((k, v) for k, v in ids.items() if k.endswith("_id")) for ids in (foreign, never)]
    biases = []
    for _ in range(_ROUNDS):
        times = await _times(call, choices)
        biases.append(_bias(times[choices[0]], times[choices[1]]))
        if abs(biases[-1]) < _APART:
            return
    pytest.fail(f"foreign ids can be told by the time they take: {biases}, median {statistics.median(biases)}")


@pytest.mark.parametrize("state", ["true", "false, password_expires_at = now()"])
async def test_a_wrong_password_takes_as_long_for_an_account_as_for_none(api, state):
    """Nobody learns by the clock who has an account, one that is closed, or one whose password has ended."""
    store = api.services.metadata
    tenant = await administration.create_tenant(store, organization="O", workspace="W", tenant="T")
    known = {"email": "known@example.com", "password": "correct horse battery"}
    await administration.create_user(store, api.services.hasher, tenant_id=tenant.tenant_id, **known)
    async with store.open_platform(_TEST, "test.account") as tx:
        await tx.execute(f"UPDATE users SET is_active = {state}")

    async def call(email):
        body = {"email": email, "password": "not the right one"}
        answer = await api.client.post("/api/v1/auth/login", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid-credentials")

    async def forget():
        async with store.open_platform(_TEST, "test.forget") as tx:
            await tx.execute("DELETE FROM login_attempts")

    biases = []
    for _ in range(_ROUNDS):
        times = await _times(call, ("known@example.com", "never@example.com"), before=forget)
        biases.append(_bias(*times.values()))
        if abs(biases[-1]) < _APART:
            return
    pytest.fail(f"accounts can be told by the time that a wrong password takes: {biases}")
