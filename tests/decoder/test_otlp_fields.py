"""What the decoder knows of OTLP's messages is what the descriptors of opentelemetry-proto say."""

import pytest

from otlp_fields import FILES, IDS, KINDS, found, is_choice

FIELDS_MAX = 63


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_file_is_what_the_tool_makes(path):
    assert path.read_text(encoding="utf-8") == FILES[path](), "run `make otlp-fields`"


def test_the_decoder_can_hold_what_the_files_say():
    messages, enums = found()
    for message in messages:
        assert not message.is_extendable
        assert len(message.fields) <= FIELDS_MAX
        assert len({field.containing_oneof.name for field in message.fields if is_choice(field)}) <= 1
        for field in message.fields:
            assert field.type in KINDS
            assert field.number < 1 << 8
            assert (field.type == field.TYPE_BYTES) >= (field.name in IDS)
            assert not (field.message_type and field.message_type.GetOptions().map_entry)
            assert not (field.is_repeated and field.type < field.TYPE_STRING and not field.is_packed)
            assert len(field.json_name) <= 48
    assert not any(enum.is_closed for enum in enums)
