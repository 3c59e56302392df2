"""The functions of templates: Prometheus' own, and those of Go's text/template that rules use.

A function takes values and raises Mistake for those that it cannot take.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote_plus

import re2

from duoscope.notification.templates import formats
from duoscope.notification.templates.errors import Mistake
from duoscope.notification.templates.values import Sample, Value

STRING_CHARS_MAX: Final = 65_536
"""Of every string that a template makes."""
MATCHES_MAX: Final = 1_000
"""Of one call of reReplaceAll."""
_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1024 * 1024
_REFERENCE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_GROUP_NUMBER: Final = re.compile(r"[0-9]{1,4}")
"""Any other name, such as `²` or one of thousands of digits, is no number for `int`, and no group."""
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION: Final = re.compile(r"(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?")


@dataclass(frozen=True, slots=True)
class Function:
    """A function: what it does, and the kinds of its arguments. `rest` is that of any further ones."""

    call: Callable[..., Value]
    takes: tuple[Callable[[Value], Any], ...]
    rest: Callable[[Value], Any] | None = None

    def __call__(self, *values: Value) -> Value:
        """Call it. Raises Mistake."""
        few = len(values) < len(self.takes)
        if few or (len(values) > len(self.takes) and self.rest is None):
            raise Mistake(f"takes {len(self.takes)} argument{'s' * (len(self.takes) != 1)}, not {len(values)}")
        made = [take(value) for take, value in zip(self.takes, values, strict=False)]
        if self.rest is not None:
            made += [self.rest(value) for value in values[len(self.takes) :]]
        return self.call(*made)


def _any(value: Value) -> Value:
    return value


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise Mistake(f"expected a string, not a {formats.kind(value)}")
    return value


def _sample(value: Value) -> Sample:
    if not isinstance(value, Sample):
        raise Mistake(f"expected a sample of a query, not a {formats.kind(value)}")
    return value


def _samples(value: Value) -> Sequence[Sample]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, Sample) for each in value):
        raise Mistake(f"expected the answer of a query, not a {formats.kind(value)}")
    return cast("Sequence[Sample]", value)


def _compiled(pattern: str) -> Any:
    try:
        return cast("Any", re2).compile(pattern, _OPTIONS)
    except cast("type[Exception]", re2.error):
        raise Mistake(f"{formats.quoted(pattern[:100])} is no regular expression") from None


def _match(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def _replace_all(pattern: str, replacement: str, text: str) -> str:
    length = matches = 0

    def expanded(found: Any) -> str:
        nonlocal length, matches
        matches += 1
        if matches > MATCHES_MAX:
            raise Mistake(f"replaces at most {MATCHES_MAX} matches")

        def group(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            try:
                return found.group(int(name) if _GROUP_NUMBER.fullmatch(name) else name) or ""
            except (IndexError, KeyError):
                return ""

        made = _REFERENCE.sub(group, replacement)
        length += len(made)
        if length > STRING_CHARS_MAX:
            raise Mistake(f"the text grows beyond {STRING_CHARS_MAX} characters")
        return made

    return _compiled(pattern).sub(expanded, text)


def _first(samples: Sequence[Sample]) -> Sample:
    if not samples:
        raise Mistake("the query has no result")
    return samples[0]


def _sorted_by_label(name: str, samples: Sequence[Sample]) -> list[Value]:
    in_order: list[Sample] = sorted(samples, key=lambda each: each.labels.get(name, ""))
    return [*in_order]


def _title(text: str) -> str:
    return re.sub(r"(?<![\w'])\w", lambda found: found[0].upper(), text)


def _print(*values: Value) -> str:
    made = ""
    for number, value in enumerate(values):
        # Go puts a space between operands of which neither is a string.
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            made += " "
        made += "<nil>" if value is None else formats.shown(value)
    return made


def _println(*values: Value) -> str:
    return " ".join("<nil>" if value is None else formats.shown(value) for value in values) + "\n"


def _len(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    raise Mistake(f"a {formats.kind(value)} has no length")


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, Mapping) and isinstance(key, str):
            value = value.get(key, "")
        elif isinstance(value, list | tuple) and isinstance(key, int) and not isinstance(key, bool):
            if not 0 <= key < len(value):
                raise Mistake(f"there is no item {key} of {len(value)}")
            value = value[key]
        else:
            raise Mistake(f"cannot index a {formats.kind(value)} with a {formats.kind(key)}")
    return value


def _comparable(left: Value, right: Value) -> tuple[Any, Any]:
    for kind in (bool, str, int, float):
        if isinstance(left, kind) and isinstance(right, kind):
            return left, right
        if isinstance(left, bool) or isinstance(right, bool):
            break
    hint = "; write 5.0, not 5" if isinstance(left, int | float) and isinstance(right, int | float) else ""
    raise Mistake(f"cannot compare a {formats.kind(left)} with a {formats.kind(right)}{hint}")


def _equal(left: Value, *others: Value) -> bool:
    if not others:
        raise Mistake("takes 2 arguments, not 1")
    return any(a == b for a, b in (_comparable(left, other) for other in others))


def _ordered(holds: Callable[[Any, Any], bool]) -> Function:
    def compare(left: Value, right: Value) -> bool:
        a, b = _comparable(left, right)
        if isinstance(a, bool):
            raise Mistake("truth values have no order")
        return holds(a, b)

    return Function(compare, (_any, _any))


def is_true(value: Value) -> bool:
    """Whether `if`, `with`, `and`, `or` and `not` take a value for true: not 0, "", nil, or empty."""
    return bool(value)


def _strip_port(host: str) -> str:
    found = re.fullmatch(r"(?:\[([^\]]*)\]|([^:]*)):[^:]*", host)
    return (found[1] or found[2] or "") if found else host


def _strip_domain(host: str) -> str:
    bare = _strip_port(host)
    if re.fullmatch(r"[\d.]+|.*:.*", bare):
        return host
    return bare.split(".", 1)[0] + host[len(bare) :]


def _parse_duration(text: str) -> float:
    if not text or (text != "0" and not _DURATION.fullmatch(text)):
        raise Mistake(f"{formats.quoted(text[:50])} is no duration such as 1h30m")
    return sum(float(number) * _UNIT_S[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))


def _graph_link(expression: str) -> str:
    return f"/graph?g0.expr={quote_plus(expression)}&g0.tab=0"


def _table_link(expression: str) -> str:
    return f"/graph?g0.expr={quote_plus(expression)}&g0.tab=1"


def _value(sample: Sample) -> float:
    return sample.value


def _label(name: str, sample: Sample) -> str:
    return sample.labels.get(name, "")


def _string_value(sample: Sample) -> str:
    return _label("__value__", sample)


def _printf(text: str, *values: Value) -> str:
    return formats.printf(text, values)


def _not(value: Value) -> bool:
    return not is_true(value)


def _unequal(left: Value, right: Value) -> bool:
    return not _equal(left, right)


def _url_query(*values: Value) -> str:
    return quote_plus(_print(*values))


FUNCTIONS: Final[dict[str, Function]] = {
    "humanize": Function(formats.humanize, (formats.to_float,)),
    "humanize1024": Function(formats.humanize_1024, (formats.to_float,)),
    "humanizeDuration": Function(formats.humanize_duration, (formats.to_float,)),
    "humanizePercentage": Function(formats.humanize_percentage, (formats.to_float,)),
    "humanizeTimestamp": Function(formats.humanize_timestamp, (formats.to_float,)),
    "parseDuration": Function(_parse_duration, (_string,)),
    "title": Function(_title, (_string,)),
    "toUpper": Function(str.upper, (_string,)),
    "toLower": Function(str.lower, (_string,)),
    "match": Function(_match, (_string, _string)),
    "reReplaceAll": Function(_replace_all, (_string, _string, _string)),
    "stripPort": Function(_strip_port, (_string,)),
    "stripDomain": Function(_strip_domain, (_string,)),
    "safeHtml": Function(_string, (_string,)),
    "graphLink": Function(_graph_link, (_string,)),
    "tableLink": Function(_table_link, (_string,)),
    "first": Function(_first, (_samples,)),
    "value": Function(_value, (_sample,)),
    "label": Function(_label, (_string, _sample)),
    "strvalue": Function(_string_value, (_sample,)),
    "sortByLabel": Function(_sorted_by_label, (_string, _samples)),
    "print": Function(_print, (), _any),
    "println": Function(_println, (), _any),
    "printf": Function(_printf, (_string,), _any),
    "len": Function(_len, (_any,)),
    "index": Function(_index, (_any,), _any),
    "not": Function(_not, (_any,)),
    "urlquery": Function(_url_query, (), _any),
    "eq": Function(_equal, (_any,), _any),
    "ne": Function(_unequal, (_any, _any)),
    "lt": _ordered(operator.lt),
    "le": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "ge": _ordered(operator.ge),
}
"""By name. `query`, `externalURL`, `pathPrefix`, `and` and `or` are the evaluator's: they need more than their
arguments.
"""
