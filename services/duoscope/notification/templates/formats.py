"""Numbers, times and values as Go and Prometheus print them."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from duoscope.notification.templates.errors import Mistake
from duoscope.notification.templates.values import AlertData, Sample, Value

WIDTH_MAX: Final = 200
"""The widest and most precise that printf pads and prints."""

_LARGE: Final = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024: Final = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL: Final = ("m", "u", "n", "p", "f", "a", "z", "y")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86400
_POWER_MIN: Final = -4
_POWER_MAX: Final = 6
_NUMBER: Final = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
_NANOSECONDS_MAX: Final = 2**63
_DIRECTIVE: Final = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<verb>.?)", re.DOTALL)
_QUOTED: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b"}
_QUOTED.update({"\f": "\\f", "\v": "\\v"})


def to_float(value: Value) -> float:
    """The number that a value is or writes. Raises Mistake if it is none."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise Mistake(f"{quoted(value[:50])} is no number")
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Mistake(f"a {kind(value)} is no number")


_KINDS: Final[tuple[tuple[Any, str], ...]] = (
    (type(None), "<nil>"),
    (bool, "bool"),
    (str, "string"),
    (int, "int"),
    (float, "float64"),
    (Sample, "sample"),
    (AlertData, "struct"),
    (Mapping, "map"),
)
"""What Go calls them; a truth value is an int in Python, too, so it stands first."""


def kind(value: Value) -> str:
    """The name of a value's type."""
    return next((name for known, name in _KINDS if isinstance(value, known)), "list")


def general(number: float) -> str:
    """Go's `%.4g`."""
    return _special(number) or f"{number:.4g}"


def shortest(number: float) -> str:
    """Go's `%v` and `%g`: the fewest digits that identify the number, with an exponent from a million on."""
    if (special := _special(number)) is not None:
        return special
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0").rstrip("0")
    if not text:
        return "-0" if sign else "0"
    power = Decimal(repr(number)).adjusted()
    if _POWER_MIN <= power < _POWER_MAX:
        plain = format(Decimal(repr(number)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def humanize(number: float) -> str:
    """Print a number with a metric prefix."""
    if number == 0 or not math.isfinite(number):
        return general(number)
    if abs(number) >= 1:
        number, prefix = _scaled_down(number, _LARGE, 1000)
    else:
        number, prefix = _scaled_up(number)
    return general(number) + prefix


def humanize_1024(number: float) -> str:
    """Print a number with a binary prefix."""
    if abs(number) <= 1 or not math.isfinite(number):
        return general(number)
    number, prefix = _scaled_down(number, _LARGE_1024, 1024)
    return general(number) + prefix


def humanize_duration(seconds: float) -> str:
    """Print seconds in days, hours, minutes and seconds, or as parts of a second."""
    if not math.isfinite(seconds):
        return general(seconds)
    if abs(seconds) < 1:
        number, prefix = _scaled_up(seconds) if seconds else (0.0, "")
        return f"{general(number)}{prefix}s"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    whole = int(seconds)
    days, hours, minutes = whole // _DAY_S, whole // _HOUR_S % 24, whole // _MINUTE_S % 60
    if whole < _MINUTE_S:
        return f"{sign}{general(seconds)}s"
    shown = f"{minutes}m {whole % 60}s"
    if whole >= _HOUR_S:
        shown = f"{hours}h {shown}"
    return f"{sign}{days}d {shown}" if days else sign + shown


def humanize_percentage(ratio: float) -> str:
    """A ratio in percent."""
    return f"{general(ratio * 100)}%"


def humanize_timestamp(seconds: float) -> str:
    """A Unix time in UTC, to the millisecond, as Go prints it."""
    if not math.isfinite(seconds):
        return general(seconds)
    if not -_NANOSECONDS_MAX <= seconds * 1e9 < _NANOSECONDS_MAX:
        raise Mistake(f"{shortest(seconds)} is too far from 1970 for a time")
    milliseconds = int(int(seconds * 1e9) / 1_000_000)
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    part = f".{milliseconds % 1000:03d}".rstrip("0").rstrip(".")
    return f"{at:%Y-%m-%d %H:%M:%S}{part} +0000 UTC"


def _scaled_down(number: float, prefixes: Sequence[str], step: int) -> tuple[float, str]:
    prefix = ""
    for each in prefixes:
        if abs(number) < step:
            break
        number, prefix = number / step, each
    return number, prefix


def _scaled_up(number: float) -> tuple[float, str]:
    prefix = ""
    for each in _SMALL:
        if abs(number) >= 1:
            break
        number, prefix = number * 1000, each
    return number, prefix


def shown(value: Value) -> str:
    """A value as an action prints it (Go's `%v`)."""
    match value:
        case bool() | None:
            text = {None: "<no value>", True: "true", False: "false"}[value]
        case str() | int():
            text = str(value)
        case float():
            text = shortest(value)
        case Sample() | AlertData():
            text = f"{{{shown(value.labels)} {shortest(value.value)}}}"
        case Mapping():
            text = f"map[{' '.join(f'{name}:{shown(value[name])}' for name in sorted(value))}]"
        case _:
            text = f"[{' '.join(map(shown, value))}]"
    return text


def quoted(text: str) -> str:
    """A string as Go's `%q` prints it."""
    made = [_QUOTED.get(each) or (each if each.isprintable() else _code(each)) for each in text]
    return f'"{"".join(made)}"'


def _code(character: str) -> str:
    code = ord(character)
    if code < 0x80:  # noqa: PLR2004 - of ASCII
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - of the first plane


def printf(format_text: str, values: Sequence[Value]) -> str:
    """Go's `Sprintf`, with the verbs `v s q d x X f F e E g G t %`. What does not fit is told in the text, as Go does.

    Raises:
        Mistake: a width or a precision above WIDTH_MAX.
    """
    left = list(values)

    def replaced(found: re.Match[str]) -> str:
        verb = found["verb"]
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if not left:
            return f"%!{verb}(MISSING)"
        width = int((found["width"] or "0")[:9])
        precision = None if found["precision"] is None else int((found["precision"] or "0")[:9])
        if max(width, precision or 0) > WIDTH_MAX:
            raise Mistake(f"printf has a width or precision above {WIDTH_MAX}")
        return _printed(left.pop(0), verb, found["flags"], width, precision)

    text = _DIRECTIVE.sub(replaced, format_text)
    if left:
        extra = ", ".join("<nil>" if each is None else f"{kind(each)}={shown(each)}" for each in left)
        text += f"%!(EXTRA {extra})"
    return text


def _printed(value: Value, verb: str, flags: str, width: int, precision: int | None) -> str:
    text = _formatted(value, verb, flags, precision)
    if text is None:
        return f"%!{verb}({'<nil>' if value is None else f'{kind(value)}={shown(value)}'})"
    if "-" in flags:
        return text.ljust(width)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if "0" in flags and is_number and text.lstrip("+- ")[:1].isdigit():
        sign = text[: len(text) - len(text.lstrip("+- "))]
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _formatted(value: Value, verb: str, flags: str, precision: int | None) -> str | None:
    """A value by a verb, or None if the verb is not for it."""
    match value:
        case bool() if verb in "tv":
            text = shown(value)
        case int() if not isinstance(value, bool) and verb in "vdxX":
            text = _signed(format(value, verb.replace("v", "d")), flags)
        case float() if verb in "vfFeEgG":
            text = _signed(_number(value, verb.replace("v", "g"), precision), flags)
        case str() if verb in "vsqxX":
            text = _text(value if precision is None else value[:precision], verb)
        case None:
            text = "<nil>" if verb == "v" else None
        case Mapping() | list() | tuple() | Sample() | AlertData() if verb in "vs":
            text = shown(value)
        case _:
            text = None
    return text


def _text(text: str, verb: str) -> str:
    match verb:
        case "q":
            return quoted(text)
        case "x" | "X":
            return format(int.from_bytes(text.encode()), f"0{2 * len(text.encode())}{verb}") if text else ""
        case _:
            return text


def _number(value: float, verb: str, precision: int | None) -> str:
    if (special := _special(value)) is not None:
        return special
    if verb in "gG" and precision is None:
        text = shortest(value)
        return text.upper() if verb == "G" else text
    return format(value, f".{6 if precision is None else precision}{verb}")


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else None


def _signed(text: str, flags: str) -> str:
    if text[:1] in "+-":
        return text
    return f"+{text}" if "+" in flags else f" {text}" if " " in flags else text
