"""How a route is declared: its path, summary, permission and problems in one line, its tag once per resource.

A module of routes has its `ROUTES = Routes("workspaces")`, and declares each as `@ROUTES.post("/api/v1/workspaces",
"Create a workspace", "workspace:write", problems=WRITES)`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from duoscope.api.authentication import OPEN, PUBLIC, Guard, requires
from duoscope.api.problems import documented

Handler = TypeVar("Handler", bound=Callable[..., Any])

READS: Final = (400, 401, 403, 404, 503)
"""Problems of a route that reads or removes one resource."""
LISTS: Final = (400, 401, 403, 503)
"""Problems of a route over what the caller may see: nothing can be missing."""
WRITES: Final = (400, 401, 403, 404, 409, 503)
"""Problems of a route with a change that may conflict with stored data."""
UNDER_IF_MATCH: Final = (400, 401, 403, 404, 412, 503)
"""Problems of a change of what `If-Match` names."""

_NO_CONTENT: Final = 204
_NOTHING: Final = ResponseSpec(None, generate_examples=False, description="Done; there is nothing to tell.")


class Routes:
    """The routes of one resource, in the order of their declaration.

    Every method takes, for a route:
        path: as Litestar writes it.
        summary: one line for the OpenAPI document; the handler's docstring is the description.
        permission: what the caller must hold, such as `workspace:read`; empty for any caller who is logged in.
        problems: statuses of the problems that the route answers.
        public: whether it is for everybody, without a token.
        guard: in place of `permission`, a guard that decides by the request.
        responses: what it answers beside its return type.
        options: Litestar's own, such as `status_code`.
    """

    def __init__(self, tag: str) -> None:
        """`tag` groups the routes in the OpenAPI document."""
        self._tag = tag
        self.handlers: list[HTTPRouteHandler] = []

    def get(self, path: str, summary: str, permission: str = "", **how: Any) -> Callable[[Handler], HTTPRouteHandler]:
        """Declare a GET."""
        return self._declare(get, path, summary, permission, **how)

    def post(self, path: str, summary: str, permission: str = "", **how: Any) -> Callable[[Handler], HTTPRouteHandler]:
        """Declare a POST; it answers 201 unless `status_code` says otherwise."""
        return self._declare(post, path, summary, permission, **how)

    def patch(self, path: str, summary: str, permission: str = "", **how: Any) -> Callable[[Handler], HTTPRouteHandler]:
        """Declare a PATCH."""
        return self._declare(patch, path, summary, permission, **how)

    def delete(
        self, path: str, summary: str, permission: str = "", **how: Any
    ) -> Callable[[Handler], HTTPRouteHandler]:
        """Declare a DELETE."""
        return self._declare(delete, path, summary, permission, **how)

    def _declare(
        self,
        method: Callable[..., Callable[[Any], HTTPRouteHandler]],
        path: str,
        summary: str,
        permission: str,
        *,
        problems: Sequence[int] = (),
        public: bool = False,
        guard: Guard | None = None,
        responses: Mapping[int, ResponseSpec] | None = None,
        **options: Any,
    ) -> Callable[[Handler], HTTPRouteHandler]:
        guards = [guard] if guard else [requires(permission)] if permission else []
        if public:
            options |= {"opt": PUBLIC, "security": OPEN}

        def declare(handler: Handler) -> HTTPRouteHandler:
            # Whoever reads telemetry may ask too much at once.
            too_many = {429} if "reader" in inspect.signature(handler).parameters else set[int]()
            # Litestar documents a body of JSON for `Response[None]`.
            empty = {_NO_CONTENT: _NOTHING} if options.get("status_code") == _NO_CONTENT else {}
            if answers := {**empty, **(responses or {}), **documented(*sorted({*problems} | too_many))}:
                options["responses"] = answers
            route = method(path, guards=guards, tags=[self._tag], summary=summary, **options)(handler)
            self.handlers.append(route)
            return route

        return declare
