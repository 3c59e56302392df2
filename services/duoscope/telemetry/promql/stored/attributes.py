"""Stored attributes as labels: those of the resource, those of the point, and `job` and `instance`."""

import functools
import json
from typing import Any, Final, cast

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import plain
from duoscope.telemetry.promql.stored.naming import label_name

SERVICE: Final = frozenset({"service.name", "service.namespace", "service.instance.id"})
"""The attributes that `job` and `instance` are made of."""
SCOPE_LABEL: Final = "otel_scope_name"


@functools.lru_cache(maxsize=50_000)
def series_labels(resource: str, scope: str, attributes: str, *, is_plain: bool) -> Labels:
    """The labels of a series except its name.

    Args:
        resource: attributes of the resource as JSON.
        scope: name of the instrumentation scope.
        attributes: of the point, as JSON; they override the resource's.
        is_plain: whether names stay as they were sent.
    """
    found = dict(_resource(resource, is_plain=is_plain))
    if scope:
        found[SCOPE_LABEL] = scope
    found.update(_named(_loaded(attributes), is_plain=is_plain))
    return label_sets.of(found)


def resource_labels(resource: str) -> tuple[tuple[str, str], ...]:
    """The labels, under translated names, that a series has of its resource unless its own attributes override them."""
    return _resource(resource, is_plain=False)


@functools.lru_cache(maxsize=10_000)
def own_labels(scope: str, attributes: str) -> tuple[tuple[str, str], ...]:
    """The labels, under translated names, that a series has of its scope and its own attributes."""
    scoped = {SCOPE_LABEL: scope} if scope else {}
    return tuple((scoped | _named(_loaded(attributes), is_plain=False)).items())


@functools.lru_cache(maxsize=10_000)
def target_labels(resource: str) -> Labels:
    """The labels of `target_info` for a resource: everything that `job` and `instance` do not contain."""
    values = _loaded(resource)
    left = {name: value for name, value in values.items() if name not in SERVICE}
    return label_sets.of(_named(left, is_plain=False) | _identity(values))


@functools.lru_cache(maxsize=10_000)
def _resource(resource: str, *, is_plain: bool) -> tuple[tuple[str, str], ...]:
    values = _loaded(resource)
    return tuple((_named(values, is_plain=is_plain) | _identity(values)).items())


def _identity(values: dict[str, Any]) -> dict[str, str]:
    name, namespace = text_of(values.get("service.name")), text_of(values.get("service.namespace"))
    found = {"job": f"{namespace}/{name}" if namespace and name else name}
    found["instance"] = text_of(values.get("service.instance.id"))
    return {label: value for label, value in found.items() if value}


def _loaded(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text)) if text else {}


def _named(values: dict[str, Any], *, is_plain: bool) -> dict[str, str]:
    """The values by label; if several attributes get the same name, their values are joined with semicolons, in the
    order of their names.
    """
    found: dict[str, str] = {}
    for name in sorted(values):
        value = text_of(values[name])
        label = name if is_plain else label_name(name)
        if not value or not label:
            continue
        found[label] = f"{found[label]};{value}" if label in found else value
    return found


def text_of(value: Any) -> str:
    """A stored value as the text of a label."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return plain(value)
        case int():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
