"""Random OTLP requests, from a seed: each field by its type, on a wire as odd as protobuf allows."""

import random

from google.protobuf.internal import encoder as wire


def varint(number):
    return wire._VarintBytes(number)


def tag(number, wire_type):
    return varint(number << 3 | wire_type)


def sized(raw):
    return varint(len(raw)) + raw


class Maker:
    """Random requests: each field by its type, times and ids mostly sound, the wire as odd as protobuf allows."""

    def __init__(self, seed, now_ns):
        self.r = random.Random(seed)
        self._now_ns = now_ns
        self._odd = self.r.random() < 0.5

    def message(self, cls_descriptor, depth=0):
        """Bytes of a message of this type."""
        pieces = []
        for field in cls_descriptor.fields:
            self._field(field, depth, pieces)
        if self._odd:
            self.r.shuffle(pieces)
            if self.r.random() < 0.2:
                pieces.insert(self.r.randint(0, len(pieces)), self._unknown())
        return b"".join(pieces)

    def _field(self, field, depth, pieces):
        r = self.r
        likely = {"time_unix_nano", "start_time_unix_nano", "trace_id", "span_id", "as_double", "as_int", "data_points"}
        containers = field.message_type and depth < 5 and field.is_repeated and "attributes" not in field.name
        if r.random() > (0.93 if field.name in likely or containers else 0.35):
            return
        if field.containing_oneof and r.random() < 0.5:
            return
        if field.message_type:
            if depth > 9:
                return
            count = r.choice((1, 1, 2, 3, 8)) if field.is_repeated else 2 if self._odd and r.random() < 0.15 else 1
            pieces += [tag(field.number, 2) + sized(self.message(field.message_type, depth + 1)) for _ in range(count)]
        elif field.is_repeated and field.type not in (field.TYPE_BYTES, field.TYPE_STRING):
            self._numbers(field, pieces)
        else:
            for _ in range(r.randint(1, 3) if field.is_repeated or (self._odd and r.random() < 0.1) else 1):
                pieces.append(self._scalar(field))

    def _numbers(self, field, pieces):
        values = [self._number(field) for _ in range(self.r.choice((0, 1, 2, 3, 4)))]
        if field.name == "explicit_bounds":
            values = [wire.struct.pack("<d", x) for x in sorted(self.r.uniform(-9, 9) for _ in values)]
        if self.r.random() < 0.4:
            pieces += [tag(field.number, self._wire_type(field)) + value for value in values]
        elif values:
            pieces.append(tag(field.number, 2) + sized(b"".join(values)))

    def _wire_type(self, field):
        if field.type in (field.TYPE_FIXED64, field.TYPE_SFIXED64, field.TYPE_DOUBLE):
            return 1
        return 5 if field.type == field.TYPE_FIXED32 else 0

    def _scalar(self, field):
        if field.type in (field.TYPE_BYTES, field.TYPE_STRING):
            return tag(field.number, 2) + sized(self._text(field))
        if self._odd and self.r.random() < 0.02:  # a number where none is due: an unknown field
            return (
                tag(field.number, 0 if self._wire_type(field) else 5)
                + b"\1\2\3\4"[: 1 if self._wire_type(field) else 4]
            )
        return tag(field.number, self._wire_type(field)) + self._number(field)

    def _number(self, field):
        r, pack = self.r, wire.struct.pack
        if field.type == field.TYPE_DOUBLE:
            some = (
                0.0,
                -0.0,
                1.5,
                1e300,
                -3,
                0.1,
                1e15,
                123456789.125,
                5e-324,
                float("nan"),
                float("inf"),
                -float("inf"),
            )
            return pack("<d", r.choice((*some, r.uniform(-1e9, 1e9), r.random())))
        if "time_unix_nano" in field.name:
            near = self._now_ns + r.randint(-(10**15), 10**13)
            return pack("<Q", near if r.random() < 0.9 else r.choice((0, 1, 2**63, 2**64 - 1, self._now_ns - 10**15)))
        number = r.choice((0, 1, 2, 3, 5, r.getrandbits(7), r.getrandbits(32), r.getrandbits(64)))
        if self._wire_type(field) == 1:
            return pack("<Q", number)
        if self._wire_type(field) == 5:
            return pack("<I", number & 0xFFFFFFFF)
        if field.name == "scale":
            number = r.choice((0, 1, 2, 19, 20, 39, 40, 41, number))
        raw = varint(number)
        if self._odd and r.random() < 0.05 and len(raw) < 8:  # longer than it need be
            raw = raw[:-1] + bytes([raw[-1] | 0x80, 0x80, 0])
        return raw

    def _text(self, field):
        r = self.r
        if field.name.endswith(("trace_id", "span_id")):
            size = 16 if field.name == "trace_id" else 8
            return r.randbytes(size) if r.random() < 0.9 else r.choice((b"", b"\0" * size, b"short", r.randbytes(24)))
        kind = r.random()
        if kind < 0.25:
            return r.choice((b"service.name", b"a", b"b", b"", b"http.method"))
        if kind < 0.95:
            return "".join(
                r.choice('abcXYZ \n\t"\\/\x00\x1f\x7fé€😀\ud7ff\uffff') for _ in range(r.randint(0, 30))
            ).encode()
        if kind < 0.98:
            return b"x" * r.choice((100, 119, 118, 117, 149, 150, 151, 200))
        return r.choice(
            (b"\xff", b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok \xe2\x82", b"\xf0\x8f\xbf\xbf")
        )

    def _unknown(self):
        number = self.r.choice((60, 99, 1000, 2**29 - 1))
        kind = self.r.randint(0, 3)
        if kind == 0:
            return tag(number, 0) + varint(self.r.getrandbits(64))
        if kind == 1:
            return tag(number, 2) + sized(self.r.randbytes(self.r.randint(0, 9)))
        if kind == 2:
            return tag(number, 3) + tag(1, 5) + b"1234" + tag(7, 3) + tag(7, 4) + tag(number, 4)
        return tag(number, 1) + b"12345678"

    def mutate(self, raw):
        """A request with a few bytes changed, gone or doubled."""
        raw = bytearray(raw)
        for _ in range(self.r.choice((1, 1, 2, 4))):
            at = self.r.randint(0, len(raw))
            match self.r.randint(0, 4):
                case 0:
                    del raw[at : at + self.r.randint(1, 5)]
                case 1:
                    raw[at:at] = self.r.randbytes(self.r.randint(1, 3))
                case 2:
                    raw[at:] = b""
                case 3:
                    raw[at:at] = raw[at : at + self.r.randint(1, 40)]
                case _ if at < len(raw):
                    raw[at] ^= 1 << self.r.randint(0, 7)
        return bytes(raw)
