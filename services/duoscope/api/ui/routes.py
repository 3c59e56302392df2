"""Routes of the web UI: its page for every path that is nothing else, and the files that the page loads."""

from typing import Any, Final

from litestar import HttpMethod, Request, Response
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from duoscope.api.authentication import PUBLIC
from duoscope.api.problems import on_http_exception
from duoscope.api.ui.files import File, Files

_METHODS: Final = (HttpMethod.GET, HttpMethod.HEAD)
_RESERVED: Final = ("/api/", "/schema/", "/health/", "/metrics/", "/assets/")
"""Paths of the API and of files: what is missing there is a problem, not a page."""
_NOT_MODIFIED: Final = 304


class Sent(Response[bytes]):
    """A file as an answer to this request: in an encoding that it takes, or nothing if the browser has it already."""

    def __init__(self, file: File, request: Request[Any, Any, Any]) -> None:
        encoding = file.encoding(request.headers.get("accept-encoding", ""))
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        is_known = bool(known & {file.etag, "*"})
        headers = dict(file.headers) | ({"content-encoding": encoding} if encoding and not is_known else {})
        body = b"" if is_known else file.content[encoding]
        super().__init__(body, status_code=_NOT_MODIFIED if is_known else 200, headers=headers)
        self._length = len(body)
        self._is_head = request.method == "HEAD"

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **options: Any) -> ASGIResponse:
        """Make the answer; one to HEAD has the headers of one to GET."""
        del app, request, options
        has_body = self.status_code != _NOT_MODIFIED
        headers = {**self.headers, **({"content-length": str(self._length)} if has_body else {})}
        return ASGIResponse(
            body=b"" if self._is_head else self.content,
            headers=headers,
            status_code=self.status_code,
            is_head_response=self._is_head,
            media_type=self.headers["content-type"],
        )


def routes(files: Files) -> list[HTTPRouteHandler]:
    """The routes of these files."""

    def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The UI's page, the same for everyone."""
        return Sent(files.page, request)

    def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        """A file that the page loads."""
        if (found := files.get(f"assets/{name}")) is None:
            raise NotFoundException
        return Sent(found, request)

    def declare(path: str, handler: Any) -> HTTPRouteHandler:
        # HTTPRouteHandler takes the handler's body by being called, as its decorators do.
        route = HTTPRouteHandler(
            path, http_method=_METHODS, opt=PUBLIC, include_in_schema=False, sync_to_thread=False, cache_control=None
        )
        return route(handler)

    return [declare("/", page), declare("/assets/{name:str}", asset)]


def on_not_found(files: Files, request: Request[Any, Any, Any], error: NotFoundException) -> Response[Any]:
    """Answer a path that no route has: a file of the UI, or its page to whoever reads HTML; otherwise a problem."""
    path = request.scope["path"]
    if request.method not in _METHODS or f"{path}/".startswith(_RESERVED):
        return on_http_exception(request, error)
    if (found := files.get(path.removeprefix("/"))) is not None:
        return Sent(found, request)
    if "text/html" not in request.headers.get("accept", ""):
        return on_http_exception(request, error)
    return Sent(files.page, request)
