"""Parameters of Prometheus' API, from the URL and from a form: times, durations, selectors; and their documentation."""

import contextlib
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.syntax import parse
from duoscope.telemetry.promql.syntax.tree import Matcher
from duoscope.telemetry.times import unix_nano

_NS_PER_MS: Final = 1_000_000
_MS_PER_S: Final = 1000
_MOMENT_MAX_S: Final = 2**53 / 1000
_DURATION: Final = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_UNITS_MS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_SURROGATES: Final = range(0xD800, 0xE000)
_FORM: Final = "application/x-www-form-urlencoded"
LISTS: Final = frozenset({"match[]"})
DEFAULT_RANGE_MS: Final = 24 * 3_600_000
"""How far back series and labels are searched without a start."""

DESCRIPTIONS: Final = {
    "query": "An expression.",
    "time": "Unix seconds, or RFC 3339; now unless given.",
    "start": "Unix seconds, or RFC 3339.",
    "end": "Unix seconds, or RFC 3339.",
    "step": "Seconds, or a duration such as 15s.",
    "timeout": "Seconds, or a duration, after which the answer is an error.",
    "limit": "Of series or names in the answer; 0 for no limit.",
    "stats": "`all` for what the query cost.",
    "lookback_delta": "How old a point may be to still be a value; 5m unless given.",
    "match[]": "A selector of series; may be repeated.",
    "metric": "Only of this metric.",
    "limit_per_metric": "Of descriptions a metric.",
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request, from the URL and a form together."""

    pairs: Sequence[tuple[str, str]]

    def text(self, name: str) -> str:
        """The first value of a parameter, or the empty text."""
        return next((value for key, value in self.pairs if key == name), "")

    def required(self, name: str) -> str:
        """The first value of a parameter.

        Raises:
            ExpressionError: it is missing.
        """
        if not (found := self.text(name)):
            raise ExpressionError(f'invalid parameter "{name}": it is required')
        return found

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return [value for key, value in self.pairs if key == name]

    def moment_ms(self, name: str, default_ms: int | None = None) -> int:
        """A time in milliseconds.

        Raises:
            ExpressionError: it is invalid, or missing without a default.
        """
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        seconds = _number(text)
        if seconds is not None and math.isfinite(seconds) and abs(seconds) < _MOMENT_MAX_S:
            return round(seconds * _MS_PER_S)
        if "-" in text[1:]:
            with contextlib.suppress(DuoscopeError):
                return unix_nano(text, name) // _NS_PER_MS
        raise ExpressionError(f'invalid parameter "{name}": cannot parse "{text[:100]}" to a valid timestamp')

    def duration_ms(self, name: str, default_ms: int | None = None) -> int:
        """A duration in milliseconds.

        Raises:
            ExpressionError: it is invalid, or missing without a default.
        """
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        found = duration_ms(text)
        if found is None:
            raise ExpressionError(f'invalid parameter "{name}": cannot parse "{text[:100]}" to a valid duration')
        return found

    def number(self, name: str) -> int:
        """A limit, 0 if it is missing.

        Raises:
            ExpressionError: it is not a whole number from 0 on.
        """
        text = self.text(name)
        if not text:
            return 0
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise ExpressionError(f'invalid parameter "{name}": {text[:100]!r} is no limit')
        return int(text)

    def selectors(self) -> list[tuple[tuple[Matcher, ...], ...]]:
        """The matchers of each `match[]`.

        Raises:
            ExpressionError: one is not a selector.
        """
        return [parse.selector(text).groups for text in self.all("match[]")]

    def range_ms(self) -> tuple[int, int]:
        """`start` and `end` of a search for series and labels."""
        end = self.moment_ms("end", now_unix_nano() // _NS_PER_MS)
        start = self.moment_ms("start", end - DEFAULT_RANGE_MS)
        if end < start:
            raise ExpressionError('invalid parameter "end": end timestamp must not be before start time')
        return start, end


def _number(text: str) -> float | None:
    """A number as other programs write it: without what only Python reads as one, digits of other scripts and `1_0`."""
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def duration_ms(text: str) -> int | None:
    """Parse seconds, or a text such as 1h30m, into milliseconds; None if it is neither."""
    seconds = _number(text)
    if seconds is None:
        found = _DURATION.fullmatch(text)
        if not found or not text:
            return None
        total = sum(int(number or 0) * unit for number, unit in zip(found.groups(), _UNITS_MS, strict=True))
        return total if total < _MOMENT_MAX_S * _MS_PER_S else None
    return round(seconds * _MS_PER_S) if math.isfinite(seconds) and abs(seconds) < _MOMENT_MAX_S else None


async def given(request: Request[Any, Any, Any]) -> Parameters:
    """The parameters of a request.

    Raises:
        ExpressionError: the form is not text.
    """
    pairs = parse_qsl(request.scope["query_string"].decode("ascii", "replace"), keep_blank_values=True)
    if request.method == "POST":
        kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
        body = await request.body()
        if body and kind != _FORM:
            raise ExpressionError(f"send the parameters as {_FORM}")
        try:
            pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True) + pairs
        except ValueError:
            raise ExpressionError("the form cannot be read") from None
    for _, value in pairs:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ExpressionError("a parameter is no UTF-8") from None
    return Parameters(pairs)


def unescaped(name: str) -> str:
    """The label that an escaped name in a path means: `U__a_2e_b` is `a.b`."""
    if not name.startswith("U__"):
        return name
    return re.sub(r"_(?:_|([0-9a-fA-F]{1,6})_)", lambda m: "_" if not m.group(1) else _character(m), name[3:])


def _character(match: re.Match[str]) -> str:
    code = int(match.group(1), 16)
    is_character = code <= sys.maxunicode and not _SURROGATES.start <= code < _SURROGATES.stop
    return chr(code) if is_character else match.group()


def documents(*names: str, required: Sequence[str] = (), form: bool = False) -> type[Operation]:
    """Make an OpenAPI operation with these parameters, in the URL or as a form."""
    schemas = {
        name: Schema(
            type=OpenAPIType.ARRAY if name in LISTS else OpenAPIType.STRING,
            items=Schema(type=OpenAPIType.STRING) if name in LISTS else None,
            description=DESCRIPTIONS[name],
        )
        for name in names
    }

    @dataclass  # without it, nothing calls __post_init__
    class Documented(Operation):
        def __post_init__(self) -> None:
            if form:
                schema = Schema(type=OpenAPIType.OBJECT, properties=dict(schemas), required=list(required))
                self.request_body = RequestBody(content={_FORM: OpenAPIMediaType(schema=schema)})
                return
            self.parameters = [
                *(self.parameters or []),
                *(
                    Parameter(
                        name=name, param_in="query", schema=schema, required=name in required,
                        description=DESCRIPTIONS[name],
                    )
                    for name, schema in schemas.items()
                ),
            ]  # fmt: skip

    return Documented
