"""Templates of annotations: the part of Prometheus' (Go's text/template) that rules use.

`read` parses, `render` prints, `check` does both for a rule that is saved. All are pure and bounded; queries are
answered by the caller, and `render_asking` lets it do so without blocking. What fails names its line and column.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from duoscope.notification.templates import evaluate
from duoscope.notification.templates.errors import Mistake, TemplateError
from duoscope.notification.templates.evaluate import OF_THE_ALERT, OF_THE_EVALUATOR, QUERIES_MAX, Query
from duoscope.notification.templates.functions import FUNCTIONS
from duoscope.notification.templates.parse import Template, parse
from duoscope.notification.templates.values import AlertData, Sample

__all__ = [
    "AlertData",
    "Mistake",
    "Query",
    "Sample",
    "TemplateError",
    "Unanswered",
    "check",
    "failed",
    "read",
    "render",
    "render_asking",
]

_log = logging.getLogger(__name__)

SHOWN_CHARS_MAX: Final = 500
"""Of a template that failed, in the text that goes out instead."""


class Unanswered(Exception):  # noqa: N818 - a question, not an error
    """A query of which the answer is not known yet."""


@lru_cache(maxsize=4096)
def read(text: str) -> Template:
    """Read a template. Raises TemplateError."""
    return parse(text, functions={*FUNCTIONS, *OF_THE_EVALUATOR}, variables=OF_THE_ALERT)


def render(text: str, data: AlertData, query: Query) -> str:
    """Read and render a template. Raises TemplateError, also for whatever else a function raises, which is logged; and
    Unanswered if `query` does.
    """
    try:
        return evaluate.render(read(text), data, query)
    except (TemplateError, Unanswered):
        raise
    except Exception as error:
        _log.exception("a template failed unexpectedly")
        raise TemplateError(f"it cannot be rendered ({type(error).__name__})", text, 0) from error


def failed(text: str, error: TemplateError) -> str:
    """The text in place of a template that fails: why, and its beginning."""
    return f"(this text could not be made: {error}) {text[:SHOWN_CHARS_MAX]}"


def check(text: str, labels: Mapping[str, str]) -> None:
    """Check a template that is to be saved: it is rendered for an alert with these labels and the value 1; a query
    answers one sample of them.

    Raises:
        TemplateError: it cannot be read or rendered.
    """
    render(text, AlertData(labels, 1.0), lambda _: [Sample(labels, 1.0)])


async def render_asking(
    texts: Mapping[str, str], data: AlertData, ask: Callable[[str], Awaitable[Sequence[Sample]]]
) -> tuple[dict[str, str], dict[str, TemplateError]]:
    """Render the annotations of an alert. One that fails leaves a default text, which names the failure.

    Args:
        texts: the templates, by the annotation's name.
        data: of the alert.
        ask: answers a PromQL expression, once each. Raises Mistake if it cannot.

    Returns:
        The rendered annotations, and the failures by name.
    """
    answers: dict[str, Sequence[Sample] | Mistake] = {}

    def known(expression: str) -> Sequence[Sample]:
        answer = answers.get(expression)
        if answer is None:
            raise Unanswered(expression)
        if isinstance(answer, Mistake):
            raise answer
        return answer

    made: dict[str, str] = {}
    failures: dict[str, TemplateError] = {}
    for name, text in texts.items():
        # Each round learns the answer of one query more.
        for _ in range(QUERIES_MAX + 1):
            try:
                made[name] = await asyncio.to_thread(render, text, data, known) if "{{" in text else text
            except Unanswered as question:
                expression: str = question.args[0]
                try:
                    answers[expression] = await ask(expression)
                except Mistake as mistake:
                    answers[expression] = mistake
                continue
            except TemplateError as error:
                failures[name] = error
                made[name] = failed(text, error)
            break
    return made, failures
