"""Codes made from names: short identifiers of organizations, workspaces, tenants and providers."""

import re
from typing import Final

from duoscope.kernel.errors import invalid

_CODE_CHARS: Final = re.compile(r"[^a-z0-9]+")


def code_of(name: str) -> str:
    """Make a code from a name: lower case, with single hyphens. Raises INVALID for a name without a letter or digit."""
    code = _CODE_CHARS.sub("-", name.lower()).strip("-")[:63].rstrip("-")
    if not code:
        raise invalid(f"The name {name!r} has no letter or digit to make a code from.")
    return code
