"""How browsers get the web UI: its page, its files, their headers; and what stays the API's."""

import gzip

import pytest

from duoscope.api.ui.files import POLICY, Files

_HTML = {"accept": "text/html,application/xhtml+xml"}
_SCRIPT = b"console.log('a script that is long enough to be worth its compression')" * 20


@pytest.fixture
def built(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text('<!doctype html><script src="./assets/index-1a2b.js"></script>')
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / ".digest").write_text("secret to nobody, but no file of the UI")
    script = tmp_path / "assets" / "index-1a2b.js"
    script.write_bytes(_SCRIPT)
    script.with_name("index-1a2b.js.gz").write_bytes(gzip.compress(_SCRIPT))
    script.with_name("index-1a2b.js.br").write_bytes(b"as if by brotli")
    return tmp_path


@pytest.fixture
def ui(built, monkeypatch):
    """The API of the test that asks for it serves these files."""
    monkeypatch.setattr(Files.__init__, "__defaults__", (built,))


@pytest.fixture
def browser(ui, api):
    return api.client


async def test_every_path_of_nobody_is_the_page_for_who_reads_html(browser):
    for path in ("/", "/t/01a2/logs", "/t/01a2/traces/4bf92f3577b34da6a3ce929d0e0e4736"):
        answer = await browser.get(path, headers=_HTML)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert 'src="/assets/index-1a2b.js"' in answer.text
        assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api", "/health/nothing", "/assets/gone.js"])
async def test_what_is_missing_elsewhere_stays_a_problem(browser, path):
    answer = await browser.get(path, headers=_HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_programs_and_other_methods_get_no_page(browser):
    assert (await browser.get("/t/01a2/logs", headers={"accept": "application/json"})).status_code == 404
    assert (await browser.post("/t/01a2/logs", headers=_HTML)).status_code == 404


async def test_files_are_kept_for_good_and_sent_as_the_browser_takes_them(browser):
    path = "/assets/index-1a2b.js"
    for accepted, encoding in (
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("*", "br"),
        ("identity", None),
        ("br;q=x", None),
    ):
        async with browser.stream("GET", path, headers={"accept-encoding": accepted}) as answer:
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
        assert answer.headers.get("content-encoding") == encoding, accepted
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert int(answer.headers["content-length"]) == len(raw)
        assert {"br": raw == b"as if by brotli", "gzip": raw[:2] == b"\x1f\x8b", None: raw == _SCRIPT}[encoding]


async def test_head_has_the_headers_of_get_and_a_known_etag_gets_nothing(browser):
    for path in ("/", "/t/01a2/logs", "/assets/index-1a2b.js", "/icon.svg"):
        got = await browser.get(path, headers=_HTML | {"accept-encoding": "identity"})
        head = await browser.head(path, headers=_HTML | {"accept-encoding": "identity"})
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == str(len(got.content)) != "0"
        known = await browser.get(path, headers=_HTML | {"if-none-match": f'W/{got.headers["etag"]}, "other"'})
        assert (known.status_code, known.content) == (304, b"")
        assert known.headers["etag"] == got.headers["etag"]
    assert (await browser.get("/.digest")).status_code == 404


def test_the_page_loads_its_files_from_below_the_public_address(built):
    files = Files("https://example.com/observe/", built)
    assert b'src="/observe/assets/index-1a2b.js"' in files.page.content[""]
    assert gzip.decompress(files.page.content["gzip"]) == files.page.content[""]


def test_without_built_files_the_page_says_so(tmp_path):
    files = Files("http://127.0.0.1:8080", tmp_path)
    assert not files.is_built
    assert b"without its web UI" in files.page.content[""]
    assert b'href="/schema"' in files.page.content[""]
