"""A web server in loopback for messages of alerts: it writes down what comes, and answers as it is told to."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request: its path, headers, and body; and how it was answered: a status, or 0 for never."""

    path: str
    headers: dict[str, str]
    body: Any
    status: int


@dataclass(frozen=True)
class Answer:
    """An answer: after a while, with a status and headers; or never, with 0."""

    status: int = 200
    after_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


class Hooks:
    """The server. `decide` is asked for each request, by its path."""

    def __init__(self, decide: Callable[[str], Answer] = lambda _: Answer()) -> None:
        self.decide = decide
        self.received: list[Received] = []
        self._stopping = threading.Event()
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                answer = hooks.decide(self.path)
                names = {name.lower(): value for name, value in self.headers.items()}
                hooks.received.append(Received(self.path, names, json.loads(body), answer.status))
                if answer.after_s:
                    time.sleep(answer.after_s)
                if not answer.status:
                    hooks._stopping.wait(30)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def at(self, path: str) -> list[Received]:
        """The requests to a path, oldest first."""
        return [each for each in self.received if each.path == path]

    def stop(self) -> None:
        """Stop it."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
