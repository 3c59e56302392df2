"""What a text in OTLP/JSON is, by google.protobuf; and texts to ask about, sound ones and others.

Where the receiver is stricter or laxer than google.protobuf's Python, on purpose, is written here and nowhere else.
"""

import base64
import json
import re

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from otlp_oracle import twins
from otlp_requests import Maker, tag

from duoscope.receiver.signals import SIGNALS
from otlp_fields import IDS, holds_items, is_judged

REQUESTS = {signal.kind: signal.request for signal in SIGNALS}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
BASE64 = re.compile(r"([\w+/-]{4})*([\w+/-]{4}|[\w+/-]{2}(==)?|[\w+/-]{3}=?)?", re.ASCII)
INTEGERS = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
INTEGERS |= {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
DROPPED = object()
TWINS = twins()
ORIGINALS = SIGNALS[0].request.DESCRIPTOR.file.pool
OF_SIGNALS = {
    name for request in REQUESTS.values() for f in request.DESCRIPTOR.fields for name in (f.json_name, f.name)
}
MARK = tag(19999, 0) + b"\1"
"""What a message says that holds less than its text."""


class RefusedError(ValueError):
    """The text is no request, or a value not what OTLP has there."""


class Members(list):
    """An object's members, those that come twice too."""


def message_of(kind, raw):
    """The request in `raw`: a twin, in which texts are bytes; messages that lost a member have MARK behind them."""
    try:
        document = json.loads(raw.decode(errors="surrogateescape"), object_pairs_hook=Members, parse_constant=refuse)
        message = TWINS[kind]()
        _of_one_signal(document, message)
        _fill(document, message, is_request=True)
    except (ValueError, RecursionError) as error:
        raise RefusedError from error
    return message


def refuse(why=None):
    raise RefusedError(why)


def _fill(members, message, *, is_request=False):
    """Put members into a message. Whether one was passed over and the message around it has to say so."""
    if not isinstance(members, Members):
        refuse("google.protobuf takes any container, and texts, for an object that it knows no field of")
    known = {name: field for field in message.DESCRIPTOR.fields for name in (field.json_name, field.name)}
    given, lost = set(), False
    for name, value in members:
        field = known.get(name)
        if field is None:
            continue  # google.protobuf would refuse names in brackets, and twins
        if _clashes(field, value, given):
            lost = True
            if is_request:
                refuse("google.protobuf takes a field in both spellings")
        elif value is not None:
            try:
                lost |= _put(value, field, message)
            except (ValueError, TypeError, OverflowError, json_format.ParseError) as error:
                if is_request:
                    raise RefusedError from error
                lost |= _passed_over(field, message)
    if lost and is_judged(message.DESCRIPTOR):
        message.MergeFromString(MARK)
        return False
    return lost


def _of_one_signal(document, request):
    known = {name for field in request.DESCRIPTOR.fields for name in (field.json_name, field.name)}
    if isinstance(document, Members) and any(name in OF_SIGNALS - known for name, _ in document):
        refuse("google.protobuf passes over what belongs to another signal")


def _clashes(field, value, given):
    if field.name in given:
        return True
    given.add(field.name)
    of = field.containing_oneof
    if value is None or of is None or len(of.fields) == 1:
        return False
    clashes = of in given
    given.add(of)
    return clashes


def _passed_over(field, message):
    message.ClearField(field.name)
    if not field.message_type or not holds_items(field.message_type):
        return field.name not in IDS
    of = getattr(message, field.name)
    _stand_in(of.add() if field.is_repeated else of)
    return False


def _stand_in(message):
    """Make it hold one refused item."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type and holds_items(field.message_type):
            of = getattr(message, field.name)
            _stand_in(of.add() if field.is_repeated else of)
            return
    message.MergeFromString(MARK)


def _put(value, field, message):
    """Set a field. Whether something was passed over in it."""
    if field.is_repeated and (not isinstance(value, list) or isinstance(value, Members)):
        refuse()
    if not field.message_type:
        plain = [_scalar(each, field) for each in value] if field.is_repeated else _scalar(value, field)
        if plain is not DROPPED:
            plain = [each for each in plain if each is not DROPPED] if field.is_repeated else plain
            json_format.ParseDict({field.json_name: plain}, message)
        return False
    if not field.is_repeated:
        of = getattr(message, field.name)
        of.SetInParent()
        return _fill(value, of)
    lost, sound = False, getattr(message, field.name)
    for each in value:
        of = sound.add()
        try:
            lost |= _fill(each, of)
        except RefusedError:
            if holds_items(field.message_type):
                _stand_in(of)
            else:
                del sound[-1]
                lost = True
    return lost


def _scalar(value, field):
    if value is None:
        refuse("google.protobuf takes null for a default value in places")
    if field.name in IDS:
        return base64.b64encode(bytes.fromhex(value) if not re.search(r"\s", value) else refuse()).decode()
    if field.type == field.TYPE_BYTES and _is_text(field):
        return base64.b64encode(_bytes_of(value)).decode() if isinstance(value, str) else refuse()
    if field.type == field.TYPE_BYTES:
        return value if BASE64.fullmatch(value) else refuse("google.protobuf passes over what is no base64")
    if field.type == field.TYPE_ENUM:
        return _enum(value, field)
    if field.type == field.TYPE_DOUBLE:
        if isinstance(value, bool) or (
            isinstance(value, str) and not _is_number(value, ("NaN", "Infinity", "-Infinity"))
        ):
            refuse("Python's float() takes more")
        if (
            isinstance(value, str)
            and value.endswith(tuple("0123456789"))
            and float(value) in (float("inf"), -float("inf"))
        ):
            refuse("google.protobuf takes numbers that are too large when they are texts")
    if field.cpp_type in INTEGERS and isinstance(value, str) and not _is_number(value):
        refuse("Python's int() takes more")
    return value


def _is_text(field):
    """Whether OTLP has a text where the twin has bytes."""
    return ORIGINALS.FindFieldByName(field.full_name).type == field.TYPE_STRING


def _bytes_of(text):
    """Of a text: bytes that were no UTF-8 as they were, half a surrogate pair as if it were a character."""
    return b"".join(
        bytes([ord(c) - 0xDC00]) if "\udc80" <= c <= "\udcff" else c.encode(errors="surrogatepass") for c in text
    )


def _is_number(text, words=()):
    return text in words or NUMBER.fullmatch(text) is not None


def _enum(value, field):
    if isinstance(value, bool):
        refuse("google.protobuf takes true for 1")
    # A list of the names: asked itself for a lone surrogate, the mapping leaves an exception pending (protobuf's upb).
    if isinstance(value, str) and value in list(field.enum_type.values_by_name):
        return value
    if isinstance(value, str):
        if not _is_number(value):
            return DROPPED
        value = float(value) if re.search("[.eE]", value) else int(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() else refuse("google.protobuf cuts 1.5 down to 1")
    if not isinstance(value, int) or not -(2**31) <= value < 2**31:
        refuse("google.protobuf takes 2**32 for 0")
    return value


class Texts:
    """Random texts, from a seed."""

    def __init__(self, kind, seed, now_ns):
        self._maker = _Texts(seed, now_ns)
        self.r = self._maker.r
        self._request = REQUESTS[kind]

    def message(self):
        """A random request."""
        message = self._request.FromString(self._maker.message(self._request.DESCRIPTOR))
        message.DiscardUnknownFields()
        return message

    def document(self, message):
        """The request as a JSON document, in one of the forms it may have."""
        r = self.r
        document = json_format.MessageToDict(
            message,
            preserving_proto_field_name=r.random() < 0.2,
            use_integers_for_enums=r.random() < 0.8,
            always_print_fields_with_no_presence=r.random() < 0.2,
        )
        return self._adapted(document, message.DESCRIPTOR)

    def text(self, document):
        """The document, with as much space and as many escapes as there may be."""
        r = self.r
        indent = r.choice((None, None, None, 0, 1, "\t"))
        separators = None if indent is not None else r.choice((None, (",", ":"), (" ,\n", "\r:\t")))
        return json.dumps(document, ensure_ascii=r.random() < 0.5, indent=indent, separators=separators).encode(
            errors="surrogatepass"
        )

    def _adapted(self, members, descriptor):
        r = self.r
        known = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
        adapted = {}
        names = list(members)
        if r.random() < 0.3:
            r.shuffle(names)
        for name in names:
            value, field = members[name], known[name]
            adapted[name] = [self._one(each, field) for each in value] if field.is_repeated else self._one(value, field)
            if r.random() < 0.02:
                adapted[r.choice(("later", "traceID", "", "[a.b]", "é"))] = r.choice(
                    (1, None, [{}, "\n"], {"a": [1.5]})
                )
        return adapted

    def _one(self, value, field):
        r = self.r
        if field.message_type:
            return self._adapted(value, field.message_type)
        if field.name in IDS:
            hexed = base64.b64decode(value).hex()
            return hexed.upper() if r.random() < 0.3 else hexed
        if field.type == field.TYPE_BYTES:
            value = value.translate(str.maketrans("+/", "-_")) if r.random() < 0.3 else value
            return value.rstrip("=") if r.random() < 0.3 else value
        if field.cpp_type in INTEGERS:
            return r.choice((str, int))(value)
        if field.type == field.TYPE_DOUBLE and r.random() < 0.1:
            return str(value) if isinstance(value, str) else repr(value)
        return value

    def changed(self, document):
        """Puts something odd somewhere into the document."""
        r = self.r
        places = list(_places(document))
        for _ in range(r.randint(1, 3)):
            holder, key = r.choice(places) if places else (document, "resourceSpans")
            kind = r.random()
            if kind < 0.7 or isinstance(holder, list):
                holder[key] = r.choice(ODD)
            elif key in holder:
                holder[r.choice((*holder, "asInt", "as_int", "stringValue", "traceId", "kind"))] = holder.pop(key)
        return document

    def damaged(self, text, other):
        """Changes bytes of the text."""
        r, text = self.r, bytearray(text)
        for _ in range(r.randint(1, 3)):
            at, run = r.randrange(len(text) + 1), r.randint(0, 12)
            start = r.randrange(len(other) + 1)
            kind = r.randrange(4)
            if kind == 0:
                text[at:at] = r.choice(PIECES)
            elif kind == 1:
                del text[at : at + run]
            elif kind == 2:
                text[at : at + 1] = bytes([r.randrange(256)])
            else:
                text[at:at] = other[start : start + run]
        return bytes(text)


class _Texts(Maker):
    def _text(self, field):
        raw = super()._text(field)
        if field.type == field.TYPE_STRING:
            return raw.decode(errors="replace").encode()
        return raw


def _places(node):
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


ODD = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        1.0,
        2.5,
        -0.0,
        1e3,
        1e19,
        1e400,
        5e-324,
        2**31 - 1,
        2**31,
        -(2**31),
        -(2**31) - 1,
    ),
    *(2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**25, float("nan")),
    *(
        "",
        "0",
        "-0",
        "1",
        "01",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e2",
        "1.5",
        "1e400",
        "1_0",
        "\u0661",
        "NaN",
        "nan",
        "Infinity",
    ),
    *("-Infinity", "inf", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "9007199254740993.0"),
    *("SPAN_KIND_SERVER", "STATUS_CODE_ERROR", "SEVERITY_NUMBER_FATAL4", "SPAN_KIND_NONE", "AbCd", "abc", "ab cd"),
    *(
        "AA==",
        "AA=",
        "AA",
        "A",
        "AAA=",
        "AA-_",
        "AA+/",
        "A=A=",
        "====",
        "\ud800",
        "\U0001f600",
        "\0",
        "0" * 32,
        "f" * 16,
    ),
    *([], {}, [None], [1], ["1", 2], [{}], ["a"], {"a": 1}, {"values": []}, {"stringValue": "a"}, {"intValue": True}),
)
PIECES = (
    *(
        b'"',
        b"\\",
        b"\\u0041",
        b"\\ud83d\\ude00",
        b"\\ud83d",
        b"\\/",
        b"\\x",
        b",",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b" ",
        b"\n",
    ),
    *(
        b"\x00",
        b"\x1f",
        b"\xc3\xa9",
        b"\xff",
        b"\xed\xa0\x80",
        b"0",
        b"-",
        b".",
        b"e5",
        b"null",
        b"true",
        b'"a":1,',
        b"\xef\xbb\xbf",
    ),
)
