"""The rules of the UI's sources that no linter of theirs knows, each with a file that breaks it."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "services" / "web"
LINES_MAX = 400
_IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""")
_UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|srcdoc"
    r"|setAttribute\(\s*[\"']style|<[a-z][^>]*\sstyle=\"|createContextualFragment"
)
_KEEPS_TOKENS = re.compile(r"(?:local|session)Storage\.setItem\([^)]*(?:token|access|password)", re.IGNORECASE)
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(")
_ADDRESS = re.compile(r"https?://(?!127\.0\.0\.1|www\.w3\.org/2000/svg)[\w.-]+")

Rule = Callable[[str, str], Iterator[str]]


def pages_import_no_other_page(path: str, text: str) -> Iterator[str]:
    """A page imports parts; what two pages need is a part."""
    folder = Path(path).parent
    if path.startswith("pages/"):
        for name in _IMPORT.findall(text):
            target = (WEB / folder / name).resolve()
            if name.startswith(".") and (WEB / "pages") in target.parents and target.parent != (WEB / folder).resolve():
                yield f"imports {name}, of another page"
    elif path.startswith(("parts/", "charts/", "api/")):
        yield from (f"imports the page {name}" for name in _IMPORT.findall(text) if "/pages/" in name)


def files_are_short(_: str, text: str) -> Iterator[str]:
    if (lines := text.count("\n")) > LINES_MAX:
        yield f"has {lines} lines"


def nothing_becomes_markup_or_code(path: str, text: str) -> Iterator[str]:
    if not path.startswith("tests/"):
        yield from (f"has {found}" for found in _UNSAFE.findall(text))


def no_secret_is_stored(_: str, text: str) -> Iterator[str]:
    yield from _KEEPS_TOKENS.findall(text)


def colours_are_tokens(path: str, text: str) -> Iterator[str]:
    if path.endswith(".css") and path != "app/tokens.css":
        allowed = text.replace("background: #fff;\n  padding: 8px", "")  # the ground of a QR code is white, always
        yield from (f"names the colour {found}" for found in _COLOUR.findall(allowed))


def nothing_is_loaded_from_elsewhere(path: str, text: str) -> Iterator[str]:
    if not path.startswith("tests/") and not path.endswith((".json", ".py")):
        yield from (f"names {found}" for found in _ADDRESS.findall(text))


RULES: dict[Rule, tuple[str, str]] = {
    pages_import_no_other_page: ("pages/logs/Logs.tsx", 'import { Trace } from "../traces/Trace";'),
    files_are_short: ("app/x.ts", "\n" * (LINES_MAX + 1)),
    nothing_becomes_markup_or_code: ("parts/x.tsx", "element.innerHTML = text;"),
    no_secret_is_stored: ("app/x.ts", 'localStorage.setItem("t", accessToken)'),
    colours_are_tokens: ("parts/x.module.css", ".a { color: #ff0000; }"),
    nothing_is_loaded_from_elsewhere: ("app/x.ts", 'fetch("https://cdn.example.com/x.js")'),
}


def sources() -> list[str]:
    """The UI's files that git knows or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=WEB, capture_output=True, text=True, check=True,
    )  # fmt: skip
    endings = (".ts", ".tsx", ".css", ".html", ".js", ".svg", ".json", ".py")
    return [
        path
        for path in listed.stdout.splitlines()
        if path.endswith(endings) and path != "package-lock.json" and (WEB / path).is_file()
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_ui_keeps_the_rule(rule):
    broken = [f"{path}: {what}" for path in sources() for what in rule(path, (WEB / path).read_text("utf-8"))]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_can_fail(rule):
    assert list(rule(*RULES[rule]))


def test_a_page_may_import_its_neighbours_and_parts():
    text = 'import a from "./Row";\nimport b from "../../parts/Page";'
    assert not list(pages_import_no_other_page("pages/logs/Logs.tsx", text))


def test_versions_are_exact_and_the_lock_names_no_registry():
    named = json.loads((WEB / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        for package, version in named[kind].items():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version), (package, version)
    lock = (WEB / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 50
    assert "omit-lockfile-registry-resolved=true" in (WEB / ".npmrc").read_text()
