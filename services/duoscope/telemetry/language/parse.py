r"""First stage: text to tree.

    query := and ("OR" and)*          and  := not (["AND"] not)*        not := ("NOT" | "-") not | item
    item  := "(" query ")" | term     term := field op value | field is "(" list ")" | word | "phrase"
    op    := is | ">" | ">=" | "<" | "<="     is := ":" | "=" | "!="     value := word | "phrase" | /regex/

A list is a query whose terms are values of the field, each with an operator of its own if need be; in it `-` begins a
number, and `:` is a part of a value.

A value or word ends at white space or a parenthesis; anything goes inside double quotes, with \" and \\ for these.
`name://rest` without quotes is a word: it is an address, and no field. Many values are paths: only what has a slash at
both ends and none between (`\/` is none) is a regular expression.
"""

import re
from typing import Final

from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX, READ_PATTERNS_MAX, READ_REGEX_CHARS_MAX
from duoscope.telemetry.language import regex
from duoscope.telemetry.language.tree import And, Not, Or, Term, Tree, query_error

TERMS_MAX: Final = 100
DEPTH_MAX: Final = 32

_SPACE = re.compile(r"\s*")
# Beyond ASCII a name may contain any characters except white space.
_FIELD = re.compile(
    r"""((?:[A-Za-z_@]|[^\x00-\x7f\s])(?:[\w.@/$\[\]-]|[^\x00-\x7f\s])*|"(?:[^"\\]|(?s:\\.))+")(!=|>=|<=|[:=><])"""
)
_ADDRESS = re.compile(r"[^\s()\":]+://")
_QUOTED = re.compile(r'"((?:[^"\\]|(?s:\\.))*)"')
_BARE = re.compile(r'[^\s()"]+')
_REGEX = re.compile(r"/((?!\s)(?:[^/\\]|\\(?s:.))+)/(?=[\s)]|$)")
_TWO_VALUES = re.compile(r"\s(?s:.*)[:=<>(]\Z|\s(?:AND|OR|NOT)\s+\Z")
"""What is between the slashes that begin the values of two terms."""
_ORDER = re.compile(r"!=|>=|<=|[><]")
_KEYWORD = re.compile(r"(AND|OR|NOT)(?=[\s()]|$)")


def parse(text: str) -> Tree[Term] | None:
    """Parse a query into a tree. Returns None for a query without any term.

    Raises:
        DuoscopeError: INVALID `invalid-query`.
    """
    if len(text) > QUERY_TEXT_CHARS_MAX:
        raise query_error(QUERY_TEXT_CHARS_MAX, f"the query is longer than {QUERY_TEXT_CHARS_MAX} characters.")
    if (nul := text.find("\0")) >= 0:
        raise query_error(nul + 1, "the query contains the character U+0000; remove it.")
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0
        self._patterns = 0
        self._listing: str | None = None
        """The field whose values are listed."""

    def query(self) -> Tree[Term] | None:
        self._skip()
        if self._ended:
            return None
        tree = self._or(0)
        if not self._ended:
            raise self._error(
                "this closing parenthesis has no opening one; remove it, or put a value that contains it in quotes."
            )
        return tree

    def _or(self, depth: int) -> Tree[Term]:
        if depth > DEPTH_MAX:
            raise self._error(f"more than {DEPTH_MAX} levels of parentheses and negations; write the query flatter.")
        parts = [self._and(depth)]
        while self._keyword("OR"):
            parts.append(self._and(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self, depth: int) -> Tree[Term]:
        parts = [self._not(depth)]
        while True:
            if self._keyword("AND"):
                parts.append(self._not(depth))
            elif self._ended or self._text[self._at] == ")" or self._peek() == "OR":
                return parts[0] if len(parts) == 1 else And(tuple(parts))
            else:
                parts.append(self._not(depth))

    def _not(self, depth: int) -> Tree[Term]:
        negated = False
        while self._keyword("NOT") or self._minus():
            negated = not negated
        item = self._item(depth)
        return Not(item) if negated else item

    def _item(self, depth: int) -> Tree[Term]:
        if self._ended:
            raise self._error("the query ends where a term should follow; write a word or field:value.")
        if self._text[self._at] == "(":
            opened = self._at
            self._advance(1)
            inner = self._or(depth + 1)
            if self._ended:
                raise query_error(opened + 1, "this parenthesis is not closed; add ')'.")
            self._advance(1)
            return inner
        if self._text[self._at] == ")":
            raise self._error("found ')' where a term should stand; write a word or field:value.")
        if keyword := self._peek():
            raise self._error(
                f'found {keyword} where a term should stand; to search for the word itself write "{keyword}".'
            )
        return self._term(depth) if self._listing is None else self._listed(self._listing)

    def _term(self, depth: int) -> Tree[Term]:
        self._count()
        start = self._at
        found = None if _ADDRESS.match(self._text, start) else _FIELD.match(self._text, start)
        field, op = found.groups() if found else ("", "=")
        if found:
            self._at = found.end()
            if field.startswith('"'):
                field = _unescaped(field[1:-1])
            if self._text[self._at : self._at + 1] == "(":
                return self._list(field, op, depth)
        op = "=" if op == ":" else op
        value_at = self._at - start
        value, quoted, is_regex = self._value(field + found.group(2) if found else "", op if found else "")
        raw = self._text[start : self._at].rstrip()
        return Term(start + 1, field, op, value, quoted, raw, value_at, is_regex)

    def _list(self, field: str, op: str, depth: int) -> Tree[Term]:
        if op not in (":", "=", "!="):
            raise self._error(
                f"{op} takes one value; in a list each has its own operator, such as {field[:40]}:({op}1 OR 0)."
            )
        opened = self._at
        self._advance(1)
        self._listing = field
        tree = self._or(depth + 1)
        self._listing = None
        if self._ended:
            raise query_error(opened + 1, "this parenthesis is not closed; add ')'.")
        self._advance(1)
        return Not(tree) if op == "!=" else tree

    def _listed(self, field: str) -> Term:
        self._count()
        start = self._at
        found = _ORDER.match(self._text, start)
        op = found.group() if found else "="
        if found:
            self._at = found.end()
        value_at = self._at - start
        value, quoted, is_regex = self._value(op if found else "", op)
        raw = self._text[start : self._at].rstrip()
        return Term(start + 1, field, op, value, quoted, raw, value_at, is_regex, is_listed=True)

    def _count(self) -> None:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise self._error(f"more than {TERMS_MAX} terms; write the query shorter.")

    def _value(self, after: str, op: str) -> tuple[str, bool, bool]:
        """A value, whether it was quoted, and whether it is a regular expression."""
        if found := _QUOTED.match(self._text, self._at):
            self._advance(found.end() - self._at)
            return _unescaped(found.group(1)), True, False
        found = _REGEX.match(self._text, self._at) if op in ("=", "!=") else None
        if found and not _TWO_VALUES.search(found.group(1)):
            return self._regex(found), False, True
        if self._text[self._at : self._at + 1] == '"':
            raise self._error("this quotation mark is not closed; add '\"'.")
        found = _BARE.match(self._text, self._at)
        if found is None:
            raise self._error(
                f'a value should follow {after!r}; for the empty text write "", for any value write *, and if it is '
                "itself what to search for, put it in quotes."
            )
        if "*" in found.group() and found.group().strip("*"):
            self._count_pattern()
        self._advance(found.end() - self._at)
        return found.group(), False, False

    def _regex(self, found: re.Match[str]) -> str:
        self._count_pattern()
        expression = found.group(1)
        if len(expression) > READ_REGEX_CHARS_MAX:
            raise self._error(f"this regular expression is longer than {READ_REGEX_CHARS_MAX} characters.")
        if mistake := regex.mistake(expression):
            offset, what = mistake
            raise query_error(
                found.start(1) + offset + 1,
                f"the regular expression is not valid: {what}; to search for the text itself, put it in quotes.",
            )
        self._advance(found.end() - self._at)
        return expression

    def _count_pattern(self) -> None:
        self._patterns += 1
        if self._patterns > READ_PATTERNS_MAX:
            raise self._error(
                f"more than {READ_PATTERNS_MAX} terms with a * or a regular expression; write the query shorter."
            )

    def _keyword(self, keyword: str) -> bool:
        if self._peek() != keyword:
            return False
        self._advance(len(keyword))
        return True

    def _peek(self) -> str:
        found = _KEYWORD.match(self._text, self._at)
        return found.group(1) if found else ""

    def _minus(self) -> bool:
        following = self._text[self._at + 1 : self._at + 2]
        if self._listing is not None:
            return False
        if self._text[self._at : self._at + 1] != "-" or not following or following.isspace():
            return False
        self._at += 1
        return True

    @property
    def _ended(self) -> bool:
        return self._at >= len(self._text)

    def _advance(self, count: int) -> None:
        self._at += count
        self._skip()

    def _skip(self) -> None:
        if found := _SPACE.match(self._text, self._at):
            self._at = found.end()

    def _error(self, message: str) -> DuoscopeError:
        return query_error(min(self._at, len(self._text)) + 1, message, length=0 if self._ended else 1)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
