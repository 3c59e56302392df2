"""A disk that loses what was not synced, under a whole duoscope: see `power_cut.c`, which records every sync."""

import ctypes
import os
import random
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

BLOCK_BYTES = 4096
WAIT_S = 60


def compile_library(folder):
    """The library to preload, or None where there is no compiler."""
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None:
        return None
    library = folder / "power_cut.so"
    source = Path(__file__).with_name("power_cut.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


def kill_with_children(process):
    """Kill a process and all that it started, and wait until they are gone."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait(WAIT_S)
    _, alive = psutil.wait_procs(family, timeout=WAIT_S)
    assert alive == []


class Disk:
    """What of a folder is on the disk: by inode, the content at the last sync.

    Attributes:
        environment: of the processes that write to the folder.
    """

    def __init__(self, library, folder, home):
        self._folder, self._synced, self._orders = folder, home / "synced", home / "orders"
        self._library = ctypes.CDLL(str(library))
        self.environment = {
            "LD_PRELOAD": str(library),
            "POWER_CUT_DISK": str(self._synced),
            "POWER_CUT_ORDERS": str(self._orders),
        }

    def sync_all(self):
        """From now on, what the folder has is on the disk."""
        shutil.rmtree(self._synced, ignore_errors=True)
        self._synced.mkdir()
        self._synced.chmod(0o777)  # PostgreSQL may run as another user
        (self._synced / "lock").touch()
        (self._synced / "lock").chmod(0o666)
        # The library reads the environment of the process that it is in.
        os.environ["POWER_CUT_DISK"] = str(self._synced)
        try:
            for path in (self._folder, *self._folder.rglob("*")):
                if path.is_symlink() or not (path.is_dir() or path.is_file()):
                    continue
                opened = os.open(path, os.O_RDONLY)
                assert self._library.power_cut_sync(opened) == 0, path
                os.close(opened)
        finally:
            del os.environ["POWER_CUT_DISK"]

    def cut(self, *, keeps=0.0):
        """Leave in the folder what is on the disk. Of each write that was not synced, a part may be: `keeps` of them.

        Nothing may run in the folder any more.
        """
        lost = self._folder.with_name(f"{self._folder.name}.lost")
        self._folder.rename(lost)
        live = {self._identity(path): path for path in (lost, *lost.rglob("*"))}
        self._restore(self._identity(lost), self._folder, live, keeps)
        shutil.rmtree(lost)

    @contextmanager
    def order(self, what, path):
        """While this runs, a sync of a path that contains a text fails ("fail") or waits ("hold")."""
        self._held.unlink(missing_ok=True)
        self._orders.write_text(f"{what} {path}\n")
        try:
            yield
        finally:
            self._orders.unlink()

    def wait_until_held(self):
        """Until a sync waits."""
        deadline = time.monotonic() + WAIT_S
        while not self._held.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def _held(self):
        return self._orders.with_name(f"{self._orders.name}.held")

    def _identity(self, path):
        found = ctypes.create_string_buffer(80)
        assert self._library.power_cut_identity(str(path).encode(), found) > 0, path
        return found.value.decode()

    def _restore(self, identity, target, live, keeps):
        synced, now = self._synced / identity, live.get(identity)
        if identity.startswith("d"):
            target.mkdir(mode=0o700)
            names = dict(reversed(line.split(" ", 1)) for line in _lines(synced))
            for name, child in _after_a_cut(names, self._names(now), keeps).items():
                self._restore(child, target / name, live, keeps)
        elif identity.startswith("f"):
            target.touch(mode=0o600)
            target.write_bytes(_torn(synced.read_bytes() if synced.exists() else b"", now, keeps))
        elif now is not None and now.is_symlink():
            target.symlink_to(now.readlink())
        else:
            return
        owner = (now or target.parent).lstat()  # of what is gone, nobody knows the owner
        os.chown(target, owner.st_uid, owner.st_gid, follow_symlinks=False)
        if now is not None and not target.is_symlink():
            target.chmod(owner.st_mode & 0o777)

    def _names(self, folder):
        return {} if folder is None else {path.name: self._identity(path) for path in folder.iterdir()}


def _lines(path):
    return path.read_text().splitlines() if path.exists() else []


def _after_a_cut(synced, live, keeps):
    """What a folder lists: some of what changed since its last sync. What was renamed has one of its names."""
    changed = {name for name in synced.keys() | live.keys() if synced.get(name) != live.get(name)}
    names = {name: identity for name, identity in synced.items() if name not in changed}
    kept = {identity: random.random() < keeps for identity in (*synced.values(), *live.values())}
    for name in changed:
        was, is_now = synced.get(name), live.get(name)
        if is_now is not None and kept[is_now]:
            names[name] = is_now
        elif was is not None and not (kept[was] if was in live.values() else random.random() < keeps):
            names[name] = was
    return names


def _torn(synced, live, keeps):
    """What a file holds: some of the blocks that were written since its last sync."""
    if live is None or not keeps:
        return synced
    now = live.read_bytes()
    if now.startswith(synced):
        return now[: len(synced) + int((len(now) - len(synced)) * random.choice((0.0, random.random(), 1.0)))]
    if len(now) != len(synced):
        return now if random.random() < keeps else synced
    blocks = range(0, len(now), BLOCK_BYTES)
    return b"".join((now if random.random() < keeps else synced)[at : at + BLOCK_BYTES] for at in blocks)
