"""Columns that several resources share, described once: the descriptions stand in the OpenAPI document of the API.

A row that hides nothing is a `msgspec.Struct` and is itself the API's answer. A row with columns that stay inside is a
dataclass, and the API's answer is declared beside the route.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

Settings = Annotated[dict[str, Any], Meta(description="For the organization's own use; up to 64 KiB of JSON.")]
IsActive = Annotated[bool, Meta(description="False deactivates it without deleting it.", examples=[True])]
DeletedAt = Annotated[datetime | None, Meta(description="It can be restored for 90 days from then on.")]
Visibility = Annotated[
    Literal["tenant", "workspace"],
    Meta(description="Who reads it: its tenant, or every tenant of its workspace. Its tenant alone changes it."),
]
