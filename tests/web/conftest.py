"""A browser for all tests of the UI, and somebody before it, who must have nothing to complain of."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def running(start_up: Callable[[], AbstractContextManager[Any]]) -> Generator[Any]:
    """A duoscope of the browser's own: pages show all that a tenant has, and other tests send what they like."""
    with start_up() as up:
        yield up


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    # Not for longer: Playwright keeps an event loop running in this thread, in which no other test can run its own.
    browsing = pytest.importorskip("web.browser", reason="Playwright is not installed")
    if browsing.chromium() is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    if not (ROOT / "services/duoscope/api/web/index.html").is_file():
        pytest.skip("duoscope was installed without its UI: python services/web/build.py")
    with browsing.launched() as launched:
        yield launched


@pytest.fixture
def visit(browser) -> Generator[Callable[..., Any]]:
    """Somebody before a running duoscope. At the end, the browser must have had nothing to complain of."""
    from web.browser import Visitor

    visitors: list[Visitor] = []

    def visiting(up: Any, **how: Any) -> Visitor:
        visitors.append(Visitor(browser, up, **how))
        return visitors[-1]

    yield visiting
    for visitor in visitors:
        visitor.context.close()
        assert visitor.complaints == []
        assert visitor.refusals == []


@pytest.fixture(scope="session")
def shop(running) -> str:
    """The id of a trace of a shop, which is stored, with its records."""
    from web.browser import send_shop

    return send_shop(running)


@pytest.fixture(scope="session")
def measured(running, shop) -> str:
    """The id of the shop's trace, from which a metric has a measurement."""
    from web.browser import send_metrics

    send_metrics(running, shop)
    return shop
