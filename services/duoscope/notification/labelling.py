"""The labels of an alert: those of its series, and the rule's own, whose templates are filled in.

What a rule's label is depends on the labels of the series alone, so that an alert has the same labels from its
beginning to its end. One that would change with the value is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.notification import templates
from duoscope.notification.templates import AlertData, Mistake, Sample, TemplateError

_MARK: Final = "{{"
_SAMPLES: Final = (1.0, 2.5)
"""Two values of which no text can be the same, unless it has no value in it."""


class _AnyLabels(Mapping[str, str]):
    """The labels of some series: each name has a value, which reads as a number, too."""

    def __getitem__(self, name: str) -> str:
        return "1"

    def __iter__(self) -> Iterator[str]:
        return iter(("job",))

    def __len__(self) -> int:
        return 1


def labels_of(of_rule: Mapping[str, str], of_series: Mapping[str, str]) -> dict[str, str]:
    """The labels of an alert. A template that fails says so in its place."""
    return _made(of_rule, of_series)[0]


def problem(of_rule: Mapping[str, str], of_series: Mapping[str, str]) -> str:
    """The mistake in the templates of a rule's labels, for a series; empty if nothing is."""
    return _made(of_rule, of_series)[1]


def has_templates(labels: Mapping[str, str]) -> bool:
    """Whether labels differ from series to series."""
    return any(_MARK in text for text in labels.values())


def _made(of_rule: Mapping[str, str], of_series: Mapping[str, str]) -> tuple[dict[str, str], str]:
    made, wrong = dict(of_series), ""
    for name, text in of_rule.items():
        try:
            made[name] = _rendered(text, of_series, 0.0) if _MARK in text else text
        except TemplateError as error:
            made[name] = f"<error expanding template: {error}>"
            wrong = wrong or f"The template of the label {name} fails: {error}."
    return made, wrong


def check(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Check the templates of a rule that is to be saved. Returns whether annotations may ask queries.

    Raises:
        DuoscopeError: INVALID `invalid-template` for one that cannot be read or rendered, a label with a query or with
            the value.
    """
    for name, text in labels.items():
        if _MARK in text:
            try:
                made = {_rendered(text, _AnyLabels(), value) for value in _SAMPLES}
            except TemplateError as error:
                raise _wrong("labels", name, str(error)) from error
            if len(made) > 1:
                raise _wrong("labels", name, "a label cannot have the value in it: each would be another alert")
    asks = False

    def answered(_: str) -> Sequence[Sample]:
        nonlocal asks
        asks = True
        return [Sample(_AnyLabels(), 1.0)]

    for name, text in annotations.items():
        if _MARK in text:
            try:
                templates.render(text, AlertData(_AnyLabels(), 1.0, {}, ""), answered)
            except TemplateError as error:
                raise _wrong("annotations", name, str(error)) from error
    return asks


def _rendered(text: str, labels: Mapping[str, str], value: float) -> str:
    def refused(_: str) -> Sequence[Sample]:
        raise Mistake("labels have no queries")

    return templates.render(text, AlertData(labels, value, {}, ""), refused)


def _wrong(where: str, name: str, what: str) -> DuoscopeError:
    return invalid(f"`{where}`: {name}: {what}.", code="invalid-template")
