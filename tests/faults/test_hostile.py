"""Hostile bytes and connections while others send: the others' telemetry is accepted, all of it, once."""

import gzip
import os
import random
import socket
import struct
import time

import auditing
import grpc
import harness
import httpx
from backports import zstd

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import LOGS, SIGNALS
from support.up import free_ports

pytestmark = harness.only_thorough

FLOW = 20
MIB = 1 << 20


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def nested(*numbers, content):
    for number in reversed(numbers):
        content = bytes([number << 3 | 2]) + varint(len(content)) + content
    return content


def attribute(key, value):
    return nested(6, content=nested(1, content=key) + nested(2, 1, content=value))


HOSTILE = {
    "random bytes": os.urandom(5000),
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x07",
    "a flood of empty records": nested(1, 2, content=b"\x12\x00" * 2_000_000),
    "a record of 10 MB attributes": nested(
        1, 2, 2, content=b"".join(attribute(b"k%d" % n, b"x" * 10 * MIB) for n in range(3))
    ),
    "a record of a million attributes": nested(1, 2, 2, content=b"\x32\x00" * 1_000_000),
    "values nested 5,000 deep": nested(1, 2, 2, 5, *[5, 1] * 2500, content=b""),
    "texts that are no UTF-8": nested(1, 2, 2, content=nested(3, content=b"\xff\xfe")),
    "every length a byte short": nested(1, 2, 2, content=b"x" * 100)[:-1],
}
JSON = {
    "lists a million deep": b"[" * 1_000_000,
    "a record of a million attributes": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":['
    + b",".join([b"{}"] * 1_000_000)
    + b"]}]}]}]}",
    "a body of 10 MB": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"'
    + b"x" * 10 * MIB
    + b'"}}]}]}]}',
    "bytes that are no text": b'{"\xff',
}
BOMBS = {"gzip": gzip.compress(bytes(300 * MIB)), "zstd": zstd.compress(bytes(300 * MIB))}


def test_hostile_payloads(deployment, tenant, load, audit):
    victim, others, statuses = deployment.tenant("hostile"), [], []
    with load(tenant) as sending, httpx.Client(timeout=60) as client:
        sending.wait_for(FLOW)
        for receiver in deployment.receivers:
            with grpc.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as channel:
                for kind in SIGNALS:
                    url = f"http://127.0.0.1:{receiver.http_port}{kind.http_path}"
                    headers = {"content-type": "application/x-protobuf", "x-api-key": victim.key}
                    others += [client.post(url, content=raw, headers=headers) for raw in HOSTILE.values()]
                    others += [
                        client.post(url, content=raw, headers=headers | {"content-type": "application/json"})
                        for raw in JSON.values()
                    ]
                    for encoding, bomb in BOMBS.items():
                        answer = client.post(url, content=bomb, headers=headers | {"content-encoding": encoding})
                        assert answer.status_code == 413, answer.text
                    export = channel.unary_unary(f"/{kind.grpc_service}/Export")
                    for raw in (*HOSTILE.values(), bytes(100 * MIB)):
                        call = export.future(
                            raw, metadata=[("x-api-key", victim.key)], compression=grpc.Compression.Gzip, timeout=60
                        )
                        statuses.append(call.code())
        sending.wait_for(FLOW)
    taken = {200, 400, 413}
    assert [a.text[:200] for a in others if a.status_code not in taken] == []
    allowed = (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert set(statuses) <= set(allowed), statuses
    audit("malformed and hostile payloads, gzip and zstd bombs", tenant, sending.books, len(others) + len(statuses))
    there = auditing.found(victim)
    assert there.foreign == 0
    assert not any(name.startswith("r") for name in there.items)


def test_connections_that_say_half(deployment, tenant, load, audit, otlp):
    other = deployment.tenant("half")
    key = other.key.encode()
    whole = otlp.logs("half", {"time_unix_nano": now_unix_nano(), "body": "half"}).SerializeToString()
    head = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\nx-api-key: " + key
    asked = head + b"\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole
    body = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\nx-api-key: " + key + b"\r\ncontent-length: 1000000\r\n\r\n\x0a"
    sockets = []
    try:
        with load(tenant) as sending:
            for receiver in deployment.receivers:
                for _ in range(100):
                    for port, said in (
                        (receiver.http_port, body),
                        (receiver.http_port, b"POST /v1"),
                        (receiver.grpc_port, b"PRI"),
                    ):
                        half = socket.create_connection(("127.0.0.1", port), timeout=5)
                        half.sendall(said)
                        sockets.append(half)
                    # And those that ask and are gone, without a word and with one.
                    for off in (0, 1):
                        gone = socket.create_connection(("127.0.0.1", receiver.http_port), timeout=5)
                        gone.sendall(asked)
                        if off:
                            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                            gone.close()
                        else:
                            sockets.append(gone)
            sending.wait_for(2 * FLOW)
    finally:
        for each in sockets:
            each.close()
    audit("1,000 half-open connections: half a request, no reading, a reset", tenant, sending.books)
    assert auditing.found(other).items == {"half": 1}


def free(disk):
    """Bytes."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def test_a_full_disk(deployment, tenant, load, audit, small_disk):
    """The spool refuses before the disk is full, and takes again when there is room."""
    disk = small_disk(64)
    receiver = harness.Receiver(
        harness.COMMAND,
        deployment.env,
        disk / "receiver",
        free_ports(3),
        log=deployment.folder / "full.log",
    )
    receiver.folder.mkdir()
    receiver.start()
    ballast = disk / "ballast"
    try:
        with load(tenant, [receiver]) as sending:
            sending.wait_for(FLOW)
            deployment.front.kill()
            sending.wait_for(FLOW)
            with ballast.open("wb") as file:
                file.write(bytes(free(disk) - 8 * MIB))
            filling = os.urandom(MIB)
            url = f"http://127.0.0.1:{receiver.http_port}{LOGS.http_path}"
            headers = {"content-type": "application/x-protobuf", "x-api-key": deployment.known["api_key"]}
            # A batch that does not fit breaks off while it is written.
            records = (os.urandom(MIB // 2).hex().encode() for _ in range(12))
            large = nested(1, 2, content=b"".join(nested(2, 5, 1, content=record) for record in records))
            answer = httpx.post(url, content=large, headers=headers, timeout=30)
            assert answer.status_code == 503, answer.text
            assert b"cannot write to its disk" in answer.content
            deadline = time.monotonic() + 60
            while True:
                text = random.choice("abcdefgh").encode() * 1000 + filling.hex().encode()[: random.randint(9, MIB)]
                answer = httpx.post(url, content=nested(1, 2, 2, 5, 1, content=text), headers=headers, timeout=30)
                if answer.status_code == 503:
                    break
                assert answer.status_code == 200, answer.text
                assert time.monotonic() < deadline
            assert b"disk" in answer.content
            assert free(disk) > MIB
            ballast.unlink()
            sending.wait_for(FLOW)
            deployment.start_front()
            sending.wait_for(FLOW)
        deadline = time.monotonic() + 60
        while receiver.waiting:
            assert time.monotonic() < deadline, receiver.log.read_text()[-3000:]
            time.sleep(0.05)
    finally:
        receiver.kill()
    audit("a full disk during an outage", tenant, sending.books)
