"""duoscope: a multi-tenant observability backend on ClickHouse and PostgreSQL."""

from importlib.metadata import version

__version__: str = version("duoscope")
