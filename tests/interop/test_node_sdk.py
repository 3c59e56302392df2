"""The OpenTelemetry SDK for Node.js with its own exporters sends all three signals; the API shows every field.

Three transports: gRPC, HTTP with protobuf, and HTTP with JSON, where ids are hex and 64-bit integers may be texts.
"""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from duoscope.telemetry.values import rfc3339

pytestmark = pytest.mark.node

SOURCE = Path(__file__).parent / "node"
INSTALL_S = 180
SEND_S = 60
SECOND = 10**9
LOCAL_PARENT, REMOTE_PARENT = 0x101, 0x301

ATTRIBUTES = {
    "text": 'quoted "\\\n\u2028é😀',
    "empty": "",
    "yes": True,
    "no": False,
    "int": -42,
    "large": 2**53 - 1,
    "double": 2.25,
    "texts": ["a", "b"],
    "ints": [1, 2],
    "none": [],
}
NESTED = {**ATTRIBUTES, "bytes": {"bytes_value": "/wA="}, "deep": {"a": [1, {"b": [2, {"c": ["x"]}]}]}}
BODIES = ["plain text", "", True, 42, 1.5, {"bytes_value": "/g=="}, ["a", {"b": 1}], NESTED]
SCOPE = {
    "name": "interop",
    "version": "9.8",
    "attributes": {},
    "dropped_attributes_count": 0,
    "schema_url": "https://opentelemetry.io/schemas/1.30.0",
}


@pytest.fixture(scope="session")
def program():
    """send.mjs beside its packages, which are kept between runs in a folder that git ignores."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("Node.js and npm are not installed")
    # Pinned versions and no lock file: a lock would name the address of whichever registry wrote it.
    # Offline it must fail soon: npm's own patience is minutes.
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    command += ["--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=500"]
    try:
        done = subprocess.run(
            command, cwd=SOURCE, capture_output=True, text=True, check=False, timeout=INSTALL_S, env=dict(os.environ)
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm install took longer than {INSTALL_S} s")
    if done.returncode:
        pytest.skip(f"npm install failed: {done.stderr.strip().splitlines()[:1]}")
    return [node, str(SOURCE / "send.mjs")]


@dataclass
class Sent:
    """The telemetry that a run of the program sent."""

    service: str
    started_ns: int
    trace_id: str
    span_id: str

    def at(self, nanos: int) -> str:
        return rfc3339(self.started_ns + nanos)

    @property
    def resource(self) -> dict[str, Any]:
        attributes = {"service.name": self.service, "process.pid": 42, "host.up": True, "load": 0.5, "tags": ["a", "b"]}
        return {"attributes": attributes, "dropped_attributes_count": 0, "schema_url": ""}


@pytest.fixture(scope="module", params=["grpc", "http", "proto"])
def sent(request, program, running):
    service, second = f"node-{request.param}", int(time.time())
    endpoint = f"http://{running.grpc_target}" if request.param == "grpc" else running.otlp_url
    done = subprocess.run(
        [*program, request.param, endpoint, running.key, service, str(second)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SEND_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return Sent(service, second * SECOND, **json.loads(done.stdout))


def test_traces(sent, tenant, stranger, eventually, assert_sees_nothing):
    found = eventually(lambda: (answer := tenant.trace(sent.trace_id)).status_code == 200 and answer.json())
    assert found["span_count"] == 5
    assert found["duration_ns"] == SECOND - 2
    common = {
        "trace_id": sent.trace_id,
        "trace_state": "",
        "service_name": sent.service,
        "resource": sent.resource,
        "scope": SCOPE,
        "dropped_attributes_count": 0,
    }
    assert found["spans"][0] == {
        **common,
        "span_id": sent.span_id,
        "parent_span_id": None,
        "flags": LOCAL_PARENT,
        "name": "root",
        "kind": "server",
        "start": sent.at(1),
        "end": sent.at(SECOND - 1),
        "duration_ns": SECOND - 2,
        "status": "error",
        "status_message": "it broke",
        "attributes": ATTRIBUTES,
        "events": [
            {
                "timestamp": sent.at(10 + n),
                "name": f"event {n}",
                "attributes": {"n": n, "list": ["x"]},
                "dropped_attributes_count": 0,
            }
            for n in (1, 2)
        ],
        "dropped_events_count": 1,
        "links": [
            {
                "trace_id": "0123456789abcdef0123456789abcdef",
                "span_id": "1122334455667788",
                "trace_state": "vendor=x",
                "attributes": {"why": "retry", "n": [1, 2]},
                "dropped_attributes_count": 0,
                "flags": REMOTE_PARENT,
            }
        ],
        "dropped_links_count": 0,
        "truncated": [],
    }
    for n, (kind, span) in enumerate(
        zip(("internal", "client", "producer", "consumer"), found["spans"][1:], strict=True)
    ):
        assert span == {
            **common,
            "span_id": span["span_id"],
            "parent_span_id": sent.span_id,
            "flags": LOCAL_PARENT,
            "name": f"child {n}",
            "kind": kind,
            "start": sent.at(100 + n),
            "end": sent.at(200 + n),
            "duration_ns": 100,
            "status": "ok",
            "status_message": "",
            "attributes": {},
            "events": [],
            "dropped_events_count": 0,
            "links": [],
            "dropped_links_count": 0,
            "truncated": [],
        }
    (orphan,) = [
        span
        for span in tenant.trace("0123456789abcdef0123456789abcdef").json()["spans"]
        if span["service_name"] == sent.service
    ]
    assert orphan["parent_span_id"] == "1122334455667788"
    assert orphan["trace_state"] == "vendor=x"
    assert orphan["flags"] == REMOTE_PARENT
    assert_sees_nothing(stranger, sent.trace_id, sent.service, sent.service)


def test_logs(sent, tenant, eventually):
    found = eventually(lambda: len(all_found := tenant.logs(f"service:{sent.service}")) == len(BODIES) and all_found)
    for record in found:
        assert record.pop("id")
        assert not record.pop("truncated", None)
    assert found == [
        {
            "timestamp": sent.at(n),
            "observed_timestamp": sent.at(100 + n),
            "severity_number": 14,
            "severity_text": "WARNING",
            "service_name": sent.service,
            "body": body,
            "event_name": f"event.{n}",
            "trace_id": sent.trace_id,
            "span_id": sent.span_id,
            "trace_flags": 1,
            "attributes": NESTED,
            "dropped_attributes_count": 0,
            "resource": sent.resource,
            "scope": SCOPE,
        }
        for n, body in enumerate(BODIES)
    ]


def test_metrics(sent, tenant, eventually):
    name = sent.service
    shapes = eventually(lambda: len(all_found := tenant.shapes(name)) == 5 and all_found)
    facts = ("type", "temporality", "is_monotonic", "unit", "description", "services")
    assert {metric.removeprefix(name + "."): tuple(shape[f] for f in facts) for metric, shape in shapes.items()} == {
        "counter": ("counter", "delta", True, "1", "delta, of integers", [name]),
        "open": ("counter", "cumulative", False, "{connection}", "", [name]),
        "gauge": ("gauge", "unspecified", False, "Cel", "", [name]),
        "explicit": ("histogram", "delta", False, "ms", "explicit", [name]),
        "exponential": ("exponential_histogram", "delta", False, "ms", "exponential", [name]),
    }
    a, b = ("/a", "200"), ('/b"', "500")
    by = ("route", "status")
    assert tenant.metric(f"{name}.counter", "increase", *by) == {a: [3], b: [4]}
    assert tenant.metric(f"{name}.counter", "sum", "service", "scope", "load", "host.up") == {
        (name, "interop", "0.5", "true"): [7]
    }
    assert tenant.metric(f"{name}.open", "last", *by) == {a: [-2.5]}
    assert tenant.metric(f"{name}.gauge", "avg", *by) == {a: [-7.25]}
    for histogram in ("explicit", "exponential"):
        asked = {each: tenant.metric(f"{name}.{histogram}", each, *by) for each in ("count", "sum", "min", "max")}
        assert asked == {"count": {a: [3]}, "sum": {a: [33]}, "min": {a: [1]}, "max": {a: [30]}}
