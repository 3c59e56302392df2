"""Lists of values find what their values find; regular expressions find what RE2 says, with indexes and without."""

import random

import pytest
import re2

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.language import Signal, compile_query

NOW = now_unix_nano()
VALUES = [1, "1", 1.0, True, "true", "", None, [1, "a"], ["b", 2.5], {"k": "c"}, 2.5, float("nan"), -3, "a b", "/cart/"]
BODIES = [
    "GET /api/orders/42 took 15 ms",
    "connection reset by peer",
    "Connection refused: tcp 10.0.0.1:5432",
    "connection was\nreset",
    "数据库连接失败 reset",
    "ошибка conn",
    '{"msg":"conn reset"}',
    "",
]


@pytest.fixture
async def find(telemetry_store, deliver, otlp, new_scope):
    """Stores a record for each of `BODIES` and `VALUES` as the attribute `k`, and one without; answers who is found."""
    scope = new_scope()
    records = [{"time_unix_nano": NOW + n, "body": body} for n, body in enumerate(BODIES)]
    records += [
        {"time_unix_nano": NOW + len(BODIES) + n, "body": f"value {n}", "attributes": {"k": value}}
        for n, value in enumerate(VALUES)
    ]
    records = [record | {"severity_text": str(n), "event_name": f"e{n % 3}"} for n, record in enumerate(records)]
    await deliver(scope, otlp.logs("shop", *records[::2]), otlp.logs("cart", *records[1::2]))
    reader = telemetry_store.bind(scope)

    async def answer(*queries):
        """What each of the queries finds, and that it is the same without an index."""
        found = []
        for query in queries:
            condition = compile_query(query, Signal.LOGS)
            statement = f"SELECT severity_text AS n FROM @logs WHERE {condition.sql}"
            both = [
                {int(row["n"]) for row in await reader.query(sql, condition.parameters, name="test")}
                for sql in (statement, f"{statement} SETTINGS use_skip_indexes = 0")
            ]
            assert both[0] == both[1], query
            found.append(both[0])
        return found

    return answer


async def test_a_list_finds_what_its_values_find(find):
    chance = random.Random(1)
    values = ["1", '"1"', "1.0", "true", '""', "a", "b", "2.5", "nan", "-3", '"a b"', "c*", ">1", "/^[ab]/", '"/cart/"']
    singles = dict(
        zip(values, await find(*(f"k:{value}" if value[0] != ">" else f"k{value}" for value in values)), strict=True)
    )
    everything = {*range(len(BODIES) + len(VALUES))}
    for _ in range(12):
        some = chance.sample(values, chance.randint(1, 6))
        together = set().union(*(singles[value] for value in some))
        listed = " OR ".join(some)
        found = await find(f"k:({listed})", f"-k:({listed})", f"k!=({listed})")
        assert found == [together, everything - together, everything - together], listed
    either, both, other = await find("k:(a 1)", "k:(>=1 AND <2 NOT /^t/)", "service:(shop OR nobody) event:(e1 OR /2/)")
    assert either == singles["a"] & singles["1"]
    assert both == (await find("k>=1 k<2 -k:/^t/"))[0]
    assert other == {n for n in everything if n % 2 == 0 and n % 3 in (1, 2)}


async def test_an_expression_matches_what_re2_says(find):
    options = re2.Options()
    options.dot_nl = True
    expressions = [
        r"conn.*reset", r"(?i)CONNECTION (reset|refused)", r"^GET \/api\/\w+\/\d+", r"reset$", r"连.失", r"\bconn\b",
        r"\d+\.\d+", r"[^\x00-\x7f]", r"^$", r"conn\w+ (was\s)?reset", r"msg\":\"", r"x*",
    ]  # fmt: skip
    for expression, found in zip(expressions, await find(*(f"body:/{each}/" for each in expressions)), strict=True):
        pattern = re2.compile(expression, options)
        texts = [*BODIES, *(f"value {n}" for n in range(len(VALUES)))]
        assert found == {n for n, text in enumerate(texts) if pattern.search(text)}, expression
    # Of attributes that are there: numbers and booleans as they are printed, lists by an element, maps by a member.
    numbers, booleans, empty, elements, anything, members, slashes = await find(
        r"k:/^-?\d+$/", "k:/^(true|false)$/", "k:/^$/", "k:/^[ab]$/", "k:/x*/", "k.k:/c/", r"k:/^\/cart\/$/"
    )
    first = len(BODIES)
    assert {n - first for n in numbers} == {0, 1, 2, 7, 12}
    assert {n - first for n in booleans} == {3, 4}
    assert {n - first for n in empty} == {5}
    assert {n - first for n in elements} == {7, 8}
    assert {n - first for n in anything} == {*range(len(VALUES))} - {6}
    assert {n - first for n in members} == {9}
    assert {n - first for n in slashes} == {14}


async def test_no_expression_that_passes_is_refused_by_the_store(find):
    chance = random.Random(2)
    pieces = [
        "a", "é", "连", "(", ")", "(?:", "(?i)", "[a-c]", "[^x]", "[[:alpha:]]", "|", "*", "+?", "{2,3}", "{9}", r"\d",
        r"\pL", r"\x{1F600}", r"\b", r"\z", "^", "$", ".", r"\\", "(?P<n>", r"\Q", r"\E", r"\C", "{}", "?",
    ]  # fmt: skip
    passed = []
    while len(passed) < 40:
        expression = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
        try:
            compile_query(f"body:/{expression}/", Signal.LOGS)
        except DuoscopeError:
            continue
        passed.append(f"body:/{expression}/ OR k:/{expression}/")
    await find(*passed)
