"""Options that stand for settings: each has the name of its setting and of the environment variable."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import rich_click as click

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import ENVIRONMENT_PREFIX, Settings, load

Command = Callable[..., Any]
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class _Port(click.IntRange):
    name = "port number"

    def __init__(self) -> None:
        super().__init__(0, 65535)


_PORT: Final = _Port()
_TYPES: Final[dict[str, tuple[Any, str, str]]] = {
    "host": (str, "ADDRESS", "Address to listen on; 0.0.0.0 for every network."),
    "api_port": (_PORT, "PORT", "Port of the API; 0 takes a free one."),
    "otlp_grpc_port": (_PORT, "PORT", "Port for OTLP over gRPC; 0 takes a free one."),
    "otlp_http_port": (_PORT, "PORT", "Port for OTLP over HTTP; 0 takes a free one."),
    "metrics_port": (_PORT, "PORT", "Port for this process's own metrics, /metrics; without one they are not shown."),
    "data_dir": (click.Path(path_type=Path, file_okay=False), "FOLDER", "Where everything that lasts is kept."),
    "public_url": (str, "URL", "The API's address as people reach it, if a proxy stands before it."),
    "log_level": (click.Choice(LOG_LEVELS, case_sensitive=False), "LEVEL", f"One of {', '.join(LOG_LEVELS)}."),
}
_DEFAULTS: Final = Settings(data_dir=Path("duoscope-data"))


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Give a command these settings as options. It gets all settings, including the environment's, as `settings`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(**values: Any) -> Any:
            overrides = {name: values.pop(name) for name in names}
            return command(settings=load(os.environ, overrides), **values)

        decorated: Command = with_settings
        for name in reversed(names):
            decorated = _option(name)(decorated)
        return decorated

    return decorate


def json_option(command: Command) -> Command:
    """Add `--json`, for scripts."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def _option(name: str) -> Callable[[Command], Command]:
    kind, metavar, text = _TYPES[name]
    default = getattr(_DEFAULTS, name)
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        type=kind,
        metavar=metavar,
        envvar=f"{ENVIRONMENT_PREFIX}{name.upper()}",
        show_envvar=True,
        default=default or None,
        show_default=bool(default),
        help=text,
    )


def require_data(settings: Settings) -> None:
    """Refuse a data folder in which nothing was ever started, rather than creating stores there.

    Raises:
        DuoscopeError: NOT_FOUND; says how to name another folder.
    """
    if settings.embedded_postgres and not (settings.data_dir / "postgres").is_dir():
        raise DuoscopeError(
            ErrorKind.NOT_FOUND,
            "no-data",
            f"There is no duoscope in {settings.data_dir}. Name its data folder with --data-dir, "
            "or start one with `duoscope up`.",
        )
