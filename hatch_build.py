"""Compiles the native decoder when duoscope is installed, with the compiler that pip brings."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("services/duoscope/receiver/decoder")
LIBRARY = FOLDER / "libdecoder.so"
FLAGS = (
    *("-std=c11", "-O3", "-mcpu=baseline", "-fPIC", "-shared", "-fvisibility=hidden", "-s"),
    *("-Wall", "-Wextra", "-Werror"),
)


class Compile(BuildHookInterface):
    """Makes `libdecoder.so` beside its sources, and the wheel one for this machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; `version` is the kind of build, `build_data` tells hatchling what came of it."""
        del version
        root = Path(self.root)
        sources = sorted(str(source) for source in (root / FOLDER).rglob("*.c"))
        with tempfile.TemporaryDirectory() as cache:
            subprocess.run(  # noqa: S603 - all of it is from here
                [
                    sys.executable,
                    "-m",
                    "ziglang",
                    "cc",
                    *FLAGS,
                    f"-I{root / FOLDER}",
                    "-o",
                    str(root / LIBRARY),
                    *sources,
                    "-lm",
                ],
                check=True,
                env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
            )
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(str(LIBRARY))
