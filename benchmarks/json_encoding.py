"""What an item costs the receiver when it comes as JSON and not as protobuf: CPU time from its request's bytes to rows.

The same requests, those of `make bench`, in both encodings: made protobuf if they are JSON, counted, hashed and
decoded, as the receiver does, without network and store. Prints a table and one line of JSON. The least of several
rounds counts, because other processes only ever add to a round.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import xxhash
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from benchmarks.payloads import serialized
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Decoder, count_items, from_json
from duoscope.receiver.signals import SIGNALS, Signal

REQUESTS = 20
ITEMS = 1_000
ROUNDS = 7
_IDS = ("traceId", "spanId", "parentSpanId")


def _text(signal: Signal, raw: bytes) -> bytes:
    document = json_format.MessageToDict(signal.request.FromString(raw), use_integers_for_enums=True)
    return json.dumps(_with_hex_ids(document), separators=(",", ":"), ensure_ascii=False).encode()


def _with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_hex_ids(each) for each in node]
    if isinstance(node, dict):
        return {
            name: base64.b64decode(each).hex() if name in _IDS else _with_hex_ids(each) for name, each in node.items()
        }
    return node


def _measure(read: Callable[[bytes], object], bodies: list[bytes]) -> float:
    """Microseconds an item."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for body in bodies:
            read(body)
        least = min(least, time.process_time() - began)
    return least / (len(bodies) * ITEMS) * 1e6


def _figures(signal: Signal) -> dict[str, float]:
    messages = list(serialized(signal.name, requests=REQUESTS, items=ITEMS))
    texts = [_text(signal, raw) for raw in messages]
    scope, decoder, now_ns = Scope(new_id(), new_id(), new_id()), Decoder(signal.kind), now_unix_nano()

    def transcode(text: bytes) -> bytes:
        return from_json(signal.kind, text, len(text))

    def decode(raw: bytes) -> None:
        count_items(signal.kind, raw)
        xxhash.xxh3_128_digest(raw)
        outcome = decoder.add(raw, scope, 30, now_ns=now_ns)
        assert outcome.stored == ITEMS, outcome
        decoder.blocks()
        decoder.clear()

    for raw, text in zip(messages, texts, strict=True):
        message = signal.request.FromString(raw)
        assert signal.request.FromString(transcode(text)) == message
    return {
        "bytes_protobuf": sum(map(len, messages)) / REQUESTS / ITEMS,
        "bytes_json": sum(map(len, texts)) / REQUESTS / ITEMS,
        "us_protobuf": _measure(decode, messages),
        "us_json": _measure(lambda text: decode(transcode(text)), texts),
        "us_transcoding": _measure(transcode, texts),
    }


def main() -> None:
    """Measure all three signals."""
    figures = {signal.name: _figures(signal) for signal in SIGNALS}
    table = Table(title="From a request's bytes to its rows, an item")
    for column in ("signal", "B protobuf", "B JSON", "us protobuf", "us JSON", "of it transcoding"):
        table.add_column(column, justify="left" if column == "signal" else "right")
    for name, figure in figures.items():
        size, text, *costs = figure.values()
        table.add_row(name, f"{size:.0f}", f"{text:.0f}", *(f"{cost:.2f}" for cost in costs))
    Console().print(table)
    print(json.dumps({name: {k: round(v, 3) for k, v in figure.items()} for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
