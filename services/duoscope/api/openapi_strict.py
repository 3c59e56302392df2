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
    """Adds `additionalProperties: false` to bodies that refuse unknown fields, and says of all of them what their lists
    hold, and how long their texts, lists and objects may be.
    """

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether the field is a Struct."""
        return not field_definition.is_union and field_definition.is_subclass_of(Struct)

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
        if field_definition.annotation.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        struct = cast("inspect.StructType", inspect.type_info(field_definition.annotation))
        types = {field.encode_name: field.type for field in struct.fields}
        for name, each in (schema.properties or {}).items():
            _drop_ellipsis(each)
            if isinstance(each, Schema) and name in types:  # what tells structs of a union apart is no field
                _bound(each, types[name])
        return schema


def _bound(schema: Schema, of: inspect.Type) -> None:
    """Set bounds that Litestar leaves out: of objects and lists, and of what is in them or may be left out."""
    match of:
        case inspect.Metadata():
            _bound(schema, of.type)
        case inspect.UnionType():
            kinds = [_bare(kind) for kind in of.types]
            for kind in kinds:
                if sum(isinstance(each, type(kind)) for each in kinds) == 1:
                    _bound(schema, kind)
        case inspect.StrType():
            _bound_text(schema, of)
        case inspect.IntType() | inspect.FloatType():
            _bound_number(schema, of)
        case inspect.ListType() | inspect.VarTupleType():
            _bound_list(schema, of)
        case inspect.DictType():
            _bound_mapping(schema, of)
        case _:
            pass


def _bound_number(schema: Schema, of: inspect.IntType | inspect.FloatType) -> None:
    kind = OpenAPIType.INTEGER if isinstance(of, inspect.IntType) else OpenAPIType.NUMBER
    for number in _those(schema, kind):
        number.minimum, number.exclusive_minimum = of.ge, of.gt
        number.maximum, number.exclusive_maximum = of.le, of.lt


def _bound_text(schema: Schema, of: inspect.StrType) -> None:
    for text in _those(schema, OpenAPIType.STRING):
        text.min_length, text.max_length, text.pattern = of.min_length, of.max_length, of.pattern


def _bound_list(schema: Schema, of: inspect.ListType | inspect.VarTupleType) -> None:
    for array in _those(schema, OpenAPIType.ARRAY):
        array.min_items, array.max_items = of.min_length, of.max_length
        if isinstance(array.items, Schema) and array.items.type == OpenAPIType.STRING:
            _bound(array.items, of.item_type)


def _bound_mapping(schema: Schema, of: inspect.DictType) -> None:
    for mapping in _those(schema, OpenAPIType.OBJECT):
        mapping.min_properties, mapping.max_properties = of.min_length, of.max_length
        key = _bare(of.key_type)
        if isinstance(key, inspect.StrType) and (key.pattern or key.min_length or key.max_length):
            names = Schema(min_length=key.min_length, max_length=key.max_length, pattern=key.pattern)
            mapping.property_names = names
        if isinstance(mapping.additional_properties, Schema):
            _bound(mapping.additional_properties, of.value_type)


def _those(schema: Schema, kind: OpenAPIType) -> list[Schema]:
    """The schema, or that of what may also be null or left out, if it is of a kind."""
    return [each for each in (schema, *(schema.one_of or ())) if isinstance(each, Schema) and each.type == kind]


def _bare(of: inspect.Type) -> inspect.Type:
    return of.type if isinstance(of, inspect.Metadata) else of


def _drop_ellipsis(schema: "Schema | Reference") -> None:
    """Take the `...` of `tuple[X, ...]` out of what its items may be: Litestar makes it a schema for anything."""
    items = getattr(schema, "items", None)
    kinds = [kind for kind in getattr(items, "one_of", None) or () if getattr(kind, "to_schema", dict)()]
    if items is not None and len(kinds) == 1:
        schema.items = kinds[0]  # pyright: ignore[reportAttributeAccessIssue]
