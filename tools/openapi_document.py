"""Writes the OpenAPI document of the API to a file, without stores: the types of the UI are made from it."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from litestar.serialization import encode_json

from duoscope.api.app import create_app
from duoscope.kernel.settings import Settings


def document() -> bytes:
    """The document. What handlers work with stands in the app as empty names: no request is ever answered."""
    services: Any = SimpleNamespace(
        settings=Settings(),
        public_url="http://127.0.0.1:8080",
        stopping=asyncio.Event(),
        telemetry=SimpleNamespace(read_memory=None),
        **dict.fromkeys(("tokens", "access", "api_keys")),
    )
    return encode_json(cast("Any", create_app(services)).openapi_schema.to_schema())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    made = document()
    if not target.is_file() or target.read_bytes() != made:
        target.write_bytes(made)
