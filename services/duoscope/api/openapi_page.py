"""The OpenAPI document as a web page: a small one of our own, since the usual viewers load files from the network."""

import html
import json
from typing import Any, Final, cast

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from duoscope.api.security_headers import page_policy

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733;background:#fff}
h2{margin-top:2.5rem;text-transform:capitalize}
details{border:1px solid #d5dce3;border-radius:6px;margin:.5rem 0}
summary{cursor:pointer;padding:.5rem .8rem}details>div{padding:0 .8rem .8rem}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f4f6f8;padding:.6rem;overflow:auto;border-radius:4px}b.m{display:inline-block;width:4.5rem}
table{border-collapse:collapse}td{border-top:1px solid #e5eaef;padding:.25rem .8rem .25rem 0;vertical-align:top}
.note{color:#5b6b7a}@media(prefers-color-scheme:dark){body{background:#14191f;color:#dde4ea}pre{background:#1e252d}
details,td{border-color:#33404c}}"""

POLICY: Final = page_policy(_STYLE)
"""The page's content security policy."""


class SchemaPage(OpenAPIRenderPlugin):
    """A page with all operations, their parameters, bodies and answers."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        del request
        title = html.escape(openapi_schema["info"]["title"])
        description = html.escape(openapi_schema["info"].get("description", ""))
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>'
            f'<p>{description}</p><p class="note">For programs: <a href="/schema/openapi.json">openapi.json</a></p>'
            f"{''.join(_groups(openapi_schema))}</body></html>"
        ).encode()


def _groups(schema: dict[str, Any]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for path, operations in cast("dict[str, dict[str, Any]]", schema["paths"]).items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_operation(schema, path, method, operation))
    return [f"<h2>{html.escape(tag)}</h2>{''.join(shown)}" for tag, shown in groups.items()]


def _operation(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [f"<p>{html.escape(operation.get('description', ''))}</p>"]
    if parameters := operation.get("parameters"):
        parts.append(_table((p["name"], p["in"], p.get("description", "")) for p in parameters))
    if body := operation.get("requestBody"):
        parts.append("<h4>Body</h4>" + _content(schema, body))
    for status, response in operation.get("responses", {}).items():
        parts.append(f"<h4>{html.escape(status)} {html.escape(response.get('description', ''))}</h4>")
        if status.startswith("2"):
            parts.append(_content(schema, response))
    return (
        f'<details><summary><b class="m">{html.escape(method.upper())}</b><code>{html.escape(path)}</code> '
        f'<span class="note">{html.escape(operation.get("summary", ""))}</span></summary>'
        f"<div>{''.join(parts)}</div></details>"
    )


def _content(schema: dict[str, Any], holder: dict[str, Any]) -> str:
    shown: list[str] = []
    for content in cast("dict[str, Any]", holder.get("content", {})).values():
        form = _resolved(schema, content.get("schema", {}))
        properties = cast("dict[str, Any]", form.get("properties", {}))
        required = set(form.get("required", []))
        shown.append(
            _table(
                (name, "required" if name in required else "", str(field.get("description", "")))
                for name, field in properties.items()
            )
        )
        shown.append(f"<pre>{html.escape(json.dumps(_example(schema, form, 0), indent=2, ensure_ascii=False))}</pre>")
    return "".join(shown)


def _resolved(schema: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    while reference := form.get("$ref"):
        form = schema["components"]["schemas"][str(reference).rsplit("/", 1)[-1]]
    return form


_BY_FORMAT = {"uuid": "01a1fc7f-6200-7c1f-8570-30e51e964835", "date-time": "2030-01-31T12:00:00Z"}
_UNSAID: tuple[Any, ...] = ("…", ["…"], "", [], {}, None, _BY_FORMAT["uuid"])
"""Optional fields that examples leave out, so that an example can be sent as it is."""
_BY_TYPE = {"string": "…", "integer": 0, "number": 0.0, "boolean": False, "null": None}
_DEPTH_MAX = 6


def _example(schema: dict[str, Any], form: dict[str, Any], depth: int) -> Any:  # noqa: PLR0911 - a kind of value each
    form = _resolved(schema, form)
    if told := form.get("examples") or ([form["const"]] if "const" in form else []):
        return told[0]
    for choice in cast("list[dict[str, Any]]", form.get("oneOf") or form.get("anyOf") or []):
        if choice.get("type") != "null":
            return _example(schema, choice, depth)
    if depth == _DEPTH_MAX:
        return None
    if form.get("type") == "array":
        return [_example(schema, form.get("items", {}), depth + 1)]
    if form.get("enum"):
        return form["enum"][0]
    if form.get("format") in _BY_FORMAT:
        return _BY_FORMAT[form["format"]]
    if properties := form.get("properties"):
        required = form.get("required", [])
        shown = {name: _example(schema, field, depth + 1) for name, field in properties.items()}
        return {name: value for name, value in shown.items() if name in required or value not in _UNSAID}
    kind = form.get("type")
    if kind == "object":
        return {}
    return form.get("default", _BY_TYPE.get(kind if isinstance(kind, str) else "null"))


def _table(rows: Any) -> str:
    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
