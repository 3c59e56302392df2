"""Two tenants of the running duoscope: one that stock SDKs send to, and one that must see none of it."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

VISIBLE_S = 3
"""How soon after a flush everything can be read."""


@dataclass
class Tenant:
    """A tenant as its users see it."""

    client: httpx.Client
    key: str

    def trace(self, trace_id: str) -> httpx.Response:
        return self.client.get(f"/traces/{trace_id}")

    def logs(self, query: str) -> list[dict[str, Any]]:
        """Records that match the query, oldest first."""
        return self._post("/logs/search", query=query)["items"][::-1]

    def metric(self, name: str, aggregation: str, *group_by: str) -> dict[tuple[str, ...], list[float]]:
        """Values by labels, without empty steps."""
        body = {"metric": name, "aggregation": aggregation, "group_by": list(group_by), "step": "1h"}
        return {
            tuple(series["labels"].values()): [value for _, value in series["points"] if value is not None]
            for series in self._post("/metrics/query", **body)["series"]
        }

    def shapes(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The entries of the list of metrics, by name."""
        answer = self.client.get("/metrics", params={"prefix": prefix})
        assert answer.status_code == 200, answer.text
        return {metric.pop("name"): metric for metric in answer.json()["items"]}

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def tenants(running):
    """The tenant of the first start, and a second one."""
    made = running.admin("create-tenant", "other", "--organization", "Other", "--mfa-optional")["tenant_id"]
    user = running.admin("create-user", "other@example.com", "--tenant", made, "--role", "developer", "--generate")
    key = running.admin("create-api-key", "--tenant", made)["api_key"]
    with ExitStack() as stack:
        first = stack.enter_context(running.api())
        second = stack.enter_context(running.api(user["email"], user["password"]))
        yield Tenant(first, running.key), Tenant(second, key)


@pytest.fixture
def tenant(tenants):
    return tenants[0]


@pytest.fixture
def stranger(tenants):
    return tenants[1]


@pytest.fixture
def eventually():
    """Repeats a check until it is true, within the time in which everything must be visible."""

    def ask(question):
        deadline = time.monotonic() + VISIBLE_S
        while not (answer := question()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert answer
        return answer

    return ask


@pytest.fixture
def assert_sees_nothing():
    """Checks that the other tenant's answers are those of one that has nothing of these."""

    def check(stranger, trace_id, service, metric):
        answer = stranger.trace(trace_id)
        assert answer.status_code == 404
        random = stranger.trace("f" * 32)
        assert answer.headers["content-type"] == random.headers["content-type"] == "application/problem+json"
        differing = {"request_id"}
        assert {k: v for k, v in answer.json().items() if k not in differing} == {
            k: v for k, v in random.json().items() if k not in differing
        }
        assert stranger.logs(f"service:{service}") == []
        assert stranger.logs(f"trace_id:{trace_id}") == []
        assert stranger.metric(metric, "count") == {}
        assert stranger.shapes(metric) == {}
        found = stranger.client.post("/traces/search", json={"query": f"service:{service}"})
        assert (found.json()["items"], found.json()["next_cursor"]) == ([], None)
        # Whichever file comes first: one of them lets the stranger send spans of this name itself.
        assert {item["name"] for item in stranger.client.get("/services").json()["items"]} <= {"shared"}

    return check
