"""A public docstring begins with a complete sentence that a reader understands without the signature.

What can be checked cheaply: it does not begin in the middle of a sentence ("By name.", "Of the tenant."), nor with the
name of an error ("NOT_FOUND for the role." instead of "Raises NOT_FOUND …"), it has at least two words, and it ends.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "services" / "duoscope"
FRAGMENT = re.compile(
    r"(?:By|Of|Whose|Whom|Those|It|Its|In|From|To|For|With|Without|Where|When|Unless|Until|What|Who|Which|Likewise"
    r"|NOT_FOUND|CONFLICT|INVALID|FORBIDDEN|UNAVAILABLE|UNAUTHENTICATED|RATE_LIMITED|TOO_LARGE|INTERNAL)\b"
)


def fragments(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        opening = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
        if not opening:
            continue
        if FRAGMENT.match(opening) or not opening.endswith((".", ":", "?")) or " " not in opening:
            yield f"line {node.lineno}, {node.name}: {opening}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_begin_with_a_sentence(path):
    found = list(fragments(path.read_text("utf-8")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("opening", ["By name.", "Charge.", "NOT_FOUND, or CONFLICT `last-tenant`.", "The first half"])
def test_a_fragment_is_found(opening):
    assert list(fragments(f'def f():\n    """{opening}\n\n    More.\n    """\n'))
    assert not list(fragments(f'def _f():\n    """{opening}"""\n'))
    assert not list(fragments('def f():\n    """The role, or None if there is none."""\n'))
