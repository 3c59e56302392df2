"""Makes the OpenAPI document as strict as the decoding of bodies, where Litestar would leave that out."""

from typing import TYPE_CHECKING, cast

from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Struct, inspect

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.openapi.spec import Reference


class StrictBodies(OpenAPISchemaPlugin):
    """Adds `additionalProperties: false` to bodies that refuse unknown fields, and says what their lists hold and how
    long their texts and objects may be.
    """

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
        struct = cast("inspect.StructType", inspect.type_info(field_definition.annotation))
        types = {field.encode_name: field.type for field in struct.fields}
        for name, each in (schema.properties or {}).items():
            _drop_ellipsis(each)
            if isinstance(each, Schema) and name in types:  # what tells structs of a union apart is no field
                _bound(each, types[name])
        return schema


def _bound(schema: Schema, of: inspect.Type) -> None:
    """Set bounds that Litestar leaves out: of objects, of texts that may be null, and of texts in lists."""
    if isinstance(of, inspect.Metadata):
        _bound(schema, of.type)
    elif isinstance(of, inspect.UnionType):
        texts = [kind for kind in schema.one_of or () if isinstance(kind, Schema) and kind.type == OpenAPIType.STRING]
        bounds = [kind for kind in map(_bare, of.types) if isinstance(kind, inspect.StrType)]
        if len(texts) == len(bounds) == 1:
            _bound(texts[0], bounds[0])
    elif isinstance(of, inspect.StrType):
        schema.min_length, schema.max_length, schema.pattern = of.min_length, of.max_length, of.pattern
    elif isinstance(of, inspect.ListType | inspect.VarTupleType):
        if isinstance(schema.items, Schema) and schema.items.type == OpenAPIType.STRING:
            _bound(schema.items, of.item_type)
    elif isinstance(of, inspect.DictType):
        schema.min_properties, schema.max_properties = of.min_length, of.max_length
        key = _bare(of.key_type)
        if isinstance(key, inspect.StrType) and (key.pattern or key.min_length or key.max_length):
            schema.property_names = Schema(min_length=key.min_length, max_length=key.max_length, pattern=key.pattern)


def _bare(of: inspect.Type) -> inspect.Type:
    return of.type if isinstance(of, inspect.Metadata) else of


def _drop_ellipsis(schema: "Schema | Reference") -> None:
    """Take the `...` of `tuple[X, ...]` out of what its items may be: Litestar makes it a schema for anything."""
    items = getattr(schema, "items", None)
    kinds = [kind for kind in getattr(items, "one_of", None) or () if getattr(kind, "to_schema", dict)()]
    if items is not None and len(kinds) == 1:
        schema.items = kinds[0]  # pyright: ignore[reportAttributeAccessIssue]
