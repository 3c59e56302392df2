"""Codes made of names: how organizations, workspaces, tenants and providers are called where names would not do."""

import re
from typing import Final

from duoscope.kernel.errors import invalid

_CODE_CHARS: Final = re.compile(r"[^a-z0-9]+")


def code_of(name: str) -> str:
    """A code made of a name: lower case, with single hyphens; INVALID for a name without a letter or digit."""
    code = _CODE_CHARS.sub("-", name.lower()).strip("-")[:63].rstrip("-")
    if not code:
        raise invalid(f"The name {name!r} has no letter or digit to make a code of.")
    return code
