"""A whole duoscope, a mail server, and two organizations that know of each other only what the network tells.

Each organization is made over the API by the admin of the first start, staffed by people who were invited by mail, and
has two workspaces with a tenant each, a custom role and keys. Their collectors send over OTLP, gRPC and HTTP, and their
people and machines read it back. Then each tries everything on the other.
"""

import asyncio
import contextlib
import re
import time
import uuid

import grpc
import httpx
import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import SIGNALS

PASSWORD = "a password that is long enough"


class Person:
    """Somebody with a browser and a mailbox."""

    def __init__(self, up, smtp, email, password, stack, *, totp_code):
        self.up, self.smtp, self.email, self.password, self.stack = up, smtp, email, password, stack
        self.totp_code = totp_code
        self.http = stack.enter_context(httpx.Client(base_url=f"{up.api_url}/api/v1", timeout=30))

    def call(self, method, path, body=None, *, status=None, **query):
        answer = self.http.request(method, path, json=body, params=query)
        wanted = status or {"POST": 201, "DELETE": 204}.get(method, 200)
        assert answer.status_code == wanted, (method, path, answer.text)
        return answer.json() if answer.content else None

    def log_in(self):
        answer = self.call("POST", "/auth/login", {"email": self.email, "password": self.password}, status=200)
        self.http.headers["authorization"] = f"Bearer {answer['access_token']}"
        return self

    def enrol(self):
        """What everybody does before anything else in an organization that was not told to do without."""
        assert self.call("GET", "/services", status=403)["code"] == "mfa-enrolment-required"
        secret = self.call("POST", "/auth/mfa/enrolment", {"password": self.password})["secret"]
        self.call("POST", "/auth/mfa/confirmation", {"mfa_code": self.totp_code(secret)}, status=200)
        return self

    def go_to(self, tenant_id):
        answer = self.call("POST", "/auth/switch", {"tenant_id": tenant_id}, status=200)
        self.http.headers["authorization"] = f"Bearer {answer['access_token']}"
        return self

    def invite(self, email, role_ids, *, query=None, **where):
        self.call("POST", "/invitations", {"email": email, "role_ids": role_ids, **where}, **(query or {}))
        guest = Person(self.up, self.smtp, email, PASSWORD, self.stack, totp_code=self.totp_code)
        deadline = time.monotonic() + 30
        while not (mails := [mail for mail in self.smtp.mails if mail["To"] == email]):
            assert time.monotonic() < deadline, "the invitation did not arrive"
            time.sleep(0.05)
        link = re.search(r"(http\S+/invitation)#(tfi-[A-Za-z0-9_-]{43})", mails[-1].get_content())
        assert httpx.get(link[1], timeout=30).status_code == 200
        body = {"token": link[2], "first_name": "Ada", "last_name": "L.", "password": PASSWORD}
        guest.call("POST", "/invitations/accept", body, status=200)
        return guest.log_in().enrol()


def _requests(otlp, name):
    """A request of each signal, all by this name."""
    now = now_unix_nano()
    metric = otlp.metrics(name).resource_metrics[0].scope_metrics[0].metrics.add(name=name)
    metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
    span = {"trace_id": uuid.uuid4().bytes, "span_id": b"1" * 8, "name": name, "start_time_unix_nano": now,
            "end_time_unix_nano": now + 5}  # fmt: skip
    return {
        "logs": otlp.logs(name, {"time_unix_nano": now, "body": name}),
        "traces": otlp.spans(name, span),
        "metrics": otlp.metrics(name, metric),
    }, span["trace_id"].hex()


def _send(up, key, requests, transport):
    """Send as a collector does. Returns the gRPC code or the HTTP status of each signal."""
    answers = []
    for signal in SIGNALS:
        raw = requests[signal.name].SerializeToString()
        if transport == "http":
            headers = {"x-api-key": key, "content-type": "application/x-protobuf"}
            answer = httpx.post(f"{up.otlp_url}{signal.http_path}", content=raw, headers=headers, timeout=30)
            answers.append(answer.status_code)
        else:
            with grpc.insecure_channel(up.grpc_target) as channel:
                export = channel.unary_unary(f"/{signal.grpc_service}/Export")
                try:
                    export(raw, metadata=[("authorization", f"Bearer {key}")], timeout=30)
                    answers.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    answers.append(error.code())
    return answers


def _organization(root, name, region_id, otlp):
    """Made, staffed, and sending."""
    made = root.call("POST", "/organizations", {"name": name, "region_id": region_id})
    organization_id, mailbox = made["organization"]["organization_id"], f"@{name.lower()}.example"
    query = {"organization_id": organization_id}
    [admin] = root.call("GET", "/roles", name="admin", **query)["items"]
    boss = root.invite(f"boss{mailbox}", [admin["role_id"]], query=query, organization_wide=True)
    role = boss.call("POST", "/roles", {"name": "on-call", "permissions": ["log:read", "trace:read", "metric:read"]})
    workspaces = [made["workspace_id"], boss.call("POST", "/workspaces", {"name": "Second"})["workspace_id"]]
    places = []
    for number, (workspace_id, transport) in enumerate(zip(workspaces, ("grpc", "http"), strict=True)):
        tenant = boss.call("POST", "/tenants", {"name": f"Production {number}", "workspace_id": workspace_id})
        boss.go_to(tenant["tenant_id"])
        reader = boss.invite(f"reader{number}{mailbox}", [role["role_id"]], tenant_id=tenant["tenant_id"])
        permissions = [f"{signal.name}:{right}" for signal in SIGNALS for right in ("write", "read")]
        key = boss.call("POST", "/api-keys", {"name": "collector", "permissions": permissions})
        marker = f"{name.lower()}{number}"
        requests, trace_id = _requests(otlp, marker)
        answers = _send(root.up, key["api_key"], requests, transport)
        assert answers == [200 if transport == "http" else grpc.StatusCode.OK] * 3
        me = reader.call("GET", "/auth/me")
        held = boss.call("GET", f"/users/{me['user_id']}/roles")["items"]
        [session] = reader.call("GET", "/sessions")["items"]
        places.append(
            {
                "boss": boss, "reader": reader, "marker": marker, "api_key": key["api_key"], "trace_id": trace_id,
                "tenant_id": tenant["tenant_id"], "workspace_id": workspace_id, "organization_id": organization_id,
                "api_key_id": key["api_key_id"], "role_id": role["role_id"], "user_id": me["user_id"],
                "user_role_id": held[0]["user_role_id"], "session_id": session["session_id"],
            }
        )  # fmt: skip
    return places


def _sees_its_own_alone(http, place):
    """Whoever reads there: their telemetry, all of it, and nothing else."""
    for path in ("logs/search", "traces/search"):
        answer = http.post(f"/{path}", json={})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["items"]) == 1
        assert place["marker"] in answer.text
    assert http.get(f"/traces/{place['trace_id']}").status_code == 200
    assert {item["name"] for item in http.get("/metrics").json()["items"]} == {place["marker"]}
    assert [each["name"] for each in http.get("/services").json()["items"]] == [place["marker"]]


_ATTEMPTS = [
    ("GET", "/traces/{trace_id}", None), ("GET", "/users/{user_id}", None), ("DELETE", "/users/{user_id}", None),
    ("PATCH", "/users/{user_id}", {"first_name": "Eve"}), ("GET", "/users/{user_id}/roles", None),
    ("POST", "/users/{user_id}/mfa/reset", None), ("DELETE", "/users/{user_id}/roles/{user_role_id}", None),
    ("GET", "/roles/{role_id}", None), ("PATCH", "/roles/{role_id}", {"name": "mine"}),
    ("DELETE", "/roles/{role_id}", None),
    ("GET", "/api-keys/{api_key_id}", None), ("POST", "/api-keys/{api_key_id}/rotate", {}),
    ("POST", "/api-keys/{api_key_id}/revoke", {"reason": "mine"}),
    ("PATCH", "/api-keys/{api_key_id}", {"name": "mine"}),
    ("GET", "/tenants/{tenant_id}", None), ("PATCH", "/tenants/{tenant_id}", {"name": "mine"}),
    ("DELETE", "/tenants/{tenant_id}", None), ("POST", "/auth/switch", {"tenant_id": "{tenant_id}"}),
    ("GET", "/organizations/{organization_id}", None), ("PATCH", "/organizations/{organization_id}", {"name": "mine"}),
    ("GET", "/users?organization_id={organization_id}", None), ("DELETE", "/sessions/{session_id}", None),
    ("POST", "/tenants", {"name": "x", "workspace_id": "{workspace_id}"}),
    ("POST", "/invitations", {"email": "eve@example.com", "role_ids": ["{role_id}"]}),
]  # fmt: skip


def _attempt(http, attempt, ids):
    method, path, body = attempt

    def filled(value):
        if isinstance(value, list):
            return [filled(part) for part in value]
        return value.format(**ids)

    sent = None if body is None else {key: filled(value) for key, value in body.items()}
    return http.request(method, path.format(**ids), json=sent, headers={"x-request-id": str(uuid.UUID(int=7))})


@pytest.fixture
def world(start_up, smtp_server, monkeypatch, totp_code):
    monkeypatch.setenv("DUOSCOPE_SMTP_URL", smtp_server.url)
    with start_up() as up, contextlib.ExitStack() as stack:
        known = up.known["admin_email"], up.known["admin_password"]
        yield Person(up, smtp_server, *known, stack, totp_code=totp_code).log_in()
        stack.close()
        up.stop()


def test_two_organizations_over_the_network(world, otlp):
    region = world.call("POST", "/regions", {"name": "Frankfurt"})["region_id"]
    one, two = (_organization(world, name, region, otlp) for name in ("Acme", "Umbrella"))
    for place in one + two:
        _sees_its_own_alone(place["reader"].http, place)
        with httpx.Client(base_url=f"{world.up.api_url}/api/v1", headers={"x-api-key": place["api_key"]}) as machine:
            _sees_its_own_alone(machine, place)

    for mine, theirs in ((one, two), (two, one)):
        boss, reader, sister = mine[0]["boss"], mine[0]["reader"], mine[1]
        for who, foreign in ((boss, theirs[0]), (reader, theirs[0]), (reader, sister)):
            ids = {name: value for name, value in foreign.items() if isinstance(value, str)}
            never = {name: str(uuid.uuid4()) for name in ids} | {"trace_id": uuid.uuid4().hex}
            for attempt in _ATTEMPTS:
                if foreign is sister and set(re.findall(r"\{(\w+)\}", str(attempt))) & {"organization_id", "role_id"}:
                    continue  # a sister tenant has these in common
                answers = [_attempt(who.http, attempt, each) for each in (ids, never)]
                assert answers[0].status_code in {403, 404}, (attempt, answers[0].text)
                assert answers[0].content == answers[1].content, attempt
    for place in one + two:
        _sees_its_own_alone(place["reader"].http, place)
        assert place["reader"].call("GET", "/auth/me")["tenant_id"] == place["tenant_id"]

    # The operator sees it all from the terminal, and the link that is printed leads to the running API.
    seen = world.up.run("admin", "list-access", "--organization", "acme")
    assert {"boss@acme.example", "reader0@acme.example", "on-call"} <= set(seen.split())
    assert "umbrella" not in seen
    invited = world.up.run("admin", "invite", "late@acme.example", "--organization", "acme")
    assert f"\n{world.up.api_url}/invitation#tfi-" in invited

    # A key that is revoked sends nothing more, and its neighbours' go on.
    gone, stays = one[0], two[0]
    gone["boss"].go_to(gone["tenant_id"]).call(
        "POST", f"/api-keys/{gone['api_key_id']}/revoke", {"reason": "test"}, status=200
    )
    requests, _ = _requests(otlp, "late")
    deadline = time.monotonic() + 2
    while _send(world.up, gone["api_key"], requests, "http") != [401] * 3:
        assert time.monotonic() < deadline
    assert _send(world.up, stays["api_key"], requests, "grpc") == [grpc.StatusCode.OK] * 3
    asyncio.run(world.smtp.arrived())
