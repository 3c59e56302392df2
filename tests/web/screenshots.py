"""Takes pictures of the pages of the UI, light and dark, in several sizes, and a sheet of all: `make screenshots`.

With `--guide` as the second argument (`make screenshots OUT=docs/pictures GUIDE=1`) those of docs/web.md alone.
"""

import base64
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser

from support.up import Up
from web.browser import Visitor, chromium, launched, send_fan

SIZES = ((1440, 900), (1024, 768))
NARROW = (390, 844)
THEMES = ("light", "dark")
METRIC = quote('[{"m":"http.server.request.duration","by":["service"]}]')
CROWD = 1_000
SKELETON_MS = 400
"""It appears only if loading takes a while."""
GUIDE_SIZE = (1200, 720)
GUIDE_QUALITY = 0.7


def _pages(trace_id: str) -> dict[str, tuple[str, str, bool]]:
    """Path, a locator of what must be there, and whether the page is promised on a telephone, by name."""
    return {
        "services": ("services", "text=frontend", False),
        "service": ("services/one?service=inventory&range=6h", "text=Callees", False),
        "map": ("services?view=map&range=6h", "svg g[role=button]", False),
        "map-near": ("services?view=near&open=checkout&range=6h", "svg g[role=button]", False),
        "logs": ("logs?q=severity>=info", "[role=row]", True),
        "logs-nothing": ("logs?q=nothingatall", "text=No records match", False),
        "logs-mistake": ("logs?q=severity>=errr", "mark", False),
        "patterns": ("logs?view=patterns", "td code", False),
        "tail": ("logs?view=tail", "text=Live", False),
        "traces": ("traces", "[role=row]", False),
        "traces-failed": ("traces?q=status:error", "[role=row]", False),
        "trace": (f"traces/{trace_id}", "[role=row]", True),
        "trace-missing": (f"traces/{'0' * 31}1", "text=There is no such trace", False),
        "flame": (f"traces/{trace_id}?view=flame", "canvas[data-spans]", False),
        "metrics": ("metrics", "svg[role=img]", False),
        "metric": (f"metrics?m={METRIC}", "td button", False),
        "metric-labels": (f"metrics?view=labels&m={METRIC}", "section figure", False),
        "metric-exemplars": (f"metrics?view=exemplars&m={METRIC}", "td code", False),
        "metric-heatmap": (f"metrics?view=heatmap&m={METRIC}", "th[scope=row]", False),
        "promql": ("metrics?promql=sum by (job) (shop_requests_total)", "td button", False),
        "ingest": ("ingest", "text=Active series", False),
        "start": ("start", "text=Make a key", False),
    }


def _take(browser: Browser, up: Up, trace_id: str, out: Path) -> None:
    for width, height in (*SIZES, NARROW):
        visitor = Visitor(browser, up, width=width, height=height)
        page = visitor.page

        def picture(name: str, size: tuple[int, int] = (width, height), visitor: Visitor = visitor) -> None:
            for theme in THEMES:
                visitor.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                visitor.page.screenshot(path=out / f"{name}-{size[0]}-{theme}.png")

        page.goto(up.api_url)
        page.get_by_label("Email").wait_for()
        picture("login")
        visitor.log_in()
        for name, (path, shown, narrow) in _pages(trace_id).items():
            if (width, height) == NARROW and not narrow:
                continue
            visitor.open(path)
            page.locator(shown).first.wait_for()
            if name != "tail":  # which is never done
                page.wait_for_load_state("networkidle")
            picture(name)
            if name == "trace":
                page.keyboard.press("e")
                page.get_by_role("complementary").get_by_text("Resource").wait_for()
                picture("trace-error")
            if name == "traces":
                page.get_by_role("button", name="Compare the slowest").click()
                page.get_by_role("complementary").get_by_text("The rest").first.wait_for()
                picture("compare")
            if name == "logs":
                page.keyboard.press("j")
                page.keyboard.press("Enter")
                page.get_by_role("complementary").wait_for()
                picture("log")
                page.get_by_role("tab", name="Around it").click()
                page.get_by_role("list", name="Records around it").get_by_role("button").first.wait_for()
                picture("log-context")
                page.keyboard.press("Escape")
                page.get_by_label("Query").fill("service:")
                page.get_by_role("option").first.wait_for()
                picture("completion")
                page.keyboard.press("Escape")
                page.get_by_role("button", name="How to write queries").click()
                picture("query-help")
                page.keyboard.press("Escape")
                page.keyboard.press("t")
                page.get_by_role("dialog").wait_for()
                picture("time")
        _states(visitor, picture)
        visitor.context.close()


def _states(visitor: Visitor, picture: Callable[[str], None]) -> None:
    """What stands there while nothing has come, and when nothing comes."""
    page = visitor.page
    for name, path in (("services", "services"), ("logs", "logs"), ("trace", f"traces/{'1' * 32}")):
        asked = f"**/api/v1/{name}**"
        page.route(asked, lambda _: None)
        visitor.open(path)
        page.get_by_text("Loading").first.wait_for(state="attached")
        page.wait_for_timeout(SKELETON_MS)
        picture(f"loading-{name}")
        page.unroute(asked)
        page.route(asked, lambda route: route.abort())
        visitor.open(path)
        page.get_by_role("alert").first.wait_for()
        picture(f"error-{name}")
        page.unroute(asked)


def _crowd(browser: Browser, up: Up, out: Path) -> None:
    """A tenant with a thousand services, whose names are as long as names are."""
    tenant_id = up.admin("create-tenant", "A tenant with a rather long name of its own")["tenant_id"]
    key = up.admin("create-api-key", "--tenant", tenant_id)["api_key"]
    name = "com.example.department-of-very-long-names.checkout-orchestration-service-" + "x" * 60
    trace_id = send_fan(up, CROWD, name=name, key=key)
    up.settle()
    for width, height in SIZES:
        visitor = Visitor(browser, up, width=width, height=height)
        visitor.log_in()
        for page, shown in (
            ("services", "tbody tr"),
            ("services?view=map", "svg g[role=button]"),
            ("traces", "[role=row]"),
            (f"traces/{trace_id}?open={1:016x}", "[role=treegrid] [role=row]"),
        ):
            visitor.page.goto(f"{up.api_url}/t/{tenant_id}/{page}")
            visitor.page.locator(shown).first.wait_for()
            visitor.page.wait_for_load_state("networkidle")
            named = page.partition("/")[0].partition("?")[0] if "open" in page else page.replace("?view=", "-")
            for theme in THEMES:
                visitor.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                visitor.page.screenshot(path=out / f"many-{named}{'-one' * ('open' in page)}-{width}-{theme}.png")
        visitor.context.close()


def _guide(browser: Browser, up: Up, trace_id: str, out: Path) -> None:
    """The pictures of docs/web.md, in WebP."""
    pages = {
        "services": ("services?range=6h", "text=frontend"),
        "service": ("services/one?service=inventory&range=6h", "text=Callees"),
        "map": ("services?view=map&range=6h", "svg g[role=button]"),
        "traces": ("traces?range=6h", "[role=row]"),
        "flame": (f"traces/{trace_id}?view=flame", "canvas[data-spans]"),
        "logs": ("logs?range=6h&cols=user.id", "[role=row]"),
        "metrics": (f"metrics?range=6h&m={METRIC}", "td button"),
    }
    visitor = Visitor(browser, up, width=GUIDE_SIZE[0], height=GUIDE_SIZE[1])
    visitor.log_in()
    blank = browser.new_page()
    for name, (path, shown) in pages.items():
        visitor.open(path)
        visitor.page.locator(shown).first.wait_for()
        visitor.page.wait_for_load_state("networkidle")
        if name == "traces":
            visitor.page.get_by_role("button", name="Compare the slowest").click()
            visitor.page.get_by_role("complementary").get_by_text("The rest").first.wait_for()
            visitor.page.wait_for_load_state("networkidle")
        picture = base64.b64encode(visitor.page.screenshot()).decode()
        made = blank.evaluate(
            """async ([picture, quality]) => {
                const image = new Image();
                image.src = `data:image/png;base64,${picture}`;
                await image.decode();
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [image.width, image.height];
                canvas.getContext("2d").drawImage(image, 0, 0);
                return canvas.toDataURL("image/webp", quality).split(",")[1];
            }""",
            [picture, GUIDE_QUALITY],
        )
        (out / f"{name}.webp").write_bytes(base64.b64decode(made))
    visitor.context.close()


def _sheet(browser: Browser, out: Path) -> None:
    """One picture of all pictures."""
    pictures = sorted(path.name for path in out.glob("*.png") if path.name != "sheet.png")
    shown = "".join(f'<figure><img src="{name}"><figcaption>{name}</figcaption></figure>' for name in pictures)
    style = "body{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;font:12px sans-serif}img{width:100%}"
    (out / "sheet.html").write_text(f"<!doctype html><style>{style}figure{{margin:0}}</style>{shown}")
    page = browser.new_page(viewport={"width": 1800, "height": 1000})
    page.goto((out / "sheet.html").as_uri())
    page.screenshot(path=out / "sheet.png", full_page=True)
    page.close()


def main() -> int:
    """Take all pictures, of a duoscope with the demo's telemetry."""
    if chromium() is None:
        print("There is no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="duoscope-screenshots-"))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        up = Up(Path(data) / "data")
        up.start()
        try:
            is_guide = "--guide" in sys.argv
            up.run("demo", "--history", "6h", "--duration", "30")
            with up.api() as client, launched() as browser:
                asked = {"query": "status:error service:checkout", "limit": 50}
                found = client.post("/traces/search", json=asked).json()["items"]
                trace_id = max(found, key=lambda trace: trace["span_count"])["trace_id"]
                if is_guide:
                    _guide(browser, up, trace_id, out)
                else:
                    _take(browser, up, trace_id, out)
                    _crowd(browser, up, out)
                    _sheet(browser, out)
        finally:
            up.kill()
    print(f"The pictures are in {out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
