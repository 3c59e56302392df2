"""Bytes and connections of somebody who means harm, while others send: theirs is taken, all of it, once."""

import gzip
import os
import random
import socket
import subprocess
import time

import harness
import httpx
import pytest

from duoscope.receiver.signals import LOGS, SIGNALS

pytestmark = pytest.mark.skipif(not harness.THOROUGH, reason="takes long: a part of `make faults`")

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
BOMB = gzip.compress(b"\0" * 300 * MIB)


def test_hostile_payloads(deployment, tenant, load, audit):
    victim, others = deployment.tenant("hostile"), []
    with load(tenant) as sending, httpx.Client(timeout=60) as client:
        sending.wait_for(FLOW)
        for receiver in deployment.receivers:
            for kind in SIGNALS:
                url = f"http://127.0.0.1:{receiver.http_port}{kind.http_path}"
                headers = {"content-type": "application/x-protobuf", "x-api-key": victim.key}
                others += [client.post(url, content=raw, headers=headers) for raw in HOSTILE.values()]
                bomb = client.post(url, content=BOMB, headers=headers | {"content-encoding": "gzip"})
                assert bomb.status_code == 413, bomb.text
        sending.wait_for(FLOW)
    assert {answer.status_code for answer in others} <= {200, 400, 413}, [a.text[:200] for a in others]
    audit("malformed and hostile payloads, gzip bombs", tenant, sending.books)
    items, _, foreign = harness.found(victim)
    assert foreign == 0
    assert not any(name.startswith("r") for name in items)


def test_connections_that_say_half(deployment, tenant, load, audit):
    key = tenant.key.encode()
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
            sending.wait_for(2 * FLOW)
    finally:
        for each in sockets:
            each.close()
    audit("600 connections that stop in the middle of a request", tenant, sending.books)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 MiB, where the system lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(deployment, tenant, load, audit, small_disk):
    """The spool refuses before the disk is full, and takes again when there is room."""
    receiver = harness.Receiver(
        harness.COMMAND,
        deployment.env,
        small_disk / "receiver",
        harness.free_ports(2),
        log=deployment.folder / "full.log",
    )
    receiver.folder.mkdir()
    receiver.start()
    ballast = small_disk / "ballast"
    try:
        with load(tenant, [receiver]) as sending:
            sending.wait_for(FLOW)
            deployment.front.kill()
            sending.wait_for(FLOW)
            with ballast.open("wb") as file:
                file.write(os.urandom(56 * MIB))
            filling = os.urandom(MIB)
            url = f"http://127.0.0.1:{receiver.http_port}{LOGS.http_path}"
            headers = {"content-type": "application/x-protobuf", "x-api-key": deployment.known["api_key"]}
            deadline = time.monotonic() + 60
            while True:
                text = random.choice("abcdefgh").encode() * 1000 + filling.hex().encode()[: random.randint(9, MIB)]
                answer = httpx.post(url, content=nested(1, 2, 2, 5, 1, content=text), headers=headers, timeout=30)
                if answer.status_code == 503:
                    break
                assert answer.status_code == 200, answer.text
                assert time.monotonic() < deadline
            assert b"disk" in answer.content
            disk = os.statvfs(small_disk)
            assert disk.f_bavail * disk.f_frsize > MIB
            ballast.unlink()
            sending.wait_for(FLOW)
            deployment.start_front()
            sending.wait_for(FLOW)
        deadline = time.monotonic() + 60
        while receiver.batches() or receiver.batches(".batch"):
            assert time.monotonic() < deadline, receiver.log.read_text()[-3000:]
            time.sleep(0.05)
    finally:
        receiver.kill()
    audit("a full disk during an outage", tenant, sending.books)
