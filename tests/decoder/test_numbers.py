"""A double becomes the fewest digits that give it back, whichever way the decoder finds them."""

import math
import random
import struct

import pytest
from native import Native
from stored_values import number_text

from duoscope.receiver.decoder import Bounds, Decoder, Kind
from duoscope.receiver.signals import LOGS

COUNT = 3000


def decimals(r):
    """Numbers as people write them."""
    return round(r.random() * 10 ** r.randint(-6, 16), r.randint(0, 15))


def measured(r):
    """Numbers as machines compute them."""
    return r.random() * 10 ** r.randint(-30, 30)


def patterns(r):
    """Any bits that are finite."""
    while True:
        (value,) = struct.unpack("<d", r.randbytes(8))
        if math.isfinite(value):
            return value


def edges(r):
    """Powers, what is next to them, and the ends of the range."""
    value = r.choice((10.0 ** r.randint(-30, 30), 2.0 ** r.randint(-1074, 1023), 5e-324, 1.7976931348623157e308))
    return math.copysign(math.nextafter(value, r.choice((0, value, 1e308))), r.choice((1, -1)))


@pytest.mark.parametrize("kind", [decimals, measured, patterns, edges])
def test_a_double_has_the_fewest_digits(kind, oracle):
    r = random.Random(kind.__name__)
    values = [kind(r) for _ in range(COUNT)]
    request = LOGS.request()
    records = request.resource_logs.add().scope_logs.add().log_records
    for value in values:
        records.add(time_unix_nano=oracle.NOW_NS).body.double_value = value
    decoder = Decoder(Kind.LOGS)
    outcome = decoder.add(request.SerializeToString(), oracle.SCOPE, 7, now_ns=oracle.NOW_NS, bounds=Bounds())
    assert outcome.stored == COUNT
    (block,) = (block for block in decoder.blocks() if block.table == "logs_v3")
    assert [row["body"].decode() for row in Native(block.native).rows()] == [number_text(value) for value in values]
