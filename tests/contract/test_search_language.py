"""What the search language compiles to, compared with search/*.txt; DUOSCOPE_TESTS_REGENERATE=1 writes these anew."""

import os
from pathlib import Path

import pytest

from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.language import Signal, compile_query

_SNAPSHOTS = Path(__file__).parent / "search"

QUERIES = {
    Signal.LOGS: [
        "word",
        "Two words",
        '"connection refused"',
        "conn-refused",
        "-—",
        "conn*",
        "service:checkout severity>=warn",
        "severity:error OR severity>fatal OR severity<=info OR severity<debug OR severity:7",
        "service!=checkout",
        "-service:check* NOT -word",
        'http.route="/api/{id}"',
        'attributes.key:"it\'s \\"quoted\\" \\\\"',
        "resource.k8s.pod.name:a_b%*",
        "http.response.status_code>=500 attributes.ratio<0.5 resource.count!=3",
        "user.id:*",
        'user.id:""',
        '"odd key":x',
        "trace_id:5B8EFFF798038103D269B633813FC60C span_id:*",
        'body:"exactly this" event:click scope:*',
        "a (b OR c AND d) OR NOT (e f)",
        "url:http://x/y?a=b 10:30",
        "https://x/y?a=b größe:5 用户=1 état:neuf",
        "'; DROP TABLE logs; --",
        "{p:String} @traces %(x)s",
        r"body:/conn.*(reset|refused)\/tcp/ body!=/^GET / event:(/a OR /)",
        "user.id:/^u-\\d+$/ -resource.k8s.pod.name:/web/",
        "http.route:/cart OR http.route:/",
        "url.path:/ OR http.route:/api/v1/ /usr/bin/",
        'http.response.status_code:(500 OR 503 OR fatal) service:(checkout OR "the cart" OR ca*)',
        "service!=(a OR b) -severity:(warn OR >=error) NOT trace_id:(5B8EFFF798038103D269B633813FC60C OR *)",
        'labels:(NOT -1 AND "a b") http.response.status_code:(>=400 <500 OR (/^3/ !=304))',
        "service:a OR word OR service:b OR scope:c OR service:d",
        'cache.hit:(true OR nan OR 5e-1 OR "[1]")',
    ],
    Signal.TRACES: [
        "checkout",
        "GET*",
        "status:error duration>100ms duration<=1.5s",
        "kind:SERVER name:*cart* event:exception event:ex*",
        "parent_span_id:* -status_message:timeout",
        'resource.name:GET* "attributes.a b":1',
        "kind:(SERVER OR consumer) status!=(ok OR unset) event:(exception OR retry) duration:(>1s OR <1ms)",
        "link.trace_id:(5B8EFFF798038103D269B633813FC60C OR 00000000000000000000000000000001) event.name:/^ex/",
        "event.exception.type:(java.io.IOException OR /Timeout/) parent_span_id:(0000000000000001 OR 0000000000000002)",
    ],
    Signal.METRICS: [
        "service:checkout http.route:/cart",
        "service:(a OR b) http.route:/^.cart/ pod!=(1 OR 2)",
        "availability.zone:zone-1 OR scope:meter*",
    ],
}

MISTAKES = {
    Signal.LOGS: [
        "(a", "a)", "()", "a OR", "OR a", "NOT", "service:", '"x', 'a:"x', "severity:loud", "severity:25",
        "severity:war*",
        "x>y", "x>nan", "trace_id:12", "trace_id>12", "duration>1s", "status:error", "service>a", "a\0b",
        "service:(", "service:()", "service:(a", "service:(a OR)", "k>(1 OR 2)", "k:(>= OR 2)", "k:(>x)",
        "body:/(a/", "body:/a b)/", "body:/x(?=y)/", "k:(1 OR /a**/)", "k:/[a/", "k:/" + "x" * 513 + "/",
        "severity:/war/", "trace_id:(5B8EFFF798038103D269B633813FC60C OR 12)", "trace_id:/12/", "k:/a/ " * 21,
        "k:(" + "(" * 40 + "a",
        "(" * 40 + "a" + ")" * 40, "a " * 101, "a" * 8193,
    ],
    Signal.TRACES: ["duration>100", "duration:1*", "status:failed", "kind>server", "severity:error", "body:x",
        "status:(ok OR bad)", "kind:/s/"],
    Signal.METRICS: ["word", "duration>1s"],
}  # fmt: skip


def _report(signal):
    for query in QUERIES[signal]:
        condition = compile_query(query, signal)
        yield f"> {query}\n{condition.sql}\n{condition.parameters}\n"
    for query in MISTAKES[signal]:
        with pytest.raises(DuoscopeError) as raised:
            compile_query(query, signal)
        assert raised.value.code == "invalid-query"
        place = raised.value.place
        wrong = query[place.position :][: place.length] if place else ""
        choices = f" -> {' '.join(place.choices)}" if place and place.choices else ""
        yield f"> {query[:60]!r}\n! {raised.value.message}\n@ {wrong[:60]!r}{choices}\n"


@pytest.mark.parametrize("signal", Signal)
def test_compiled_text_is_as_committed(signal):
    path = _SNAPSHOTS / f"{signal.name.lower()}.txt"
    report = "\n".join(_report(signal))
    if os.environ.get("DUOSCOPE_TESTS_REGENERATE"):
        path.write_text(report)
    assert report == path.read_text()


@pytest.mark.parametrize("signal", Signal)
def test_an_empty_query_has_no_condition(signal):
    assert compile_query(" \n", signal) is None


@pytest.mark.parametrize("signal", Signal)
async def test_clickhouse_takes_every_condition(telemetry_store, new_scope, signal):
    view = signal.name.lower()
    reader = telemetry_store.bind(new_scope())
    for query in QUERIES[signal]:
        condition = compile_query(query, signal)
        rows = await reader.query(f"SELECT 1 FROM @{view} WHERE {condition.sql}", condition.parameters, name="test")
        assert rows == []
