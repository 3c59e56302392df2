"""The decoder over changed requests, protobuf and JSON, compiled with checks of every access and sum (`fuzz.c`).

`make fuzz` runs it for a minute with the address and undefined-behaviour sanitizers; in the suite it runs for a moment.
"""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from json_oracle import Texts
from otlp_oracle import NOW_NS

from duoscope.receiver import decoder
from duoscope.receiver.decoder import Kind

SECONDS = int(os.environ.get("FUZZ_S", "3"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.getrandbits(63)
SAMPLES = 300
SIZE_MAX = 1 << 15


CHECKS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


@pytest.fixture
def compile_checked(tmp_path):
    """Compiles C files with the checks. Where no compiler has them the test is skipped, and fails in CI."""

    def compile_with(compiler, *arguments):
        command = [compiler, "-std=gnu11", *CHECKS, *map(str, arguments), "-lm"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    (tmp_path / "nothing.c").write_text("int main(void) { return 0; }\n")
    for compiler in filter(shutil.which, ("gcc", "clang")):
        if not compile_with(compiler, "-o", tmp_path / "nothing", tmp_path / "nothing.c").returncode:
            return lambda *arguments: compile_with(compiler, *arguments)
    why = "needs gcc or clang with the address and undefined-behaviour sanitizers; the compiler from pip has not both"
    return pytest.fail(why) if os.environ.get("FUZZ_REQUIRED") else pytest.skip(why)


def test_changed_requests_misuse_nothing(make, tmp_path, compile_checked):
    samples, program = tmp_path / "samples", tmp_path / "fuzz"
    with samples.open("wb") as file:
        for kind in Kind:
            for _ in range(SAMPLES):
                _, raw = make(kind, random.getrandbits(63))
                texts = Texts(kind, random.getrandbits(63), NOW_NS)
                for number, body in ((kind, raw), (kind + len(Kind), texts.text(texts.document(texts.message())))):
                    if len(body) < SIZE_MAX:
                        file.write(bytes([number]) + len(body).to_bytes(4, "little") + body)
    folder = Path(decoder.__file__).parent
    sources = [Path(__file__).with_name("fuzz.c"), *sorted(folder.rglob("*.c"))]
    compiled = compile_checked(f"-I{folder}", "-o", program, *sources)
    assert compiled.returncode == 0, compiled.stderr[-4000:]
    done = subprocess.run(
        [str(program), str(SECONDS), str(SEED), str(samples)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 60,
    )
    assert done.returncode == 0, f"seed {SEED}\n{done.stderr[-4000:]}"
    print(done.stdout)  # noqa: T201 - how many there were
