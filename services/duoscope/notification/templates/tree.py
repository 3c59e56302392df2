"""The parts of a template. Each knows its offset in the text (`at`)."""

from dataclasses import dataclass
from typing import TypeAlias

Literal: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, `true`, `false` or `nil`."""

    at: int
    value: Literal


@dataclass(frozen=True, slots=True)
class Dot:
    """The current value."""

    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable by its name, with `$`."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function; its arguments are the command's other operands."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of an operand: `$labels.job` and `.Labels.job`."""

    at: int
    of: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A pipeline in parentheses."""

    at: int
    pipeline: "Pipeline"


Operand: TypeAlias = Constant | Dot | Variable | Function | Chain | Group


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which gets the value of the one before as its last argument.

    `names` are the variables that take the result: `declares` tells `:=` from `=`.
    """

    at: int
    names: tuple[str, ...]
    declares: bool
    commands: tuple[tuple[Operand, ...], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside of actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed, unless it goes to a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """`if`, `with` or `range` with what is rendered, and what is otherwise."""

    keyword: str
    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    keyword: str


Node: TypeAlias = Text | Action | Block | Jump
