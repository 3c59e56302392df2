"""Numbers as Prometheus prints them: with the fewest digits that identify them, in the layout of Go's `%g` or `%f`."""

import math
from decimal import Decimal
from typing import Final

_POWER_MIN: Final = -4
_POWER_MAX: Final = 21


def formatted(number: float) -> str:
    """Print a number, with an exponent if it is below -4 or at least 21."""
    text = plain(number)
    if number == 0 or not math.isfinite(number):
        return text
    power = Decimal(repr(number)).adjusted()
    if _POWER_MIN <= power < _POWER_MAX:
        return text
    digits = "".join(map(str, Decimal(repr(number)).as_tuple().digits)).rstrip("0") or "0"
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{'-' if number < 0 else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def plain(number: float) -> str:
    """Print a number without an exponent."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
