"""Compiles the native decoder when duoscope is installed, with the compiler that pip brings, and builds the web UI."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("services/duoscope/receiver/decoder")
LIBRARY = FOLDER / "libdecoder.so"
FLAGS = (
    *("-std=c11", "-O3", "-mcpu=baseline", "-fPIC", "-shared", "-fvisibility=hidden", "-s"),
    *("-Wall", "-Wextra", "-Werror"),
)


class Compile(BuildHookInterface):
    """Makes `libdecoder.so` beside its sources, the web UI beside the API, and the wheel one for this machine."""

    def dependencies(self) -> list[str]:
        """What the build needs beyond pyproject.toml: a Node.js, if there is something to build and none here."""
        web = self._web()
        return [web.NODE_WHEEL] if web.is_wanted() and not web.is_fresh() and not web.has_node() else []

    def _web(self) -> ModuleType:
        """The module that builds the UI; it is no package, so that it runs as a command as well."""
        spec = importlib.util.spec_from_file_location("build_web", Path(self.root) / "services/web/build.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _build_ui(self) -> None:
        web = self._web()
        if not web.is_wanted():
            return
        try:
            web.build()
        except web.BuildError as error:
            raise SystemExit(web.explained(error)) from None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; `version` is the kind of build, `build_data` tells hatchling what came of it."""
        del version
        self._build_ui()
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
        build_data["artifacts"] += [str(LIBRARY), "services/duoscope/api/web/**"]
