"""The ports that a process listens on, all checked at once before a start creates anything."""

import socket

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings


def asked_for(settings: Settings, parts: frozenset[str]) -> dict[str, int]:
    """The ports that `parts` listen on, by setting; 0 for a port that the system chooses."""
    names = ["otlp_http_port", "otlp_grpc_port"] if "receiver" in parts else []
    if "api" in parts:
        names.append("api_port")
    elif settings.metrics_port:
        names.append("metrics_port")
    return {name: getattr(settings, name) for name in names}


def require_free(settings: Settings, parts: frozenset[str]) -> None:
    """Raise unless the process can listen on all its ports.

    Raises:
        DuoscopeError: INVALID if two ports are the same, CONFLICT `address-in-use` with all ports in use.
    """
    ports = asked_for(settings, parts)
    _require_distinct(ports)
    refused: dict[str, int] = {}
    for name, port in ports.items():
        try:
            bound(settings.host, port).close()
        except OSError:
            refused[name] = port
    if refused:
        raise taken(settings.host, refused)


def bound(host: str, port: int) -> socket.socket:
    """Bind a socket to an address, without listening yet. Raises OSError if that fails."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def taken(host: str, ports: dict[str, int]) -> DuoscopeError:
    """The error for ports, by setting, that are in use."""
    addresses = " and ".join(f"{host}:{port}" for port in ports.values())
    options = " and ".join(f"--{name.replace('_', '-')} (or DUOSCOPE_{name.upper()})" for name in ports)
    state = (
        "it is in use or not an address of this machine. Choose another"
        if len(ports) == 1
        else "they are in use or not addresses of this machine. Choose others"
    )
    return DuoscopeError(
        ErrorKind.CONFLICT,
        "address-in-use",
        f"Cannot listen on {addresses}: {state} with {options}, or another --host.",
    )


def _require_distinct(ports: dict[str, int]) -> None:
    """Two sockets of ours can be bound to one port, and then disturb each other."""
    names: dict[int, str] = {}
    for name, port in ports.items():
        if port and port in names:
            options = " and ".join(f"--{other.replace('_', '-')}" for other in (names[port], name))
            raise DuoscopeError(
                ErrorKind.INVALID, "invalid-settings", f"{options} cannot both be {port}: give each a port of its own."
            )
        names[port] = name
