"""Conditions on attributes: that one exists, equals a value or one of several, is like a pattern, matches a regular
expression, or is in order with a number; and the values themselves.

Equality is decided here and nowhere else, by value and type. What a query names is a text, and may be a number or a
boolean. It equals an attribute that is this text; an integer or a double of that value, however either was written
(`5`, `5.0`, `5e0`); that boolean; a list or an object whose JSON it is. An empty text equals empty texts alone, and
neither null nor what is missing.

A list also equals what one of its elements does, and `a.b` is also the member `b` of a map `a`, or of a map in a list.

Attributes are stored in two forms (docs/adr/0026): in columns by name and type, and as a JSON object of those without a
column. A `Place` names both; a condition is one over both. Lists and maps are in the latter.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from duoscope.stores.clickhouse.schema import ATTRIBUTE_NAME
from duoscope.telemetry.language.tree import And, AttributeColumn, Bound, Or, Predicate, Tree

Resolved = Tree[Predicate]


@dataclass(frozen=True, slots=True)
class Place:
    """The columns that hold attributes.

    Attributes:
        text: a JSON object of those without a column, or a list of such objects.
        typed: of type JSON; '' where there is none.
        is_list: whether there are many objects, as of the events of a span: one of them must do.
    """

    text: str
    typed: str = ""
    is_list: bool = False


Places: TypeAlias = tuple[Place, ...]

_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SPELLED_OTHERWISE: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
"""Characters that JSON may spell in several ways."""
_SPLITS_MAX: Final = 8
"""How many points of a name may be the one before a member's name."""
_INT64: Final = range(-(2**63), 2**63)
_BOOLEANS: Final = ("true", "false")
_NOT_FINITE: Final = {"nan": "isNaN({})", "inf": "{} = inf", "-inf": "{} = -inf"}


def exists(places: Places, key: str, *, parts: bool = True) -> Resolved:
    """Whether there is such an attribute, be it null."""

    def by_itself(place: Place) -> list[Resolved]:
        in_text = _if_named(place, key, Predicate(f"JSONHas({place.text}, {{}})", (_text(key),)))
        return [*([Predicate("{} IS NOT NULL", (_column(place, key),))] if _has_column(place, key) else []), in_text]

    return _of(places, key, by_itself, [Predicate("item != ''")] if parts else [], elements=False)


def like(places: Places, key: str, pattern: str, *, parts: bool = True) -> Resolved:
    """Whether it is like a pattern of LIKE; numbers and booleans as they are printed."""

    def by_itself(place: Place) -> list[Resolved]:
        matches = Predicate(f"JSONExtract({place.text}, {{}}, 'String') LIKE {{}}", (_text(key), _text(pattern)))
        column = _in_column("CAST({}, 'Nullable(String)') LIKE {}", _column(place, key), _text(pattern))
        return [*([column] if _has_column(place, key) else []), _if_named(place, key, matches)]

    of_item = Predicate("JSONExtract(item, 'String') LIKE {}", (_text(pattern),))
    return _of(places, key, by_itself, [of_item] if parts else [])


def matches(places: Places, key: str, expression: str, *, parts: bool = True) -> Resolved:
    """Whether a regular expression matches somewhere in it; numbers and booleans as they are printed."""
    # What is not there and what is null read as an empty text, which an expression may match.
    in_json = "(JSONType({of}) != 'Null' AND match(JSONExtract({of}, 'String'), {{}}))"

    def by_itself(place: Place) -> list[Resolved]:
        of_text = Predicate(in_json.format(of=f"{place.text}, {{}}"), (_text(key), _text(key), _text(expression)))
        column = _in_column("match(CAST({}, 'Nullable(String)'), {})", _column(place, key), _text(expression))
        return [*([column] if _has_column(place, key) else []), _if_named(place, key, of_text)]

    of_item = Predicate(in_json.format(of="item"), (_text(expression),))
    return _of(places, key, by_itself, [of_item] if parts else [])


def ordered(places: Places, key: str, op: str, number: float, *, parts: bool = True) -> Resolved:
    """Whether it is a number, or a text that reads as one, on that side of a number."""
    bound = ("Float64", number)

    def compared(value: str, *keys: tuple[str, str]) -> Predicate:
        return Predicate(f"ifNull(toFloat64OrNull({value}) {op} {{}}, 0)", (*keys, bound))

    def by_itself(place: Place) -> list[Resolved]:
        in_text = _if_named(place, key, compared(f"JSONExtract({place.text}, {{}}, 'String')", _text(key)))
        columns = [
            *(_in_column(f"{{}} {op} {{}}", _column(place, key, kind), bound) for kind in ("Int64", "Float64")),
            _in_column(f"toFloat64OrNull({{}}) {op} {{}}", _column(place, key, "String"), bound),
        ]
        return [*(columns if _has_column(place, key) else []), in_text]

    return _of(places, key, by_itself, [compared("JSONExtract(item, 'String')")] if parts else [])


def equal(places: Places, key: str, *values: str, parts: bool = True) -> Resolved:
    """Whether it equals one of some values, as the module's beginning has it."""
    these = _Values.of(values)

    def by_itself(place: Place) -> list[Resolved]:
        cases = _equal_as_json(f"{place.text}, {{}}", (_text(key),), these)
        in_text = (
            _if_named(place, key, cases[0], these.texts) if len(cases) == 1 else _if_named(place, key, Or(tuple(cases)))
        )
        in_column = _equal_in_column(place, key, these) if _has_column(place, key) else []
        return [*in_column, in_text]

    return _of(places, key, by_itself, _equal_as_json("item", (), these) if parts else [])


def in_column(place: Place, key: str, texts: tuple[str, ...]) -> list[Predicate]:
    """Whether the column of an attribute equals one of some texts; empty where a text means more, as a number does."""
    values = _Values.of(texts)
    if not _has_column(place, key) or values.integers or values.numbers or values.words or values.structures:
        return []
    return _equal_in_column(place, key, values)


def first_names(key: str) -> list[str]:
    """The names at the top of an object that an attribute may be, or be a part of."""
    return list(dict.fromkeys(path[0] for path in _paths(key)))


def as_keys(names: list[str]) -> tuple[str, ...]:
    """The spellings of names of `ATTRIBUTE_NAME` in JSON."""
    return tuple(dict.fromkeys(spelled for name in names for spelled in _spellings(f'"{name}":')))


@dataclass(frozen=True, slots=True)
class _Values:
    """What some texts mean: each is a text, and may be a number, a boolean or JSON, too."""

    texts: tuple[str, ...]
    integers: tuple[int, ...]
    numbers: tuple[float, ...]
    words: tuple[str, ...]
    """Those that are booleans, or numbers that are not finite."""
    structures: tuple[str, ...]

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> "_Values":
        numbers = [_numbers(text) for text in texts]
        return cls(
            tuple(dict.fromkeys(texts)),
            tuple(dict.fromkeys(integer for integer, _ in numbers if integer is not None)),
            tuple(dict.fromkeys(number for _, number in numbers if number is not None)),
            tuple(text for text in dict.fromkeys(texts) if text in _BOOLEANS or text in _NOT_FINITE),
            tuple(text for text in dict.fromkeys(texts) if text[:1] in ("[", "{")),
        )


def _one_of(kind: str, values: tuple[str, ...] | tuple[float, ...]) -> tuple[str, tuple[str, Bound]]:
    """The SQL of a comparison with one value, or with several at once, and what it binds."""
    return ("= {}", (kind, values[0])) if len(values) == 1 else ("IN {}", (f"Array({kind})", values))


def text_of(places: Places, key: str, *, parts: bool = True) -> Predicate:
    """Read its value as text, null where there is none: numbers and booleans as printed, lists and maps as JSON.

    Of several, as of a member that many maps of a list have, it is the first.
    """
    found: list[Predicate] = []
    for place in places:
        if not place.is_list:
            if _has_column(place, key):
                found.append(Predicate("CAST({}, 'Nullable(String)')", (_column(place, key),)))
            found.append(_text_in_json(place, key))
    return first_of([*found, *(_text_of_part(group, key) for group in _groups_with_parts(places, key) if parts)])


def number_of(places: Places, key: str, *, parts: bool = True) -> Predicate:
    """Read its value as a double, null where there is no number, and no text that reads as one."""
    found: list[Predicate] = []
    for place in places:
        if not place.is_list:
            if _has_column(place, key):
                found += [
                    Predicate("{}", (_column(place, key, "Float64"),)),
                    Predicate("toFloat64({})", (_column(place, key, "Int64"),)),
                    Predicate("toFloat64OrNull({})", (_column(place, key, "String"),)),
                ]
            found.append(as_number(_text_in_json(place, key)))
    of_parts = (as_number(_text_of_part(group, key)) for group in _groups_with_parts(places, key) if parts)
    return first_of([*found, *of_parts])


def as_number(text: Predicate) -> Predicate:
    """Read a text as a number, null where it is none."""
    return Predicate(f"toFloat64OrNull({text.sql})", text.values)


def first_of(values: list[Predicate]) -> Predicate:
    """Take the first of some values that is not null."""
    if len(values) == 1:
        return values[0]
    return Predicate(
        f"coalesce({', '.join(value.sql for value in values)})",
        tuple(bound for value in values for bound in value.values),
    )


def _groups_with_parts(places: Places, key: str) -> list[Places]:
    """The places, grouped, of whose values the attribute may be a part."""
    objects = tuple(place for place in places if not place.is_list) if "." in key else ()
    return [group for group in (objects, tuple(place for place in places if place.is_list)) if group]


def _text_in_json(place: Place, key: str) -> Predicate:
    text = Predicate(f"JSONExtract({place.text}, {{}}, 'Nullable(String)')", (_text(key),))
    if _SPELLED_OTHERWISE.search(key):
        return text
    needles = _spellings(f"{json.dumps(key, ensure_ascii=False)}:")
    named = f"multiSearchAny({place.text}, {{}})"
    return Predicate(f"if({named}, {text.sql}, NULL)", (("Array(String)", needles), *text.values))


def _text_of_part(places: Places, key: str) -> Predicate:
    paths = _paths(key)
    found, where = _parts(places, key, paths, elements=False)
    first = f"JSONExtract(arrayFirst(item -> item NOT IN ('', 'null'), {found}), 'Nullable(String)')"
    if (named := _named_parts(places, key, paths)) is None:
        return Predicate(first, where)
    texts, names = named
    condition = " OR ".join(f"multiSearchAny({text}, {{}})" for text in texts)
    return Predicate(f"if({condition}, {first}, NULL)", (*[names] * len(texts), *where))


def _of(
    places: Places,
    key: str,
    by_itself: Callable[[Place], list[Resolved]],
    of_item: list[Predicate],
    *,
    elements: bool = True,
) -> Resolved:
    """Whether the attribute of one of the places is so by itself, or a part of it; of lists everything is a part."""
    objects = tuple(place for place in places if not place.is_list)
    conditions = [condition for place in objects for condition in by_itself(place)]
    groups = (objects, tuple(place for place in places if place.is_list)) if of_item else ()
    # What has no point in its name is a member of nothing.
    conditions += [
        _in_parts(group, key, of_item, elements=elements)
        for group in groups
        if group and (elements or group[0].is_list or "." in key)
    ]
    return conditions[0] if len(conditions) == 1 else Or(tuple(conditions))


def _equal_in_column(place: Place, key: str, values: _Values) -> list[Predicate]:
    cases: list[Predicate] = []
    typed = (("String", values.texts), ("Int64", values.integers), ("Float64", values.numbers))
    for kind, these in typed:
        if these:
            compared, bound = _one_of(kind, these)
            cases.append(_in_column(f"{{}} {compared}", _column(place, key, kind), bound))
    for word in values.words:
        if word in _BOOLEANS:
            cases.append(_in_column(f"{{}} = {word}", _column(place, key, "Bool")))
        else:
            cases.append(_in_column(_NOT_FINITE[word], _column(place, key, "Float64")))
    return cases


def _equal_as_json(of: str, keys: tuple[tuple[str, str], ...], values: _Values) -> list[Predicate]:
    """Whether a value in JSON equals: `of` are the arguments of JSONExtract that name it, with the keys."""
    kind = f"JSONType({of})"
    cases: list[Predicate] = []

    def add(kinds: str, read: str, type_: str, these: tuple[str, ...] | tuple[float, ...]) -> None:
        if these:
            compared, bound = _one_of(type_, these)
            cases.append(Predicate(f"({kind} {kinds} AND {read} {compared})", (*keys, *keys, bound)))

    add("= 'String'", f"JSONExtractString({of})", "String", values.texts)
    add("IN ('Int64', 'UInt64')", f"JSONExtractInt({of})", "Int64", values.integers)
    add("= 'Double'", f"JSONExtractFloat({of})", "Float64", values.numbers)
    cases += [
        Predicate(f"({kind} = 'Bool' AND JSONExtractBool({of}) = {word})", (*keys, *keys))
        for word in values.words
        if word in _BOOLEANS
    ]
    add("IN ('Array', 'Object')", f"JSONExtract({of}, 'String')", "String", values.structures)
    return cases


def _in_parts(places: Places, key: str, of_item: list[Predicate], *, elements: bool) -> Resolved:
    """Whether one of the conditions on `item` holds for an element of the attribute, or for a member of that name.

    Items are pieces of JSON. Nothing is parsed where the text has none of the names.
    """
    paths = _paths(key)
    found, where = _parts(places, key, paths, elements=elements)
    holds = " OR ".join(condition.sql for condition in of_item)
    values = tuple(value for condition in of_item for value in condition.values)
    condition = Predicate(f"arrayExists(item -> {holds}, {found})", (*values, *where))
    if (named := _named_parts(places, key, paths)) is None:
        return condition
    texts, names = named
    return And((Predicate(f"({' OR '.join(f'multiSearchAny({text}, {{0}})' for text in texts)})", (names,)), condition))


def _named_parts(
    places: Places, key: str, paths: tuple[tuple[str, ...], ...]
) -> tuple[list[str], tuple[str, tuple[str, ...]]] | None:
    """The SQL of texts that have one of some names where there is such a part, and the names; None if JSON may spell
    these in several ways.
    """
    is_list = places[0].is_list
    # What the attribute is by itself is looked at where it is, except in lists; here it is a list, or a map on the way.
    firsts = dict.fromkeys(path[0] for path in paths)
    ends = (":",) if is_list else (":{", ":[")
    spelled = [json.dumps(name, ensure_ascii=False) + end for name in firsts for end in ends]
    if not is_list:
        spelled.remove(json.dumps(key, ensure_ascii=False) + ":{")
    if any(_SPELLED_OTHERWISE.search(needle) for needle in spelled):
        return None
    names = tuple(dict.fromkeys(needle for one in spelled for needle in _spellings(one)))
    return [f"arrayStringConcat({place.text})" if is_list else place.text for place in places], ("Array(String)", names)


def _parts(
    places: Places, key: str, paths: tuple[tuple[str, ...], ...], *, elements: bool
) -> tuple[str, tuple[tuple[str, Bound], ...]]:
    """The SQL of the pieces of JSON to which the paths lead, and its values."""
    if len(paths) == 1 and not places[0].is_list:  # a member of nothing, so a list: this is cheaper to analyse
        each = ", ".join(f"JSONExtractArrayRaw({place.text}, {{}})" for place in places)
        return f"arrayConcat({each})", (_text(key),) * len(places)
    objects = ", ".join(f"CAST({place.text}, 'String')" for place in places)
    start = places[0].text if places[0].is_list else f"[{objects}]"
    found = (
        "arrayFlatten(arrayMap(path -> arrayFold((found, name) -> arrayFlatten(arrayMap(item -> "
        "if(JSONType(item) = 'Array', arrayMap(element -> JSONExtractRaw(element, name), JSONExtractArrayRaw(item)), "
        f"[JSONExtractRaw(item, name)]), found)), path, {start}), {{}}))"
    )
    if elements:
        found = (
            f"arrayFlatten(arrayMap(item -> if(JSONType(item) = 'Array', JSONExtractArrayRaw(item), [item]), {found}))"
        )
    return found, (("Array(Array(String))", paths),)


def _paths(key: str) -> tuple[tuple[str, ...], ...]:
    """The names that may follow one another where a name with points is one of members."""
    pieces = key.split(".")
    splits = range(1, min(len(pieces), _SPLITS_MAX + 1))
    inner = [(".".join(pieces[:n]), ".".join(pieces[n:])) for n in splits]
    return tuple(dict.fromkeys([(key,), *(path for path in (*inner, tuple(pieces)) if all(path))]))


def _if_named(place: Place, key: str, condition: Resolved, texts: tuple[str, ...] = ()) -> Resolved:
    """The condition, of items alone whose JSON has the possible spellings of the name, or of it and one of some texts.

    Searching for them is cheaper than parsing the object, and excludes most items; of a resource it is done once for
    all that it sent. Characters that may be escaped in other ways are not searched for.
    """
    if any(map(_SPELLED_OTHERWISE.search, (key, *texts))):
        return condition
    name = f"{json.dumps(key, ensure_ascii=False)}:"
    spelled = [name + json.dumps(text, ensure_ascii=False) for text in texts] or [name]
    needles = tuple(dict.fromkeys(needle for one in spelled for needle in _spellings(one)))
    return And((Predicate(f"multiSearchAny({place.text}, {{}})", (("Array(String)", needles),)), condition))


def _spellings(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((text, text.replace("/", "\\/"))))


def _numbers(value: str) -> tuple[int | None, float | None]:
    """The integer of 64 bits and the double that a text is, if any."""
    if not _NUMBER.fullmatch(value):
        return None, None
    number = float(value)
    if not math.isfinite(number):
        return None, None
    if abs(number) > _INT64.stop:
        return None, number
    try:
        exact = Decimal(value)
    except InvalidOperation:  # an exponent beyond all bounds, of a number next to nothing
        return None, number
    is_whole = exact == exact.to_integral_value() and int(exact) in _INT64
    return int(exact) if is_whole else None, number


def _has_column(place: Place, key: str) -> bool:
    return bool(place.typed) and ATTRIBUTE_NAME.fullmatch(key) is not None


def _in_column(condition: str, *values: tuple[str, Bound] | AttributeColumn) -> Predicate:
    """A condition on values in a column, which are null where an item has none."""
    return Predicate(condition, values, is_nullable=True)


def _column(place: Place, key: str, kind: str = "") -> AttributeColumn:
    return AttributeColumn(place.typed, key, kind)


def _text(value: str) -> tuple[str, str]:
    return ("String", value)
