"""Texts in HTML as Markdown: what Markdown has as well stays, of anything else the words."""

import re
from html.parser import HTMLParser
from typing import Final

from duoscope.dashboards.grafana.report import Notes

_CSS: Final = re.compile(r"(?is)<(script|style)\b.*?(</\1\s*>|\Z)")
_BLOCKS: Final = {"p": "\n\n", "div": "\n\n", "center": "\n\n", "section": "\n\n", "ul": "\n\n", "ol": "\n\n",
                  "h1": "\n\n# ", "h2": "\n\n## ", "h3": "\n\n### ", "h4": "\n\n#### ", "h5": "\n\n##### ",
                  "h6": "\n\n###### ", "li": "\n- ", "hr": "\n\n---\n\n"}  # fmt: skip
_AROUND: Final = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`"}
_WITHOUT: Final = frozenset({"br", "a", "span", "html", "body", "small", "u", "font"})
"""Taken as they are: what is lost with them is how they look."""
_SPECIAL: Final = re.compile(r"([\\`*<>])")
"""Neither underscores nor brackets, which are parts of variables."""
_ADDRESS: Final = re.compile(r"(?:https?://|/)[^\s()<>]*")


def as_markdown(content: str, notes: Notes) -> str:
    """Read HTML. What has no counterpart is noted as lost."""
    reader = _Reader()
    reader.feed(_CSS.sub("", content))
    reader.close()
    if reader.lost or _CSS.search(content):
        notes.lose("HTML: its words are kept")
    lines = (
        re.sub(r"^(#+ ) +", r"\1", line.strip()) if not line.lstrip().startswith("- ") else line.rstrip()
        for line in reader.text().split("\n")
    )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lost = False
        self._parts: list[str] = []
        self._links: list[str] = []

    def text(self) -> str:
        return "".join(self._parts)

    def handle_data(self, data: str) -> None:
        self._parts.append(_SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", data)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            address = dict(attrs).get("href") or ""
            self._links.append(address if _ADDRESS.fullmatch(address) else "")
            self._parts.append("[" if self._links[-1] else "")
        elif tag == "br":
            self._parts.append("\\\n")
        elif tag in _BLOCKS or tag in _AROUND:
            self._parts.append(_BLOCKS.get(tag) or _AROUND[tag])
        elif tag not in _WITHOUT:
            self.lost = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            address = self._links.pop()
            self._parts.append(f"]({address})" if address else "")
        elif tag in _AROUND:
            self._parts.append(_AROUND[tag])
        elif tag in _BLOCKS and tag not in ("li", "hr"):
            self._parts.append("\n\n")
