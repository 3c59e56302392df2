r"""Words of texts: what a query's words and phrases are compared with, and how.

Texts are compared *folded*: by Unicode's NFKC_Casefold, so that neither case nor the width or the composition of
characters matters. A *token* is a run of letters, digits and their marks, of any script; whatever else there is
separates tokens. In scripts that write no spaces between words each character is a token by itself.

A word matches texts that have all of its tokens and, if it is more than one, the word as it stands. A quoted phrase
matches wherever it stands, also within words. A pattern's parts match likewise, in their order.

Both sides are folded and split by ClickHouse, by the same functions. Log records have the tokens of most bodies in an
index of the body; `body_words` has those of bodies that this would misread: beyond ASCII, coloured, or JSON with
escapes. `body_folded` is the text of any (docs/adr/0027).
"""

import re
import unicodedata
from typing import Final

from duoscope.telemetry.language.tree import And, Predicate, Tree

Resolved = Tree[Predicate]

FOLDED: Final = "normalizeUTF8NFKCCasefold({})"
"""The SQL of a text as it is compared. Folding twice is folding once."""
# Characters that a version of Unicode does not know yet are letters, but for the blocks of emoji.
_BETWEEN: Final = r"[\\p{P}\\p{S}\\p{Z}\\p{Cc}\\p{Cf}\\p{Co}\\p{Me}\\x{1F300}-\\x{1FAFF}]+"
_SCRIPTS: Final = (
    "Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese",
    "Balinese", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Ahom",
)  # fmt: skip
_ALONE: Final = "[" + "".join(rf"\\p{{{script}}}" for script in _SCRIPTS) + r"\\x{3006}\\x{303C}\\x{30FC}]"


def tokens(folded: str) -> str:
    """The SQL of a folded text as `splitByNonAlpha` splits it into tokens: bytes beyond ASCII belong to tokens."""
    return rf"replaceRegexpAll(replaceRegexpAll({folded}, '{_BETWEEN}', ' '), '{_ALONE}', ' \\0 ')"


_FOLDED: Final = FOLDED.format("{0}")
_TOKENS: Final = tokens("\0").replace("{", "{{").replace("}", "}}").replace("\0", _FOLDED)
_LITERAL: Final = rf"replaceRegexpAll({FOLDED.format('{}')}, '[%_\\\\]', '\\\\\\0')"
"""A part of a pattern of LIKE: folding makes a percent sign of the one of full width."""

_WORD: Final = re.compile(r"[0-9A-Za-z]+")
_NO_TOKEN: Final = re.compile(r"[^0-9A-Za-z\x80-\U0010ffff]")
_SURELY_ALONE: Final = re.compile(r"[\u0e01-\u0e30\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]")
"""Of the characters that are tokens by themselves, those that need no table."""
_IGNORED_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters that folding drops."""
_INDEXED_CHARS_MIN: Final = 4
"""The shortest part of a word that ClickHouse looks up in an index: `text_index_like_min_pattern_length`."""


def word_in_body(word: str) -> Resolved:
    """Whether the body of a log record has a word."""
    if _WORD.fullmatch(word):
        return _has_tokens("{0}", word.lower())
    as_it_stands = _holds("body_folded", word)
    return And((_has_tokens(_TOKENS, word), as_it_stands)) if _has_letters(word) else as_it_stands


def phrase_in_body(phrase: str) -> Resolved:
    """Whether the body of a log record has a text, as it stands."""
    conditions: list[Resolved] = []
    if whole := _whole_tokens(phrase):
        conditions.append(_has_tokens(_TOKENS, whole))
    conditions += [_has_part_of_word(part) for part in _parts_of_words(phrase)]
    conditions.append(_holds("body_folded", phrase))
    return conditions[0] if len(conditions) == 1 else And(tuple(conditions))


def pattern_in_body(pattern: str) -> Resolved:
    """Whether the body of a log record has a text that is like a pattern with `*`."""
    parts = [part for text in pattern.split("*") if text.isascii() for part in _parts_of_words(text, within=True)]
    conditions: list[Resolved] = [_has_part_of_word(part) for part in parts]
    conditions.append(_is_like("body_folded", pattern))
    return conditions[0] if len(conditions) == 1 else And(tuple(conditions))


def phrase_in(column: str, phrase: str) -> Resolved:
    """Whether a column has a text, as it stands."""
    return _holds(FOLDED.format(column), phrase)


def pattern_in(column: str, pattern: str) -> Resolved:
    """Whether a column has a text that is like a pattern with `*`."""
    return _is_like(FOLDED.format(column), pattern)


def _has_tokens(of: str, value: str) -> Predicate:
    return Predicate(
        f"((body_words = '' AND hasAllTokens(body, {of})) OR hasAllTokens(body_words, {of}))", (("String", value),)
    )


def _has_part_of_word(part: str) -> Predicate:
    return Predicate("((body_words = '' AND body ILIKE {0}) OR body_words LIKE {0})", (("String", f"%{part}%"),))


def _holds(folded: str, text: str) -> Predicate:
    return Predicate(f"position({folded}, {_FOLDED}) > 0", (("String", text),))


def _is_like(folded: str, pattern: str) -> Predicate:
    parts = tuple(part for part in pattern.split("*") if part)
    like = ", ".join(["'%'", *(f"{_LITERAL}, '%'" for _ in parts)])
    return Predicate(f"{folded} LIKE concat({like}, '')", tuple(("String", part) for part in parts))


def _has_letters(text: str) -> bool:
    """Whether there is a token in it for sure."""
    folded = unicodedata.normalize("NFKC", text)
    return any(unicodedata.category(c)[0] in "LN" and c not in _IGNORED_LETTERS for c in folded)


def _whole_tokens(phrase: str) -> str:
    """Text of a phrase whose tokens are those of any text with the phrase; '' if it has none.

    They stand between characters that separate whatever is around them, or need none.
    """
    composed = unicodedata.normalize("NFKC", phrase)
    between = _NO_TOKEN.split(composed)[1:-1]
    whole = [piece for piece in between if _has_letters(piece)]
    return " ".join([*whole, *dict.fromkeys(_SURELY_ALONE.findall(composed))])


def _parts_of_words(phrase: str, *, within: bool = False) -> list[str]:
    """Parts of words of which an index knows who has them: at the ends of a phrase, or anywhere."""
    if not phrase.isascii():
        return []
    words = _NO_TOKEN.split(phrase.lower())
    ends = words if within else words[:1] + words[1:][-1:]
    return [word for word in dict.fromkeys(ends) if len(word) >= _INDEXED_CHARS_MIN]
