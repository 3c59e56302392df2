"""What the bodies and answers of the directory share: names, codes, and the form of a PATCH."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.openapi.spec import Schema
from litestar.params import SkipValidation
from msgspec import UNSET, Meta, Struct

from duoscope.api.dependencies import ApiServices
from duoscope.kernel.errors import invalid

Services = NamedDependency[SkipValidation[ApiServices]]

# PostgreSQL keeps no NUL in a text.
_TEXT = r"^[^\x00]*$"
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_TEXT, examples=["Shop"])]
Code = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9][a-z0-9-]{0,62}$",
        description="Lower case letters, digits and hyphens; by default made from the name.",
        examples=["shop"],
    ),
]
Description = Annotated[str, Meta(max_length=2000, pattern=_TEXT, examples=["The web shop and what serves it."])]
LastName = Annotated[str, Meta(max_length=100, pattern=_TEXT, examples=["Lovelace"])]
PersonName = Annotated[str, Meta(max_length=100, pattern=_TEXT, examples=["Ada"])]
ShortText = Annotated[str, Meta(max_length=253, pattern=_TEXT)]
Email = Annotated[str, Meta(max_length=254, examples=["ada@example.com"])]
RetentionDays = Annotated[
    int, Meta(description="Days to keep telemetry that arrives from now on: 3, 7, 14, 30, 90 or 400.", examples=[30])
]
ItemId = UUID

T = TypeVar("T")

_SETTINGS_BYTES_MAX = 64 * 1024


def shown(row: object, answer: type[T]) -> T:
    """Return a row as the API's answer, which leaves out some of the row's fields."""
    return msgspec.convert(row, answer, from_attributes=True)


def items(schema: Schema) -> dict[str, Any]:
    """Values for `extra_json_schema` of a list's Meta: the schema of its items, which Litestar leaves out of the
    document.
    """
    return {"extra": {"items": schema}}


class Change(Struct, forbid_unknown_fields=True):
    """The body of a PATCH: fields that are not given keep their values."""


def given(change: Change) -> dict[str, Any]:
    """The fields that the body names. Raises INVALID for none, and for settings that are too large to store."""
    changes = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    if not changes:
        raise invalid(f"Give at least one of {', '.join(change.__struct_fields__)}.")
    check_settings(changes.get("settings") or changes.get("datasource_config"))
    return changes


def check_settings(settings: dict[str, Any] | None) -> None:
    """Raise INVALID for more than 64 KiB, or for a NUL, which PostgreSQL cannot store in text."""
    encoded = msgspec.json.encode(settings)
    if len(encoded) > _SETTINGS_BYTES_MAX or b"\\u0000" in encoded:
        raise invalid("settings are up to 64 KiB of JSON, without U+0000.")
