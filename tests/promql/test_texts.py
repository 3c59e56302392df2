"""Any text gives an answer or an error that points at the character, and never crashes the process."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.memory import Memory
from duoscope.telemetry.promql.syntax.parse import parse

DEEP = [
    "(" * 4000 + "a" + ")" * 4000,
    "abs(" * 3000 + "a" + ")" * 3000,
    "+".join("a" * 4000),
    "^".join("a" * 4000),
    "-" * 8000 + "a",
    " and ".join("a" * 1000),
    "a" + "[5m:]" * 1500,
    "sum " * 2000 + "(a)",
    "{" * 8000,
    'a{b="' + "c" * 8100,
    "a offset " + "9" * 400,
    "a[" + "9" * 300 + "y]",
    "a @ " + "9" * 400,
    "a offset 1e300",
    "a[1e300]",
    "a @ 1e300",
    "a @ -1e30",
    "0x" + "f" * 300,
    "\x00\ud83d"[:1] + "a",
    '{"\\xff\\xfe"="a"}',
    '{a=~"' + "(" * 2000 + ")" * 2000 + '"}',
    '{a=~"' + "(a{1000}){1000}" + '"}',
]  # fmt: skip
_PIECES = [
    "a", "b", "sum", "rate", "topk", "by", "without", "(", ")", "[", "]", "{", "}", "5m", "1", "1e9", "0x1", "NaN",
    "Inf", "+", "-", "*", "/", "%", "^", "==", "!=", ">=", "<", "=~", "!~", "=", ",", ":", "@", "offset", "on",
    "ignoring", "group_left", "group_right", "bool", "and", "or", "unless", "atan2", '"x"', "'y'", "`z`", '"\\', "#",
    "\n", " ", "start()", "end()", "fill(0)", "histogram_quantile", "label_replace", "é", "\U0001f600", "\\", "$", "!",
    "9" * 30, "absent_over_time", "[5m:1m]", "count_values",
]  # fmt: skip


def test_errors_point_at_the_character():
    for text, place in (
        ("1 +", "1:4"),
        ("sum(x) sum(y)", "1:8"),
        ("rate(x)", "1:1"),
        ("a + foo(x)", "1:5"),
        ("a +\n  b)", "2:4"),
        ("a{b=}", "1:"),
        ('a{b="c}', "1:5"),
        ("(a", "1:1"),
        ("a[5m", "1:2"),
    ):
        with pytest.raises(ExpressionError, match=rf"^{place}") as raised:
            parse(text)
        assert "parse error" in raised.value.message


def test_strings_are_go_s():
    node = parse(r'label_replace(x, "a", "\u00e9\x41\101", `\d`, "\xc3\xa9")')
    assert [argument.value for argument in node.arguments[1:]] == ["a", "éAA", "\\d", "é"]


def _random_texts(seed):
    chosen = random.Random(seed)
    for _ in range(300):
        yield "".join(chosen.choice(_PIECES) + chosen.choice(["", " "]) for _ in range(chosen.randrange(1, 60)))
    for _ in range(20):
        piece = chosen.choice(_PIECES)
        yield (piece + chosen.choice(["", " ", "("])) * chosen.randrange(1, 8000 // max(1, len(piece)))


def survive(seeds):
    """Parse, in a thread as a server would; what is no expression must say so."""
    messages = []
    texts = [*DEEP, *(text for seed in seeds for text in _random_texts(seed))]
    for text in texts:
        try:
            parse(text)
        except ExpressionError as error:
            messages.append((error.message, text))
    said = re.compile(r"\d+:\d+: |the expression|error parsing|.* not supported")
    assert not [pair for pair in messages if not said.match(pair[0])]


def test_no_text_kills_the_process():
    program = (
        "import sys, threading\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "threading.stack_size(1024 * 1024)\n"
        "import test_texts\n"
        "raised = []\n"
        "def work():\n"
        "    try:\n"
        "        test_texts.survive(range(10))\n"
        "    except BaseException as error:\n"
        "        raised.append(error)\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "thread.join()\n"
        "assert not raised, raised\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("function", ["max_over_time", "stddev_over_time", "sum_over_time", "mad_over_time"])
async def test_ranges_that_are_looked_at_point_by_point_are_bounded(function):
    """Ten days of seconds, in each of two thousand steps."""
    text = f"{function}(vector(1)[10d:1s])"
    with pytest.raises(ExpressionError, match="points together"):
        await engine.over_range(Memory(), text, parse(text), 0, 20_000 * 60_000, 600_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topk(1e300, vector(1))", "Scalar value 1e+300 overflows int64"),
        ("limitk(scalar(vector(1e25 - 1e25 * (time() == bool 0))), vector(1))", "Scalar value 1e+25 overflows int64"),
        ("bottomk(1 - (time() > bool 0) * 1e30, vector(1))", "Scalar value -1e+30 underflows int64"),
        ("topk(NaN, vector(1))", "Parameter value is NaN"),
    ],
)
async def test_counts_that_are_no_integers_are_named(text, message):
    with pytest.raises(ExpressionError) as raised:
        await engine.over_range(Memory(), text, parse(text), 0, 120_000, 60_000)
    assert message in raised.value.message


async def test_a_count_below_one_keeps_nothing_however_small():
    answer = await engine.instant(Memory(), "topk(-1e300, vector(1))", parse("topk(-1e300, vector(1))"), 0)
    assert len(answer.value.labels) == 0
