"""Authentication by API key, for machines that read telemetry: the key replaces an access token.

A key gives access to routes that need a permission it stands for, which are the telemetry reads, and to those that say
`opt=FOR_KEYS`, which are Alertmanager's; and to nothing else: not even to routes that are open to every signed-in user.
"""

import base64
from functools import partial
from typing import Any, Final, cast

from litestar.connection import ASGIConnection

from duoscope.api.observability import ANSWERED
from duoscope.identity.api_keys.management import HELD_FOR
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind

READS: Final = {"logs:read": "log:read", "traces:read": "trace:read", "metrics:read": "metric:read"}
"""The API permissions to read telemetry that a key's permissions stand for."""
_GIVES: Final = {
    **{permission: (held,) for permission, held in READS.items()},
    "alerts:read": HELD_FOR["alerts:read"],
    "alerts:write": HELD_FOR["alerts:write"],
}
FOR_KEYS: Final[dict[str, Any]] = {"for_keys": True}
"""For routes that accept API keys though they read no telemetry."""
_KEY_PREFIX: Final = "tfk-"


def presented_key(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The API key of a request: `x-api-key`, or a value with the form of a key in `Authorization: Bearer` or `Basic`.

    Grafana and promtool send Basic credentials when they are configured with a user and a password; any user will do.
    """
    if key := connection.headers.get("x-api-key"):
        return key
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "basic":
        token = _basic_password(token)
    elif scheme.lower() != "bearer":
        return None
    return token if token.startswith(_KEY_PREFIX) else None


def _basic_password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


async def machine(
    connection: ASGIConnection[Any, Any, Any, Any], keys: ApiKeyVerifier, presented: str, caller: Actor
) -> Principal:
    """The principal of the key.

    Raises:
        DuoscopeError: UNAUTHENTICATED `api-key-invalid`; FORBIDDEN `address-not-allowed`, or `api-key-not-accepted` for
            a route that is not for machines, and for a key that is for browsers only; UNAVAILABLE while the key cannot
            be checked.
    """
    handler = connection.scope["route_handler"]
    endpoint = f"{connection.scope.get('method', '')} {connection.scope.get('path_template') or 'api'}"
    address = caller.ip_address
    key = keys.verify_cached(presented, address) or await keys.verify(presented, address, endpoint)
    connection.scope["state"][ANSWERED] = partial(keys.count, key, endpoint, address)
    guards = cast("tuple[object, ...]", handler.guards or ())
    if key.is_browser_only:
        raise _not_accepted("This API key is for browsers only: it sends telemetry, over OTLP/HTTP, and reads nothing.")
    is_read = any(getattr(guard, "permission", None) in READS.values() for guard in guards)
    if not is_read and not handler.opt.get("for_keys"):
        raise _not_accepted("An API key reads telemetry here, and nothing else: log in for this.")
    return Principal(
        scope=key.scope,
        user_id=key.api_key_id,
        session_id=key.api_key_id,
        own_limits=dict(key.own_limits),
        permissions=frozenset(held for permission in key.signals for held in _GIVES.get(permission, ())),
        actor=Actor(
            user_id=key.api_key_id,
            email=key.name,
            kind="api-key",
            ip_address=caller.ip_address,
            user_agent=caller.user_agent,
            request_id=caller.request_id,
        ),
    )


def _not_accepted(message: str) -> DuoscopeError:
    return DuoscopeError(ErrorKind.FORBIDDEN, "api-key-not-accepted", message)
