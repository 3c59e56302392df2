"""What became of each part of an imported dashboard."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Outcome = Literal["converted", "converted-with-loss", "left-out", "placeholder"]
Subject = Literal["dashboard", "panel", "variable", "transformation", "annotation"]
LINES_MAX: Final = 5000


class Line(Struct, frozen=True):
    """The outcome for one part of an import."""

    subject: Subject
    type: Annotated[str, Meta(description="Of the panel, variable or transformation, in Grafana's words.")]
    name: str
    pointer: Annotated[str, Meta(description="Where it is in what was imported.", examples=["/panels/3"])]
    outcome: Annotated[
        Outcome,
        Meta(description="A placeholder is a widget that says why it is one, and keeps the panel's JSON."),
    ]
    reasons: Annotated[list[str], Meta(description="What is lost, or why it is left out.")]


@dataclass(slots=True)
class Notes:
    """The losses while one part is converted, in the order in which they are found, each once."""

    lost: dict[str, None] = field(default_factory=dict[str, None])

    def lose(self, what: str) -> None:
        """Note a loss."""
        self.lost[what] = None

    def line(self, subject: Subject, kind: str, name: str, pointer: str) -> Line:
        """The line for a part that was converted."""
        outcome: Outcome = "converted-with-loss" if self.lost else "converted"
        return Line(subject, kind, name, pointer, outcome, list(self.lost))


class NotConvertedError(Exception):
    """A part cannot be converted; the text says why."""
