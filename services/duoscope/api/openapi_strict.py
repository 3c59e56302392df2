"""Makes the OpenAPI document as strict as the decoding of bodies, where Litestar would leave that out."""

from typing import TYPE_CHECKING, cast

from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Struct

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.openapi.spec import Reference, Schema


class StrictBodies(OpenAPISchemaPlugin):
    """Adds `additionalProperties: false` to bodies that refuse unknown fields, and says what their lists hold."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether the field is a Struct with `forbid_unknown_fields`."""
        if field_definition.is_union or not field_definition.is_subclass_of(Struct):
            return False
        return field_definition.annotation.__struct_config__.forbid_unknown_fields

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: "SchemaCreator") -> "Schema":
        """Litestar's schema of the struct, closed."""
        its_own = next(
            plugin
            for plugin in cast("list[object]", schema_creator.plugins)
            if isinstance(plugin, OpenAPISchemaPlugin)
            and plugin is not self
            and plugin.is_plugin_supported_field(field_definition)
        )
        schema = its_own.to_openapi_schema(field_definition, schema_creator)
        schema.additional_properties = False
        for each in (schema.properties or {}).values():
            _drop_ellipsis(each)
        return schema


def _drop_ellipsis(schema: "Schema | Reference") -> None:
    """Take the `...` of `tuple[X, ...]` out of what its items may be: Litestar makes it a schema for anything."""
    items = getattr(schema, "items", None)
    kinds = [kind for kind in getattr(items, "one_of", None) or () if getattr(kind, "to_schema", dict)()]
    if items is not None and len(kinds) == 1:
        schema.items = kinds[0]  # pyright: ignore[reportAttributeAccessIssue]
