"""Every route of the API against a neighbour: same workspace, same names, other tenant.

A route that is not in ROUTES fails the first test. The rest compare bytes: what a tenant is answered must not change
when the neighbour's telemetry arrives, and the neighbour's ids must answer as ids that never were.
"""

import asyncio
import dataclasses
import json
import re

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from duoscope.identity.operators import administration
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.stores.clickhouse.questions import Described, asking
from support.api import timeless
from support.prometheus_probes import OPEN_TO_USERS, Form, prometheus_probes

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
_RANGE = {"start": _START_NS, "end": _START_NS + 3600 * 10**9}
_IN_URL = f"start={_RANGE['start']}&end={_RANGE['end']}"
_OWN_TRACE, _THEIR_TRACE = b"A" * 16, b"B" * 16

OPEN = "says nothing of any tenant"
OF_A_SESSION = "acts on the secret in its own body; tests/integration/authentication/test_auth.py"
OWN_TEST = "has a test of its own below"
PEOPLE = "has tests of its own in tests/isolation/test_people.py"
METERING = "has tests of its own in tests/isolation/test_metering.py"
PROVIDERS = "tests/isolation/test_identity_providers.py"
SECOND_FACTORS = "tests/isolation/test_second_factors.py"
KEYS_AND_AUDIT = "tests/isolation/test_keys_and_audit.py"
LIMITS = "tests/isolation/test_organization_limits.py"
DASHBOARDS = "tests/isolation/test_everything.py"
STRANGERS = "whatever a stranger sends: tests/integration/api/test_shared_dashboards.py"
NOTIFICATION = "tests/isolation/test_notifications.py"
ALERTS = "what another tenant has, and ids of theirs: tests/isolation/test_everything.py"
ONES_OWN = "a person's own; tests/isolation/test_signing_in.py"

ROUTES = {
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("POST", "/api/v1/auth/login"): OF_A_SESSION,
    ("POST", "/api/v1/auth/refresh"): OF_A_SESSION,
    ("POST", "/api/v1/auth/reauthenticate"): ONES_OWN,
    ("POST", "/api/v1/auth/logout"): OF_A_SESSION,
    ("GET", "/api/v1/auth/me"): OWN_TEST,
    ("POST", "/api/v1/auth/password/forgotten"): OF_A_SESSION,
    ("POST", "/api/v1/auth/password/reset"): OF_A_SESSION,
    ("POST", "/api/v1/auth/password/change"): ONES_OWN,
    ("POST", "/api/v1/auth/email"): ONES_OWN,
    ("POST", "/api/v1/auth/email-verification"): ONES_OWN,
    ("POST", "/api/v1/auth/email-verification/confirm"): OF_A_SESSION,
    ("GET", "/api/v1/sessions"): ONES_OWN,
    ("DELETE", "/api/v1/sessions"): ONES_OWN,
    ("DELETE", "/api/v1/sessions/{session_id}"): ONES_OWN,
    ("DELETE", "/api/v1/users/{user_id}/sessions"): PEOPLE,
    ("DELETE", "/api/v1/organizations/{organization_id}/sessions"): PEOPLE,
    ("GET", "/api/v1/devices"): ONES_OWN,
    ("DELETE", "/api/v1/devices/{device_id}"): ONES_OWN,
    ("GET", "/api/v1/auth/mfa"): SECOND_FACTORS,
    ("POST", "/api/v1/auth/mfa/enrolment"): SECOND_FACTORS,
    ("POST", "/api/v1/auth/mfa/confirmation"): SECOND_FACTORS,
    ("POST", "/api/v1/auth/mfa/backup-codes"): SECOND_FACTORS,
    ("POST", "/api/v1/auth/mfa/disable"): SECOND_FACTORS,
    ("POST", "/api/v1/users/{user_id}/mfa/reset"): SECOND_FACTORS,
    ("GET", "/api/v1/auth/oidc/{slug}/start"): PROVIDERS,
    ("POST", "/api/v1/auth/oidc/{slug}/start"): PROVIDERS,
    ("GET", "/api/v1/auth/oidc/{slug}/callback"): PROVIDERS,
    ("POST", "/api/v1/email-domains"): PROVIDERS,
    ("GET", "/api/v1/email-domains"): PROVIDERS,
    ("GET", "/api/v1/email-domains/{email_domain_id}"): PROVIDERS,
    ("POST", "/api/v1/email-domains/{email_domain_id}/verify"): PROVIDERS,
    ("DELETE", "/api/v1/email-domains/{email_domain_id}"): PROVIDERS,
    ("POST", "/api/v1/identity-providers"): PROVIDERS,
    ("GET", "/api/v1/identity-providers"): PROVIDERS,
    ("GET", "/api/v1/identity-providers/{identity_provider_id}"): PROVIDERS,
    ("PATCH", "/api/v1/identity-providers/{identity_provider_id}"): PROVIDERS,
    ("DELETE", "/api/v1/identity-providers/{identity_provider_id}"): PROVIDERS,
    ("POST", "/api/v1/identity-providers/{identity_provider_id}/restore"): PROVIDERS,
    ("GET", "/api/v1/logs/tail"): OWN_TEST,
    ("GET", "/api/v1/logs/context"): OWN_TEST,
    ("GET", "/api/v1/logs/patterns"): [
        f"/api/v1/logs/patterns?query=refused&{_IN_URL}",
        f"/api/v1/logs/patterns?compare_end={_START_NS}&{_IN_URL}",
    ],
    ("GET", "/api/v1/traces/{trace_id}/logs"): [f"/api/v1/traces/{_OWN_TRACE.hex()}/logs"],
    ("GET", "/api/v1/logs/export"): [f"/api/v1/logs/export?query=refused&{_IN_URL}"],
    ("GET", "/api/v1/logs/{record_id}"): "tests/integration/telemetry/test_large_answers.py",
    ("GET", "/api/v1/audit-logs"): KEYS_AND_AUDIT,
    ("POST", "/api/v1/api-keys"): KEYS_AND_AUDIT,
    ("GET", "/api/v1/api-keys"): KEYS_AND_AUDIT,
    ("GET", "/api/v1/api-keys/{api_key_id}"): KEYS_AND_AUDIT,
    ("PATCH", "/api/v1/api-keys/{api_key_id}"): KEYS_AND_AUDIT,
    ("POST", "/api/v1/api-keys/{api_key_id}/rotate"): KEYS_AND_AUDIT,
    ("POST", "/api/v1/api-keys/{api_key_id}/revoke"): KEYS_AND_AUDIT,
    ("GET", "/api/v1/api-keys/{api_key_id}/usage"): KEYS_AND_AUDIT,
    ("POST", "/api/v1/logs/search"): [
        _RANGE,
        _RANGE | {"query": "refused service:checkout region:eu"},
        _RANGE | {"query": f"trace_id:{_OWN_TRACE.hex()}"},
        _RANGE | {"query": "-nothing:here OR resource.region:*"},
    ],
    ("GET", "/api/v1/logs/histogram"): [
        f"/api/v1/logs/histogram?{_IN_URL}",
        f"/api/v1/logs/histogram?by=body&limit=1&step=1m&query=refused&{_IN_URL}",
    ],
    ("POST", "/api/v1/logs/aggregate"): [
        _RANGE | {"group_by": ["service", "region", "trace_id"], "step": "1m"},
        _RANGE | {"group_by": ["body"], "limit": 1, "measures": [{"function": "distinct", "field": "body"}]},
    ],
    ("GET", "/api/v1/traces/histogram"): [
        f"/api/v1/traces/histogram?{_IN_URL}",
        f"/api/v1/traces/histogram?by=trace_id&limit=1&step=1m&query=status:error&{_IN_URL}",
    ],
    ("GET", "/api/v1/traces/heatmap"): [f"/api/v1/traces/heatmap?{_IN_URL}"],
    ("POST", "/api/v1/traces/aggregate"): [
        _RANGE
        | {
            "group_by": ["service", "region"],
            "limit": 1,
            "step": "1m",
            "measures": [
                {},
                {"query": "status:error"},
                *({"function": name, "field": "duration"} for name in ("sum", "avg", "min", "max", "p50", "p99", "p0")),
            ],
        },
    ],
    ("POST", "/api/v1/traces/search"): [
        _RANGE,
        _RANGE | {"query": "service:checkout status:error"},
        _RANGE | {"query": "-nothing:here", "limit": 1},
        _RANGE | {"query": "service:checkout", "child": "status:error", "descendant": "kind:server"},
        _RANGE | {"without": "service:nobody", "without_child": "kind:client", "trace": "spans:2 errors>0"},
    ],
    ("POST", "/api/v1/traces/compare"): [
        _RANGE | {"selection": {"query": "service:checkout"}},
        _RANGE | {"selection": {"start": _START_NS, "end": _START_NS + 9, "min_duration_ns": 1}, "query": "-x:y",
                  "against": "service:checkout"},
    ],
    ("GET", "/api/v1/traces/{trace_id}"): [f"/api/v1/traces/{_OWN_TRACE.hex()}"],
    ("GET", "/api/v1/traces/{trace_id}/summary"): [f"/api/v1/traces/{_OWN_TRACE.hex()}/summary"],
    ("GET", "/api/v1/traces/{trace_id}/spans/{span_id}"): [
        f"/api/v1/traces/{_OWN_TRACE.hex()}/spans/{(b'2' * 8).hex()}"
    ],
    ("GET", "/api/v1/services"): [f"/api/v1/services?{_IN_URL}"],
    ("GET", "/api/v1/service-figures"): [
        f"/api/v1/service-figures?service=checkout&{_IN_URL}",
        f"/api/v1/service-figures?service=cart&operation=GET%20/&kind=server&step=1h&{_IN_URL}",
    ],
    ("GET", "/api/v1/releases"): [f"/api/v1/releases?{of}{_IN_URL}" for of in ("", "service=checkout&")],
    ("GET", "/api/v1/operations"): [
        f"/api/v1/operations?{_IN_URL}",
        f"/api/v1/operations?service=cart&prefix=G&limit=1&{_IN_URL}",
    ],
    ("GET", "/api/v1/attributes"): [
        f"/api/v1/attributes?signal={signal}&{_IN_URL}" for signal in ("traces", "logs", "metrics")
    ],
    ("GET", "/api/v1/fields"): [
        f"/api/v1/fields?signal={signal}&limit={limit}&{_IN_URL}"
        for signal in ("traces", "logs", "metrics", "metrics&query=service:*")
        for limit in (2, 200)
    ],
    ("GET", "/api/v1/fields/{name}/values"): [
        f"/api/v1/fields/{name}/values?signal={signal}&query={query}&{_IN_URL}"
        for query in ("", "service:*")
        for signal, names in (
            ("traces", ("service", "name", "kind")),
            ("logs", ("scope", "resource.service.name")),
            ("metrics", ("service", "region")),
        )
        for name in names
    ],
    ("GET", "/api/v1/service-map"): [f"/api/v1/service-map?{_IN_URL}"],
    ("GET", "/api/v1/metrics/exemplars"): [f"/api/v1/metrics/exemplars?metric=took&{_IN_URL}"],
    ("GET", "/api/v1/metrics/heatmap"): [
        f"/api/v1/metrics/heatmap?metric=took&step={step}&{_IN_URL}" for step in ("1m", "1h", "1h&query=region:eu")
    ],
    ("GET", "/api/v1/metrics"): ["/api/v1/metrics", "/api/v1/metrics?prefix=de&service=checkout&limit=1"],
    ("POST", "/api/v1/metrics/query"): [
        _RANGE | {"metric": "depth", "step": "1m", "group_by": ["service", "region"]},
        _RANGE | {"metric": "depth", "step": "1h", "aggregation": "sum"},
        _RANGE | {"metric": "depth", "step": "1h", "aggregation": "last"},
        _RANGE | {"metric": "hits", "step": "1m", "aggregation": "increase"},
        _RANGE | {"metric": "took", "step": "1m", "aggregation": "p95"},
        _RANGE | {"metric": "took", "step": "1m", "aggregation": "p99.9"},
        _RANGE | {"metric": "hits", "step": "1h", "aggregation": "last"},
        _RANGE | {"metric": "took", "step": "1h", "aggregation": "p95"},
    ],
    ("POST", "/api/v1/metrics/formulas"): [
        _RANGE
        | {
            "queries": [
                {"name": "a", "metric": "depth", "group_by": ["service", "region"], "aggregation": "sum"},
                {"name": "b", "metric": "hits", "group_by": ["service"], "fill": "zero"},
            ],
            "formulas": ["a / on(service) group_left b", "topk(1, a)", "sum(b)"],
            "step": "1m",
            "top_by": "max",
        },
    ],
    **prometheus_probes(_START_NS),
    ("GET", "/api/v1/usage"): METERING,
    ("GET", "/api/v1/queries"): OWN_TEST,
    ("DELETE", "/api/v1/queries/{query_id}"): OWN_TEST,
    ("GET", "/api/v1/ingest/limits"): METERING,
    ("GET", "/api/v1/ingest/endpoints"): OPEN_TO_USERS,
    ("GET", "/api/v1/tenants/{tenant_id}/limits"): METERING,
    ("PATCH", "/api/v1/tenants/{tenant_id}/limits"): METERING,
    ("GET", "/api/v1/ingest/rejections"): METERING,
    ("GET", "/api/v1/ingest/status"): METERING,
    ("GET", "/api/v1/ingest/cardinality"): METERING,
    # Regions, organizations, workspaces, tenants, and who works in them: tests/isolation/test_people.py.
    ("POST", "/api/v1/invitations/accept"): OF_A_SESSION,
    ("GET", "/api/v1/auth/tenants"): PEOPLE,
    ("POST", "/api/v1/auth/switch"): PEOPLE,
    ("GET", "/api/v1/users/me"): PEOPLE,
    ("PATCH", "/api/v1/users/me"): PEOPLE,
    ("GET", "/api/v1/permissions"): OPEN_TO_USERS,
    ("GET", "/api/v1/permissions/{permission_id}"): OPEN_TO_USERS,
    **{
        (method, f"/api/v1/{path}"): PEOPLE
        for resource, key in (
            ("regions", "region_id"), ("organizations", "organization_id"), ("workspaces", "workspace_id"),
            ("tenants", "tenant_id"), ("roles", "role_id"),
        )
        for method, path in (
            ("POST", resource), ("GET", resource), ("GET", f"{resource}/{{{key}}}"), ("PATCH", f"{resource}/{{{key}}}"),
            ("DELETE", f"{resource}/{{{key}}}"), ("POST", f"{resource}/{{{key}}}/restore"),
        )
    },
    **{
        (method, f"/api/v1/{path}"): ALERTS
        for methods, path in (
            ("GET POST", "alert-rules"), ("GET PATCH DELETE", "alert-rules/{alert_rule_id}"), ("GET POST", "slos"),
            *(("POST", f"alert-rules/{verb}") for verb in ("import", "preview", "{alert_rule_id}/restore")),
            *(("GET", f"alert-rules/{which}") for which in ("export", "{alert_rule_id}/history")),
            *(("GET", which) for which in ("alerts", "alerts/{instance_id}", "alerts/history", "alerts/noisiest")),
            ("GET PATCH DELETE", "slos/{slo_id}"), ("GET", "slos/{slo_id}/budget"), ("GET", "named-expressions"),
            ("DELETE", "named-expressions/{named_expression_id}"), ("POST", "alerts/{instance_id}/acknowledge"),
        ) for method in methods.split()
    },
    **{
        (method, f"/api/v1/{path}"): NOTIFICATION
        for methods, path in (
            ("GET POST", "notification-groups"), ("GET PATCH DELETE", "notification-groups/{group_id}"),
            ("GET POST", "notification-channels"), ("GET PATCH DELETE", "notification-channels/{channel_id}"),
            ("POST", "notification-channels/{channel_id}/test"), ("GET POST", "silences"),
            ("GET PATCH DELETE", "silences/{silence_id}"), ("POST", "notifications/{notification_id}/replay"),
            ("GET POST", "maintenance-windows"), ("GET POST", "inhibition-rules"),
            ("GET", "alertmanager/api/v2/status"), ("GET", "alertmanager/api/v2/receivers"),
            ("GET POST", "alertmanager/api/v2/alerts"), ("GET", "alertmanager/api/v2/alerts/groups"),
            ("GET POST", "alertmanager/api/v2/silences"), ("GET DELETE", "alertmanager/api/v2/silence/{silence_id}"),
            ("GET PATCH DELETE", "maintenance-windows/{maintenance_window_id}"),
            ("GET PATCH DELETE", "inhibition-rules/{inhibition_rule_id}"),
            ("GET PATCH", "alert-rules/{alert_rule_id}/notification-groups"), ("GET", "notifications"),
            ("GET", "notifications/{notification_id}"),
        ) for method in methods.split()
    },
    **{
        (method, f"/api/v1/{path}"): DASHBOARDS
        for methods, path in (
            ("GET POST", "dashboards"), ("POST", "dashboards/import"),
            ("GET POST", "dashboard-templates"), ("GET PATCH DELETE", "dashboard-templates/{template_id}"),
            ("POST", "dashboard-templates/{template_id}/dashboards"),
            *((methods, f"dashboards/{{dashboard_id}}{rest}") for methods, rest in (
                ("GET PATCH DELETE", ""), ("PATCH", "/visibility"), ("GET", "/export"),
                *(("POST", f"/{verb}") for verb in ("restore", "clone", "data", "variables")),
                ("GET POST", "/widgets"), ("GET PATCH DELETE", "/widgets/{key}"), ("PATCH", "/variables/{key}"),
                ("GET POST", "/links"), ("DELETE", "/links/{dashboard_link_id}"),
                ("GET", "/versions"), ("GET", "/versions/{version}"), ("POST", "/versions/{version}/restore"),
            )),
        ) for method in methods.split()
    },
    ("GET", "/api/v1/dashboards/schema"): OPEN_TO_USERS,
    ("GET", "/api/v1/public/dashboards/{token}"): STRANGERS,
    ("POST", "/api/v1/public/dashboards/{token}/data"): STRANGERS,
    ("GET", "/api/v1/organizations/{organization_id}/limits"): LIMITS,
    ("PATCH", "/api/v1/organizations/{organization_id}/limits"): LIMITS,
    **{
        (method, f"/api/v1/{path}"): PEOPLE
        for methods, path in (
            ("GET", "users"), ("GET PATCH DELETE", "users/{user_id}"), ("POST", "users/{user_id}/restore"),
            ("GET POST", "users/{user_id}/roles"), ("PATCH DELETE", "users/{user_id}/roles/{user_role_id}"),
            ("GET POST", "invitations"), ("GET DELETE", "invitations/{invitation_id}"),
            ("POST", "invitations/{invitation_id}/resend"),
        ) for method in methods.split()
    },
}  # fmt: skip
WITHOUT_TOKEN = {
    "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/password/forgotten", "/api/v1/auth/password/reset",
    "/api/v1/auth/email-verification/confirm", "/api/v1/invitations/accept", "/api/v1/auth/oidc/{slug}/start",
    "/api/v1/auth/oidc/{slug}/callback", "/api/v1/public/dashboards/{token}",
    "/api/v1/public/dashboards/{token}/data",
}  # fmt: skip
PROBES = [(route, probe) for route, probes in ROUTES.items() if isinstance(probes, list) for probe in probes]


async def _call(api, headers, route, probe):
    method, path = route
    body = {} if isinstance(probe, str) else {"json": probe}
    if isinstance(probe, Form):
        body = {"content": probe.text}
        headers = headers | {"content-type": "application/x-www-form-urlencoded"}
    headers = headers | {"x-request-id": "00000000-0000-7000-8000-000000000001"}
    return await api.client.request(method, probe if isinstance(probe, str) else path, headers=headers, **body)


def _telemetry(otlp, trace_id, value):
    """The same names for every tenant; only the trace and the values differ."""
    start = _START_NS
    caller = {"trace_id": trace_id, "span_id": b"1" * 8, "name": "GET /", "kind": 2, "start_time_unix_nano": start,
              "end_time_unix_nano": start + value, "status": 2}  # fmt: skip
    callee = caller | {"span_id": b"2" * 8, "parent_span_id": b"1" * 8}
    number = NumberDataPoint(time_unix_nano=start, start_time_unix_nano=start - 1, as_double=value)
    cumulative = Sum(aggregation_temporality=2, is_monotonic=True, data_points=[number])
    point = HistogramDataPoint(
        time_unix_nano=start, count=value, sum=value, bucket_counts=[value, 1], explicit_bounds=[9],
        exemplars=[Exemplar(time_unix_nano=start, as_double=value, trace_id=trace_id, span_id=b"1" * 8)],
    )  # fmt: skip
    histogram = Histogram(aggregation_temporality=1, data_points=[point])
    return [
        otlp.logs("checkout", {"time_unix_nano": start, "body": f"refused {value}", "trace_id": trace_id}, region="eu"),
        otlp.spans("checkout", caller, region="eu", **{"service.version": f"1.{value}"}),
        otlp.spans("cart", callee, region="eu"),
        otlp.metrics(
            "checkout",
            Metric(name="depth", gauge=Gauge(data_points=[number])),
            Metric(name="hits", sum=cumulative),
            Metric(name="took", histogram=histogram),
            region="eu",
        ),
    ]


@pytest.fixture
def mine(new_scope) -> Scope:
    return new_scope()


@pytest.fixture
def theirs(mine) -> Scope:
    return dataclasses.replace(mine, tenant_id=new_id())


async def test_every_route_is_in_the_table(api):
    document = (await api.client.get("/schema/openapi.json")).json()
    routes = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert routes == set(ROUTES)


async def test_every_route_but_the_open_ones_wants_a_token(api):
    for route, probes in ROUTES.items():
        method, path = route
        response = await api.client.request(method, re.sub(r"\{\w+\}", str(new_id()), path), json={})
        is_open = probes == OPEN or path in WITHOUT_TOKEN
        assert (response.status_code != 401) is is_open, route


async def test_answers_are_the_same_bytes_with_and_without_a_neighbour(api, deliver, otlp, mine, theirs):
    headers = await api.headers(mine)
    await deliver(mine, *_telemetry(otlp, _OWN_TRACE, 1), with_values=True)
    alone = [(await _call(api, headers, *probe)).content for probe in PROBES]
    empty = [(await _call(api, (await api.headers(theirs)), *probe)).content for probe in PROBES]
    await deliver(theirs, *_telemetry(otlp, _THEIR_TRACE, 7), with_values=True)
    # And one more under an id of mine, and some in a time of its own.
    await deliver(theirs, *_telemetry(otlp, _OWN_TRACE, 8), with_values=True)
    for (route, probe), expected, without_anything in zip(PROBES, alone, empty, strict=True):
        response = await _call(api, headers, route, probe)
        assert response.status_code == 200
        assert response.content == expected, route
        assert response.content != without_anything, f"{route} {probe} finds nothing and so proves nothing"


async def test_ids_of_a_neighbour_answer_as_ids_that_never_were(api, deliver, otlp, mine, theirs):
    await deliver(theirs, *_telemetry(otlp, _THEIR_TRACE, 7), with_values=True)
    headers = await api.headers(mine)
    for part in ("", "/summary", f"/spans/{(b'2' * 8).hex()}"):
        route = ("GET", "a trace and its parts")
        existing = await _call(api, headers, route, f"/api/v1/traces/{_THEIR_TRACE.hex()}{part}")
        never = await _call(api, headers, route, f"/api/v1/traces/{'0f' * 16}{part}")
        assert existing.status_code == 404
        assert existing.content == never.content
        assert timeless(existing.headers) == timeless(never.headers)


async def test_the_context_of_a_record_is_of_its_tenant(api, deliver, otlp, mine, theirs):
    await deliver(mine, *_telemetry(otlp, _OWN_TRACE, 1))
    headers, route = await api.headers(mine), ("GET", "/api/v1/logs/context")
    found = await _call(api, headers, ("POST", "/api/v1/logs/search"), _RANGE)
    own = f"/api/v1/logs/context?source=any&id={found.json()['items'][0]['id']}"
    alone = await _call(api, headers, route, own)
    await deliver(theirs, *_telemetry(otlp, _OWN_TRACE, 1), *_telemetry(otlp, _THEIR_TRACE, 7))
    assert alone.status_code == 200
    assert (await _call(api, headers, route, own)).content == alone.content
    found = await _call(api, await api.headers(theirs), ("POST", "/api/v1/logs/search"), _RANGE | {"query": "7"})
    theirs_now = await _call(api, headers, route, f"/api/v1/logs/context?id={found.json()['items'][0]['id']}")
    never = await _call(api, headers, route, f"/api/v1/logs/context?id={'0f' * 16}")
    assert (theirs_now.status_code, theirs_now.content) == (404, never.content)


async def test_a_neighbours_cursor_shows_nothing_of_theirs(api, deliver, otlp, mine, theirs):
    await deliver(mine, *_telemetry(otlp, _OWN_TRACE, 1), with_values=True)
    await deliver(theirs, *_telemetry(otlp, _THEIR_TRACE, 7), *_telemetry(otlp, _THEIR_TRACE, 8))
    route = ("POST", "/api/v1/logs/search")
    page = await _call(api, (await api.headers(theirs)), route, _RANGE | {"limit": 1})
    response = await _call(
        api, (await api.headers(mine)), route, _RANGE | {"limit": 1, "cursor": page.json()["next_cursor"]}
    )
    assert response.status_code == 200
    assert all(item["body"] == "refused 1" for item in response.json()["items"])


async def test_me(api):
    tokens = []
    for name in ("one", "two"):
        tenant = await administration.create_tenant(
            api.services.metadata, organization="O", workspace="W", tenant=name, mfa_required=False
        )
        await administration.create_user(
            api.services.metadata, api.services.sessions._hasher, tenant_id=tenant.tenant_id,
            email=f"{name}@example.com", password="correct horse battery", role="viewer",
        )  # fmt: skip
        body = {"email": f"{name}@example.com", "password": "correct horse battery"}
        tokens.append((await api.client.post("/api/v1/auth/login", json=body)).json()["access_token"])
        me = await api.client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {tokens[-1]}"})
        assert (me.json()["email"], me.json()["tenant_id"]) == (f"{name}@example.com", str(tenant.tenant_id))


async def test_queries_are_seen_and_cancelled_by_their_tenant_alone(api, mine, theirs):
    store = api.services.telemetry
    own, other = [await api.headers(scope, "query:read", "query:delete") for scope in (mine, theirs)]
    with asking(lambda: Described("GET /of/mine", text="secret of mine")) as question:
        # A statement that is through leaves the question open, as between the statements of one request.
        await store.bind(mine).query("SELECT sleep(0.06) AS slept", name="test")
        theirs_now = (await api.client.get("/api/v1/queries", headers=other)).text
        path = f"/api/v1/queries/{question.question_id}"
        refused = await api.client.delete(path, headers=other)
        never = await api.client.delete(f"/api/v1/queries/{new_id()}", headers=other)
        assert (refused.status_code, never.status_code) == (404, 404)
        assert refused.json()["detail"] == never.json()["detail"]
        assert question.ended is None
        assert (await api.client.delete(path, headers=await api.headers(mine))).status_code == 403
        assert (await api.client.delete(path, headers=own)).status_code == 204
        assert question.ended.code == "query-cancelled"
    assert theirs_now == (await api.client.get("/api/v1/queries", headers=other)).text == '{"running":[],"slowest":[]}'
    (seen,) = (await api.client.get("/api/v1/queries", headers=own)).json()["slowest"]
    assert (seen["question"], seen["state"]) == ("secret of mine", "cancelled")
    assert (await api.client.get("/api/v1/queries", headers=await api.headers(mine))).status_code == 403


async def test_a_tail_follows_one_tenant(api, deliver, otlp, mine, theirs):
    received: asyncio.Queue[str] = asyncio.Queue()

    requests: asyncio.Queue[dict] = asyncio.Queue()
    requests.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def send(message):
        received.put_nowait(message.get("body", b"").decode())
        if message.get("more_body") is False:
            requests.put_nowait({"type": "http.disconnect"})

    headers = [(name.encode(), value.encode()) for name, value in (await api.headers(mine)).items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/api/v1/logs/tail", "raw_path": b"",
        "query_string": b"query=wanted", "headers": headers, "scheme": "http", "server": ("test", 80),
        "client": ("test", 1), "root_path": "",
    }  # fmt: skip
    stream = asyncio.create_task(api.app(scope, requests.get, send))
    text = ""

    async def read_until(wanted):
        nonlocal text
        while wanted not in text:
            text += await asyncio.wait_for(received.get(), 20)

    await read_until(": nothing new")
    now = now_unix_nano()
    await deliver(theirs, otlp.logs("checkout", {"time_unix_nano": now, "body": "wanted by them"}))
    await deliver(mine, otlp.logs("checkout", {"time_unix_nano": now, "body": "wanted by me"}))
    await read_until("event: log")
    api.services.stopping.set()
    await asyncio.wait_for(stream, 20)
    while not received.empty():
        text += received.get_nowait()
    records = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
    assert [record["body"] for record in records] == ["wanted by me"]
