"""The built files of the web UI, read into memory once, with the headers that browsers get with them.

The build (services/web/) writes them to `api/web/`, each with a compressed copy. Names in `assets/` contain a digest of
the content, so browsers may keep those files for good. Without built files there is one page, which says so.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

BUILT: Final = Path(__file__).parent.parent / "web"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""The content security policy of the UI."""
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ASK_FIRST: Final = "no-cache"
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
"""What a browser may accept, best first, and how the build names it."""
_TYPES: Final = {".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".md": "text/markdown"}
_MISSING: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>duoscope</title></head><body><h1>duoscope</h1>'
    "<p>This duoscope was installed without its web UI. To have it, install again without DUOSCOPE_WITHOUT_UI. "
    'The HTTP API works as always: <a href="{base}schema">/schema</a> lists what it can do.</p></body></html>'
)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent.

    Attributes:
        content: its bytes, by content encoding; the empty one is always there.
        headers: what is sent with it, but Content-Length and Content-Encoding.
        etag: of this content.
    """

    content: Mapping[str, bytes]
    headers: Mapping[str, str]
    etag: str

    def encoding(self, accepted: str) -> str:
        """The best encoding that a browser with this Accept-Encoding takes; empty for none."""
        wanted = dict(_accepted(accepted))
        for name, _ in _ENCODINGS:
            if name in self.content and wanted.get(name, wanted.get("*", 0.0)) > 0:
                return name
        return ""


class Files:
    """The UI's files, by their paths below the address of duoscope.

    Args:
        public_url: where users reach duoscope. The page loads its files from below its path.
        built: the folder of the built files.
    """

    def __init__(self, public_url: str, built: Path = BUILT) -> None:
        address = urlsplit(public_url)
        self._common = {
            "content-security-policy": POLICY,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }
        base = f"{address.path.rstrip('/')}/"
        self._files: dict[str, File] = {}
        page = built / "index.html"
        self.is_built = page.is_file()
        if self.is_built:
            for path in sorted(built.rglob("*")):
                name = path.relative_to(built).as_posix()
                if path.is_file() and path.suffix not in {".br", ".gz", ".html"} and not name.startswith("."):
                    self._files[name] = self._read(path, name)
        # The build knows no address: its page names everything as `./name`, which would depend on the page's own path.
        html = page.read_text("utf-8").replace('"./', f'"{base}') if self.is_built else _MISSING.format(base=base)
        plain = html.encode()
        self.page: Final = self._file({"": plain, "gzip": gzip.compress(plain, mtime=0)}, "text/html", _ASK_FIRST)

    def get(self, path: str) -> File | None:
        """The file with this path; None if there is none."""
        return self._files.get(path)

    def _read(self, path: Path, name: str) -> File:
        content = {"": path.read_bytes()}
        for encoding, suffix in _ENCODINGS:
            other = path.with_name(path.name + suffix)
            if other.is_file():
                content[encoding] = other.read_bytes()
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return self._file(content, kind, _FOR_GOOD if name.startswith("assets/") else _ASK_FIRST)

    def _file(self, content: Mapping[str, bytes], kind: str, caching: str) -> File:
        etag = f'"{hashlib.sha256(content[""]).hexdigest()[:32]}"'
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        headers = {
            "content-type": f"{kind}{charset}",
            "cache-control": caching,
            "etag": etag,
            "vary": "accept-encoding",
            **self._common,
        }
        return File(content, headers, etag)


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    for part in header.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        weight = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
        try:
            yield name, float(weight)
        except ValueError:
            yield name, 0.0
