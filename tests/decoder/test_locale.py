"""Numbers are read and written with a point, whatever the locale of the process."""

import json
import platform
import struct
import subprocess
import sys

import pytest

NUMBERS = (0.5, -0.25, 1234.5678, 1e-7, 1.5e300, 2.2250738585072014e-308, 0.1 + 0.2, 123456789012345678.0, -0.0, 5e-324)
"""Few digits and many, short and long, with and without an exponent."""

PROGRAM = """
import json, locale, sys
from native import Native
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Decoder, Kind, from_json

point = locale.setlocale(locale.LC_NUMERIC, sys.argv[1]) and locale.localeconv()["decimal_point"]
numbers = json.loads(sys.argv[2])
now = now_unix_nano()
records = [{"timeUnixNano": now, "body": {"doubleValue": n}} for number in numbers for n in (number, float(number))]
text = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()
raw, fault = from_json(Kind.LOGS, text, 8 * len(text))
decoder = Decoder(Kind.LOGS)
outcome = decoder.add(raw, Scope(new_id(), new_id(), new_id()), 30, now_ns=now)
(block,) = [block for block in decoder.blocks() if block.table == "logs_v3"]
bodies = [row["body"].decode() for row in Native(block.native).rows()]
print(json.dumps({"point": point, "fault": fault and str(fault), "stored": outcome.stored, "bodies": bodies}))
"""


@pytest.fixture
def comma(tmp_path):
    """A locale with a comma, made here, since few machines have one: its name, and where it is found."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("knows the locale files of glibc only")
    texts = [
        b",\0",
        b".\0",
        b"\3\3\0",
        b"",
        b"",
        b"UTF-8\0",
    ]  # point, separator, grouping, both wide, charset
    words = {3: ord(","), 4: ord(".")}
    at, offsets, content = 8 + 4 * len(texts), [], b""
    for number, text in enumerate(texts):
        if number in words:
            content += b"\0" * (-(at + len(content)) % 4)
        offsets.append(at + len(content))
        content += struct.pack("=I", words[number]) if number in words else text
    (tmp_path / "comma").mkdir()
    header = struct.pack(f"={2 + len(texts)}I", 0x20031115 ^ 1, len(texts), *offsets)
    (tmp_path / "comma" / "LC_NUMERIC").write_bytes(header + content)
    return "comma", {"LOCPATH": str(tmp_path)}


def said(name, environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, json.dumps([repr(number) for number in NUMBERS])],
        env={"PYTHONPATH": ":".join(sys.path), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_numbers_do_not_depend_on_the_locale(comma):
    plain, other = said("C", {}), said(*comma)
    assert (plain.pop("point"), other.pop("point")) == (".", ",")
    assert plain == other
    assert other["fault"] is None
    assert [float(body) for body in other["bodies"]] == [number for number in NUMBERS for _ in range(2)]
