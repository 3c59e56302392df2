"""Builds the OpenTelemetry Collector that `test_collector.py` runs before duoscope, with the collector's own builder.

    python tests/interop/collector/build.py

builder.yaml names the parts, go.mod and go.sum beside it pin every module with its hash, and what Go fetches comes from
wherever its environment says (GOPROXY, GOFLAGS, GOPRIVATE). Everything made is in `.build`, which git ignores; a second
run finds it done. `--pin` writes go.mod and go.sum anew, after a change of builder.yaml.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BUILD: Final = HERE / ".build"
SOURCE: Final = BUILD / "source"
BINARY: Final = BUILD / "collector"
PINS: Final = ("builder.yaml", "go.mod", "go.sum")
BUILDER: Final = "go.opentelemetry.io/collector/cmd/builder"
GO_MIN: Final = (1, 25)
"""What go.mod asks for; an older Go fetches a newer one itself, unless GOTOOLCHAIN forbids it."""


class CannotBuildError(Exception):
    """Says what is missing, and what to do."""


def pins() -> str:
    """The hashes of everything that decides what is built."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINS)).hexdigest()


def is_built() -> bool:
    """Whether the binary is there, and of these pins."""
    stamp = BUILD / "pins"
    return BINARY.exists() and stamp.exists() and stamp.read_text() == pins()


def build(*, pin: bool = False) -> None:
    """Make the binary.

    Raises:
        CannotBuildError: for want of Go, or of modules.
    """
    go = _go()
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    version = re.search(r"^  version: (\S+)$", (HERE / "builder.yaml").read_text(), re.MULTILINE)
    assert version, "builder.yaml has no version"
    builder = BUILD / f"builder-{version[1]}"
    if not builder.exists():
        _say("fetching and building the collector's builder")
        _run(go, "install", f"{BUILDER}@v{version[1]}", GOBIN=str(BUILD))
        (BUILD / "builder").rename(builder)
    manifest = BUILD / "manifest.yaml"
    manifest.write_text((HERE / "builder.yaml").read_text().replace("dist:\n", f"dist:\n  output_path: {SOURCE}\n", 1))
    _run(str(builder), "--config", str(manifest), "--skip-compilation", *(() if pin else ("--skip-get-modules",)))
    for name in PINS[1:]:
        # The builder leaves a go.mod of its own, with the direct modules only.
        source, target = (SOURCE, HERE) if pin else (HERE, SOURCE)
        shutil.copy(source / name, target / name)
    _say("building the collector; the first time it takes some minutes")
    options = ("-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(BINARY))
    _run(go, "build", *options, ".", cwd=SOURCE, CGO_ENABLED="0")
    (BUILD / "pins").write_text(pins())


def _go() -> str:
    wanted = f"Go {'.'.join(map(str, GO_MIN))} or newer"
    go = shutil.which("go")
    if not go:
        raise CannotBuildError(f"Go is not installed: there is no `go` in PATH. Building the collector takes {wanted}.")
    command = [go, "env", "GOVERSION", "GOTOOLCHAIN"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    found = re.match(r"go(\d+)\.(\d+)", said[0]) if said else None
    if not found:
        raise CannotBuildError(f"`{' '.join(command)}` names no version. Building the collector takes {wanted}.")
    if (int(found[1]), int(found[2])) < GO_MIN and said[1:] == ["local"]:
        raise CannotBuildError(f"{said[0]} is too old. Building the collector takes {wanted}.")
    return go


def _run(*command: str, cwd: Path = HERE, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-8:])
        raise CannotBuildError(
            f"`{' '.join([Path(command[0]).name, *command[1:]])}` failed:\n{last}\n"
            "If it is that modules cannot be fetched: `go env GOPROXY GOFLAGS GOSUMDB` say where they are looked for."
        )


def _say(what: str) -> None:
    print(f"interop-collector: {what}", flush=True)  # noqa: T201 - a command


def main() -> int:
    """Build where it is not done yet."""
    pin = sys.argv[1:] == ["--pin"]
    try:
        if pin or not is_built():
            build(pin=pin)
    except CannotBuildError as error:
        print(f"interop-collector: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    _say(f"{BINARY.relative_to(Path.cwd()) if BINARY.is_relative_to(Path.cwd()) else BINARY} is built")
    return 0


if __name__ == "__main__":
    sys.exit(main())
