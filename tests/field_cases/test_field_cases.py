"""Cases from the field, which lie beside the repository: each is a program that tries one thing on a running duoscope.

All cases share one duoscope. Those that are known to fail are named below with the kind of what is wrong; one that
passes must leave the list, which may only shrink.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

AT_ONCE: Final = 3
CASE_MAX_S: Final = 300


def _folder() -> Path | None:
    beside = (above / "shared" / "field-cases" for above in Path(__file__).resolve().parents)
    return next((folder for folder in beside if folder.is_dir()), None)


FOLDER: Final = _folder()
CASES: Final = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "kit") if FOLDER else []

KNOWN: Final = {}
"""Cases that may fail, with their kinds."""
TIMED: Final = {"grpc_span_by_span"}
"""Cases that judge a speed: they say nothing while tests of other processes run beside them."""


@pytest.fixture(scope="session")
def verdicts(running, request) -> Generator[Callable[[str], tuple[int, str]]]:
    """Runs the chosen cases, a few at a time, and answers the exit code and the words of one.

    Those that may fail come last, one by one: what is wrong there may hurt their neighbours.
    """
    arguments = (running.api_url, running.grpc_target, running.otlp_url, str(running.data_dir / "credentials.json"))

    def run(case: str) -> tuple[int, str]:
        assert FOLDER
        ended = subprocess.run(
            [sys.executable, f"{case}.py", *arguments],
            cwd=FOLDER,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=CASE_MAX_S,
            check=False,
        )
        return ended.returncode, (ended.stdout + ended.stderr)[-2000:]

    # Other files have parameters of this name, too.
    given = [getattr(item, "callspec", None) for item in request.session.items if item.path == Path(__file__)]
    chosen = {spec.params["case"] for spec in given if spec and "case" in spec.params} & set(CASES)
    with ThreadPoolExecutor(AT_ONCE) as several, ThreadPoolExecutor(1) as one:
        started: dict[str, Future[tuple[int, str]]] = {
            case: several.submit(run, case) for case in sorted(chosen - set(KNOWN))
        }
        others = list(started.values())

        def run_alone(case: str) -> tuple[int, str]:
            for other in others:
                other.exception()
            return run(case)

        started |= {case: one.submit(run_alone, case) for case in sorted(chosen & set(KNOWN))}
        yield lambda case: started[case].result()


@pytest.mark.skipif(FOLDER is None, reason="no folder shared/field-cases beside the repository")
@pytest.mark.parametrize("case", CASES)
def test_a_case_from_the_field(verdicts, case):
    code, words = verdicts(case)
    if case in KNOWN:
        assert code, f"{case} passes: take it from the list of cases that may fail"
        pytest.xfail(f"{KNOWN[case]}: {words}")
    if code and case in TIMED and os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") != "1":
        pytest.skip(f"judges a speed, and tests of other processes ran beside it: {words}")
    assert code == 0, words


@pytest.mark.skipif(FOLDER is None, reason="no folder shared/field-cases beside the repository")
def test_the_list_names_cases_that_there_are():
    assert set(KNOWN) <= set(CASES)
