"""Hostile clients of the API's port, in a separate process: they run until stdin ends.

    python strangers.py KIND PORT COUNT [TOKEN]

They print `ready` once they do what their kind does; the kinds are the functions of this module.
"""

import json
import resource
import select
import selectors
import socket
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException

OPENED_A_SECOND = 2000
AGAIN_A_SECOND = 100
PATTERNS = 20
"""Terms with a * that a search may have."""
HALVES = (
    b"POST /api/v1/auth/lo",
    b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    b"GET /api/v1/services HTTP/1.1\r\nhost: x\r\nauthorization: Bear",
)


def say(what):
    print(what, flush=True)  # noqa: T201 - what this process is asked for


def connected(port, said, **options):
    made = socket.socket()
    for option, value in options.items():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    made.settimeout(10)
    try:
        made.connect(("127.0.0.1", port))
        made.sendall(said)
    except OSError:
        made.close()
        return None
    made.setblocking(False)
    return made


def silent(port, count, _):
    """Hold sockets of one byte each, and open a new one for each that is closed."""
    open_ones = selectors.DefaultSelector()

    def add():
        if made := connected(port, b"G"):
            open_ones.register(made, selectors.EVENT_READ)

    for _ in range(count):
        add()
        time.sleep(1 / OPENED_A_SECOND)
    say("ready")
    while True:
        for key, _ in open_ones.select():
            open_ones.unregister(key.fileobj)
            key.fileobj.close()
            add()
            time.sleep(1 / AGAIN_A_SECOND)


def half(port, count, _):
    """Send halves of requests, hold them, and say how long the last was held."""
    open_ones, began = selectors.DefaultSelector(), time.monotonic()
    for number in range(count):
        if made := connected(port, HALVES[number % len(HALVES)]):
            open_ones.register(made, selectors.EVENT_READ)
    say("ready")
    while open_ones.get_map():
        for key, _ in open_ones.select():
            ended = True
            with suppress(ConnectionError):
                ended = not key.fileobj.recv(65536)
            if ended:
                open_ones.unregister(key.fileobj)
                key.fileobj.close()
    say(f"closed {time.monotonic() - began:.1f}")


def unread(port, count, token):
    """Ask for what is large, read nothing, and ask again where one is cut off."""
    body = json.dumps({"limit": 1000}).encode()
    asked = (
        b"POST /api/v1/logs/search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer "
        + token.encode()
        + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
        + body
    )
    gone = select.poll()
    open_ones = {}

    def add():
        if made := connected(port, asked, SO_RCVBUF=4096):
            open_ones[made.fileno()] = made
            gone.register(made, select.POLLRDHUP)

    for _ in range(count):
        add()
    say("ready")
    while True:
        for number, _ in gone.poll():
            gone.unregister(number)
            open_ones.pop(number).close()
            add()


def searches(port, count, token):
    """Search for many patterns, in parallel and over and over."""
    query = " ".join(f"*a{n}*b*" for n in range(PATTERNS))
    body = json.dumps({"query": f"NOT ({query})", "limit": 1})
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def search():
        while True:
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            with suppress(OSError, HTTPException):
                while True:
                    connection.request("POST", "/api/v1/logs/search", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    time.sleep(0.05 if answer.status != 200 else 0)
            connection.close()

    for _ in range(count):
        threading.Thread(target=search, daemon=True).start()
    say("ready")
    threading.Event().wait()


if __name__ == "__main__":
    _, kind, port, count, token = [*sys.argv, ""][:5]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    work = {each.__name__: each for each in (silent, half, unread, searches)}[kind]
    threading.Thread(target=work, args=(int(port), int(count), token), daemon=True).start()
    sys.stdin.read()
