"""Two questions about a request, answered in C by parsing it as a message that knows only its skeleton: its lists.

Is it hollow? A request may be millions of empty items of two bytes each, which take hundreds of bytes each once parsed.
The skeleton of sound telemetry, the tags and lengths of its items, is a few percent of its bytes; where it is most of
them there is nothing to store.

Does it hold histograms or summaries? Every view of ClickHouse costs at every INSERT, used or not, so a request goes to
the views of distributions only if it has any. Asking in Python would take a loop over metrics; instead those three
fields get a type with a required field that no one sends, so that the skeleton counts as initialised if none is there.
"""

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind

_PACKAGE: Final = "duoscope.probe"
_HIGHEST_FIELD_NUMBER: Final = 536_870_911


def _add(file: FileDescriptorProto, name: str, fields: dict[str, tuple[int, str]], *, repeated: bool = True) -> None:
    message = file.message_type.add(name=name)
    for field, (number, type_name) in fields.items():
        message.field.add(
            name=field,
            number=number,
            label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_MESSAGE,
            type_name=f".{_PACKAGE}.{type_name}",
        )


def _add_request(file: FileDescriptorProto, name: str, item: str) -> None:
    """Requests of all signals nest alike: resources, their scopes, the scopes' items."""
    _add(file, f"{name}Scope", {"items": (2, item)})
    _add(file, f"{name}Resource", {"scopes": (2, f"{name}Scope")})
    _add(file, name, {"resources": (1, f"{name}Resource")})


def _probe_file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="duoscope/probe.proto", package=_PACKAGE, syntax="proto2")
    file.message_type.add(name="Hollow")
    _add_request(file, "Items", "Hollow")

    _add(file, "Points", {"data_points": (1, "Hollow")})
    kinds = {"gauge": 5, "sum": 7, "histogram": 9, "exponential_histogram": 10, "summary": 11}
    _add(file, "Metric", {kind: (number, "Points") for kind, number in kinds.items()}, repeated=False)
    _add_request(file, "Metrics", "Metric")

    file.message_type.add(name="Present").field.add(
        name="never_sent",
        number=_HIGHEST_FIELD_NUMBER,
        label=FieldDescriptorProto.LABEL_REQUIRED,
        type=FieldDescriptorProto.TYPE_BOOL,
    )
    distributions = ("histogram", "exponential_histogram", "summary")
    _add(file, "Distribution", {kind: (kinds[kind], "Present") for kind in distributions}, repeated=False)
    _add_request(file, "Distributions", "Distribution")
    return file


_pool = DescriptorPool()
_pool.Add(_probe_file())
_Items: Final = GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.Items"))
_Metrics: Final = GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.Metrics"))
_Distributions: Final = GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.Distributions"))


def has_distributions(raw: bytes) -> bool:
    """Whether `raw`, a valid ExportMetricsServiceRequest, holds a histogram, an exponential one or a summary."""
    return not _Distributions.FromString(raw).IsInitialized()


def refuse_hollow(raw: bytes, *, metrics: bool) -> None:
    """Refuse a request of next to nothing but empty items, before it is parsed in full.

    Raises:
        DuoscopeError: INVALID; the client must not send it again.
        google.protobuf.message.DecodeError: `raw` is no message at all.
    """
    if len(raw) < limits.INGEST_HOLLOW_BYTES_MIN:
        return
    skeleton = (_Metrics if metrics else _Items).FromString(raw)
    skeleton.DiscardUnknownFields()
    if skeleton.ByteSize() > len(raw) * limits.INGEST_SKELETON_SHARE_MAX:
        raise DuoscopeError(
            ErrorKind.INVALID, "hollow-request", "The request holds little but empty items; there is nothing to store."
        )
