"""Answers of routes: encoded in threads, limited in size, counted against memory, and sent in parts.

A route returns a structure; it becomes JSON in a thread and not on the event loop, which other requests need meanwhile.
The JSON counts against the memory of the tenant and of all tenants until the client has read it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.serialization import encode_json

from duoscope.kernel import limits
from duoscope.kernel.errors import invalid
from duoscope.stores.clickhouse.read_memory import ReadMemory, hold

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

_ENCODERS: Final = 2
_encoders: Final = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encode-answer")
"""Shared by the apps of a process: threads are created when they are first needed, and end with it."""


class Answer(Response[Any]):
    """The answer of a route that returns a structure."""

    def to_asgi_response(self, app: Any, request: Any, **options: Any) -> ASGIResponse:
        """Make the answer. A value that is not a structure is encoded at once, as by Litestar."""
        content = self.content
        if not isinstance(content, msgspec.Struct):
            return super().to_asgi_response(app, request, **options)
        self.content = b""
        answer = super().to_asgi_response(app, request, **options)
        self.content = content
        return _Encoded(answer, content)


class _Encoded(ASGIResponse):
    """An answer that is not encoded yet."""

    __slots__ = ("_content",)

    def __init__(self, answer: ASGIResponse, content: msgspec.Struct) -> None:
        super().__init__(
            status_code=answer.status_code, background=answer.background, is_head_response=answer.is_head_response
        )
        self.headers = answer.headers
        self._encoded_cookies = answer._encoded_cookies  # noqa: SLF001 - of the same class
        self._content = content

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Encode the answer, and send it as fast as the client reads."""
        del receive
        loop = asyncio.get_running_loop()
        encoded = await loop.run_in_executor(_encoders, encode_json, self._content)
        del self._content
        if len(encoded) > limits.ANSWER_BYTES_MAX:
            raise invalid(
                f"The answer would have more than {limits.ANSWER_BYTES_MAX // 2**20} MiB: ask for less at once, with a "
                "smaller limit, a shorter time range or fewer groups.",
                code="answer-too-large",
            )
        user = scope.get("user")
        memory: ReadMemory = scope["litestar_app"].state.read_memory
        if user is not None:
            hold(memory, user.scope.tenant_id, len(encoded))
        self.headers["content-length"] = str(len(encoded))
        await self.start_response(send)
        view = memoryview(encoded)
        for start in range(0, len(encoded), limits.ANSWER_CHUNK_BYTES):
            end = start + limits.ANSWER_CHUNK_BYTES
            body = bytes(view[start:end])
            await send({"type": "http.response.body", "body": body, "more_body": end < len(encoded)})
        await self.after_response()
