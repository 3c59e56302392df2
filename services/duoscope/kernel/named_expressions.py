"""Expressions that PromQL may use by a name, as if they were metrics: what others call recording rules."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from duoscope.kernel.scope import Scope


@dataclass(frozen=True, slots=True)
class NamedExpression:
    """An expression in PromQL with a name.

    Attributes:
        name: as a metric's.
        expression: its values.
        interval_s: between them.
        labels: which its series have, in place of their own.
    """

    name: str
    expression: str
    interval_s: int
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


ByName: TypeAlias = Mapping[str, tuple[NamedExpression, ...]]
Named: TypeAlias = Callable[[Scope], Awaitable[ByName]]
"""The named expressions of a tenant."""


async def nothing_named(scope: Scope) -> ByName:
    """The `Named` of a process that knows of none."""
    del scope
    return {}
