"""The protocol definitions kept beside the code are those of the installed package, message by message."""

import importlib
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from duoscope.kernel.files import shipped

FILES = sorted(str(path.relative_to(shipped("proto"))) for path in shipped("proto").glob("opentelemetry/**/*.proto"))


@pytest.mark.parametrize("name", FILES)
def test_kept_definition_is_the_packages(name: str, tmp_path: Path):
    compiled = tmp_path / "set"
    assert protoc.main(["", f"-I{shipped('proto')}", f"--descriptor_set_out={compiled}", name]) == 0
    kept = FileDescriptorSet.FromString(compiled.read_bytes()).file[-1]
    installed = FileDescriptorProto()
    importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2").DESCRIPTOR.CopyToProto(installed)
    assert kept.name == installed.name == name
    assert _comparable(kept) == _comparable(installed)


def _comparable(file: FileDescriptorProto) -> FileDescriptorProto:
    """The definition without the JSON names, which only a compiler run writes out."""
    for message in file.message_type:
        _forget_json_names(message)
    return file


def _forget_json_names(message: DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        _forget_json_names(nested)
