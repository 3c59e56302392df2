"""The UI from its sources, as `make web-dev` serves it."""

import importlib.util
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.up import free_ports

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect

WEB = Path(__file__).parents[2] / "services" / "web"


def _build() -> Any:
    spec = importlib.util.spec_from_file_location("web_build", WEB / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sources_show_the_login_and_what_is_behind_it(running, shop, visit):
    build = _build()
    build.install(everything=True)
    npm, environment = build.npm()
    (port,) = free_ports(1)
    with subprocess.Popen(
        [*npm, "exec", "--", "vite", "--port", str(port), "--host", "127.0.0.1"],
        cwd=WEB,
        env=environment | {"DUOSCOPE_URL": running.api_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as server:
        try:
            assert server.stdout is not None
            assert any(b"ready in" in line for line in server.stdout)
            visitor = visit(running)
            page = visitor.page
            visitor.log_in(address=f"http://127.0.0.1:{port}")
            expect(page.get_by_role("heading", name="Services")).to_be_visible()
            expect(page.get_by_role("link", name="shop-payment")).to_be_visible()
            page.goto("about:blank")  # without its server, a page looks for it in ways that the policy forbids
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
