"""A ClickHouse server for fault tests: its HTTP interface over an embedded engine, in a process that can be killed.

There is no server binary on PyPI. This speaks as much of the interface as clickhouse-connect uses, over the same
engine: what it proves is what the receiver does when a store stops, dies, dawdles or answers nobody, and that tokens
deduplicate in the real engine. It proves nothing about accounts, replication or the server's own HTTP code.

    python clickhouse_front.py <data folder> <port>

`POST /fault?slow_s=<seconds>&drop=<count>&only=<text>` makes queries slow, or runs the next `count` INSERTs and closes
the connection instead of answering; `only` narrows both to queries that contain the text.
"""

import queue
import re
import sys
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

HANDLES = 6
TRANSPORT = frozenset(
    [
        "database",
        "query",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "quota_key",
        "compress",
        "decompress",
        "wait_end_of_query",
        "client_protocol_version",
        "role",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "buffer_size",
        "default_format",
        "user",
        "password",
    ]
)
_INSERT = re.compile(r"^\s*(INSERT INTO .*?)\s+FORMAT\s+(\w+)\s*$", re.IGNORECASE | re.DOTALL)

_START = re.compile(rb"(INSERT INTO [^\n]*?\s+FORMAT\s+\w+)[ \t]*\n", re.IGNORECASE)
"""Of a body that holds the statement and then its rows."""


class Faults:
    """The current faults, from the last `POST /fault`."""

    def __init__(self) -> None:
        self.slow_s = 0.0
        self.only = ""
        self._drop = 0
        self._lock = threading.Lock()

    def set(self, options: dict[str, str]) -> None:
        with self._lock:
            self.slow_s = float(options.get("slow_s", 0))
            self._drop = int(options.get("drop", 0))
            self.only = options.get("only", "")

    def drops(self, sql: str) -> bool:
        with self._lock:
            if not self._drop or not _INSERT.match(sql) or self.only not in sql:
                return False
            self._drop -= 1
            return True


class Engine:
    """Handles to one engine; each serves one query at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "engine"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(HANDLES):
            self._idle.put(chdb.connect(str(self._folder)))

    def run(self, sql: str, body: bytes, options: dict[str, str]) -> tuple[bytes, str]:
        """Run a statement; also returns the summary of what it read."""
        handle = self._idle.get()
        settings = {name: value for name, value in options.items() if name not in TRANSPORT and name[:6] != "param_"}
        parameters = {name[6:]: value for name, value in options.items() if name[:6] == "param_"}
        try:
            handle.query(f"USE {options.get('database') or 'default'}")
            for name, value in settings.items():
                handle.query(f"SET {name} = '{value}'")
            if (insert := _INSERT.match(sql)) and body:
                with tempfile.NamedTemporaryFile(dir=self._temporary) as file:
                    file.write(body)
                    file.flush()
                    handle.query(f"{insert[1]} FROM INFILE '{file.name}' FORMAT {insert[2]}")
                return b"", "{}"
            result = handle.query(sql, "TabSeparated", params=parameters)
            read = f'{{"read_rows":"{result.storage_rows_read()}","read_bytes":"{result.storage_bytes_read()}"}}'
            return result.bytes(), read
        finally:
            for name in settings:
                handle.query(f"SET {name} = DEFAULT")
            self._idle.put(handle)


def form(body: bytes, boundary: str) -> dict[str, str]:
    """The fields of a form."""
    found = {}
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        if name := re.search(rb'name="([^"]+)"', head):
            found[name[1].decode()] = value.removesuffix(b"\r\n").decode()
    return found


def serve(folder: Path, port: int) -> None:  # noqa: C901 - a handler is a class within
    """Answer until the process is killed."""
    engine, faults = Engine(folder), Faults()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(200, b"Ok.\n")

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            options = dict(parse_qsl(url.query, keep_blank_values=True))
            body = self._body()
            if url.path == "/fault":
                faults.set(options)
                self._answer(200, b"")
                return
            if (kind := self.headers.get("content-type", "")).startswith("multipart/form-data"):
                # Values that are too long for an address.
                options |= form(body, kind.partition("boundary=")[2])
                body = b""
            sql = options.get("query", "")
            if not sql and (start := _START.match(body)):
                sql, body = start[1].decode(), body[start.end() :]
            elif not sql:
                sql, body = body.decode(), b""
            if faults.slow_s and faults.only in sql:
                time.sleep(faults.slow_s)
            dropped = faults.drops(sql)
            try:
                answer, summary = engine.run(sql, body, options)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
                code = re.search(r"Code: (\d+)", str(error))
                sys.stderr.write(f"{sql[:500]}\n{error}\n")
                self._answer(500, str(error).encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "0"})
                return
            if dropped:
                self.close_connection = True
                self.connection.close()
                return
            self._answer(200, answer, {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Summary": summary})

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            if not isinstance(sys.exc_info()[1], OSError):  # clients that go away are the point of the tests
                traceback.print_exc()

    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
