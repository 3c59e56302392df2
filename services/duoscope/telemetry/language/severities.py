"""Severities of log records: their names, and what the texts of records without a number mean."""

from typing import Final

SEVERITIES: Final = {
    "trace": (1, 4),
    "debug": (5, 8),
    "info": (9, 12),
    "warn": (13, 16),
    "warning": (13, 16),
    "error": (17, 20),
    "fatal": (21, 24),
}
"""Ranges of severity numbers (OpenTelemetry logs data model, SeverityNumber)."""
SEVERITY_MAX: Final = 24
_WORDS: Final = {
    1: "trace trc t finest all silly",
    3: "finer",
    4: "fine verbose verb v vrb",
    5: "debug dbg dbug d debugging",
    8: "config",
    9: "info information informational inf i log",
    10: "notice note ntc success system",
    13: "warn warning wrn w warnings",
    17: "error err e eror erro fail failure severe",
    18: "dpanic",
    21: "fatal ftl f critical crit crt c fault",
    22: "alert panic",
    24: "emergency emerg",
}
"""What frameworks call a severity in a record that has no number, by the number that it means."""


def _of_text() -> str:
    """The SQL of the number that a severity's text means, 0 if none: `[Error]`, `WARN`, `info2`."""
    by_word: dict[str, int] = {}
    for number, words_of_it in _WORDS.items():
        by_word |= dict.fromkeys(words_of_it.split(), number)
    for name, (low, _) in SEVERITIES.items():
        by_word |= {f"{name}{n + 1}": low + n for n in range(4)}
    spelled, numbers = ", ".join(f"'{word}'" for word in by_word), ", ".join(map(str, by_word.values()))
    word = "replaceRegexpAll(lower(severity_text), '^[^a-z0-9]+|[^a-z0-9]+$', '')"
    return f"transform({word}, [{spelled}], CAST([{numbers}], 'Array(UInt8)'), toUInt8(0))"


SEVERITY_OF_TEXT: Final = _of_text()
"""The SQL of the number that `severity_text` means, 0 if none."""
