"""Prints the permissions from the code that checks them: those of the built-in roles, and those of each route.

`docs/identity.md` holds the result between two marks; tests/contract/test_identity_docs.py checks it, and rewrites it
when DUOSCOPE_TESTS_REGENERATE is set.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from duoscope.identity.authorization.permissions import ACTIONS, BUILT_IN_ROLES, PLATFORM_PERMISSIONS, RESOURCES

_PREFIX: Final = "/api/v1/"
_TYPE: Final = re.compile(r":\w+(?=})")


def roles_table() -> str:
    """A Markdown table with one line per resource and one column per role, with the first letters of the actions."""
    lines = [
        "| resource | " + " | ".join((*BUILT_IN_ROLES, "platform admin")) + " |",
        "|---|" + "---|" * (len(BUILT_IN_ROLES) + 1),
    ]
    for resource in RESOURCES:
        cells = [_letters(resource, held) for held in BUILT_IN_ROLES.values()]
        lines.append(f"| {resource} | {' | '.join(cells)} | {_letters(resource, PLATFORM_PERMISSIONS)} |")
    return "\n".join(lines)


def routes_table(app: Litestar) -> str:
    """A Markdown table of the API's routes with the permission of each."""
    lines = ["| route | permission |", "|---|---|"]
    lines += [f"| `{method} {path}` | {needs} |" for path, method, needs in sorted(_routes(app))]
    return "\n".join(lines)


def _letters(resource: str, held: frozenset[str]) -> str:
    return " ".join(action[0] for action in ACTIONS if f"{resource}:{action}" in held) or "-"


def _needed(guard: object) -> str:
    permission = getattr(guard, "permission", None)
    return getattr(guard, "described", f"`{permission}`" if permission else "")


def _routes(app: Litestar) -> Iterator[tuple[str, str, str]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if not isinstance(handler, HTTPRouteHandler) or not route.path.startswith(_PREFIX):
                continue
            guards = cast("Sequence[object]", handler.guards or ())
            needs = ", ".join(filter(None, map(_needed, guards)))
            fallback = "none, not even a login" if handler.opt.get("public") else "a login"
            for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                yield _TYPE.sub("", route.path), str(method), needs or fallback
