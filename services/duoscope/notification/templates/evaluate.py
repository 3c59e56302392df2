"""Renders a template: pure, and bounded in steps, in the length of what it makes, and in queries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from duoscope.notification.templates import formats, tree
from duoscope.notification.templates.errors import Mistake, TemplateError
from duoscope.notification.templates.functions import FUNCTIONS, STRING_CHARS_MAX, Function, is_true
from duoscope.notification.templates.parse import Template
from duoscope.notification.templates.values import AlertData, Sample, Value

STEPS_MAX: Final = 10_000
"""Nodes and operands that one rendering visits."""
WORK_CHARS_MAX: Final = 500_000
"""Characters that the functions of one rendering are given, and make."""
QUERIES_MAX: Final = 10

Query = Callable[[str], Sequence[Sample]]
"""Answers a PromQL expression at the alert's moment. Raises Mistake if it cannot."""

OF_THE_ALERT: Final = ("$labels", "$value", "$externalLabels", "$externalURL")
"""The variables that every template has."""
OF_THE_EVALUATOR: Final = ("and", "or", "query", "externalURL", "pathPrefix")
"""The functions that need more than their arguments."""


class _Jump(Exception):  # noqa: N818 - not an error
    """`break` or `continue`, on its way to its `range`."""


def render(template: Template, data: AlertData, query: Query) -> str:
    """Render a template.

    Raises:
        TemplateError: a function cannot take its arguments, or the rendering is beyond STEPS_MAX, WORK_CHARS_MAX,
            STRING_CHARS_MAX or QUERIES_MAX.
    """
    return _Rendering(template, data, query).render()


class _Rendering:
    """The variables in scope, what was rendered, and what it took."""

    def __init__(self, template: Template, data: AlertData, query: Query) -> None:
        self._template = template
        self._data = data
        self._query = query
        self._variables: list[tuple[str, Value]] = [
            ("$", data),
            ("$labels", data.labels),
            ("$value", data.value),
            ("$externalLabels", data.external_labels),
            ("$externalURL", data.external_url),
        ]
        self._made: list[str] = []
        self._length = 0
        self._steps = 0
        self._worked = 0
        self._queries = 0

    def render(self) -> str:
        self._nodes(self._template.nodes, self._data)
        return "".join(self._made)

    def _wrong(self, what: str, at: int) -> TemplateError:
        return TemplateError(what, self._template.text, at)

    def _step(self, at: int) -> None:
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise self._wrong(f"the template takes more than {STEPS_MAX} steps", at)

    def _write(self, text: str, at: int) -> None:
        self._length += len(text)
        if self._length > STRING_CHARS_MAX:
            raise self._wrong(f"the text grows beyond {STRING_CHARS_MAX} characters", at)
        self._made.append(text)

    def _nodes(self, nodes: Sequence[tree.Node], dot: Value) -> None:
        for node in nodes:
            match node:
                case tree.Text(text):
                    self._write(text, 0)
                case tree.Action(pipeline):
                    value = self._pipeline(pipeline, dot)
                    if not pipeline.names:
                        self._write(formats.shown(value), pipeline.at)
                case tree.Jump(keyword):
                    raise _Jump(keyword)
                case tree.Block():
                    self._block(node, dot)

    def _block(self, block: tree.Block, dot: Value) -> None:
        declared = len(self._variables)
        try:
            if block.keyword == "range":
                self._range(block, dot)
                return
            value = self._pipeline(block.pipeline, dot)
            if is_true(value):
                self._nodes(block.body, value if block.keyword == "with" else dot)
            else:
                self._nodes(block.otherwise, dot)
        finally:
            del self._variables[declared:]

    def _range(self, block: tree.Block, dot: Value) -> None:
        pipeline = block.pipeline
        over = self._operands(pipeline, dot)
        items: list[tuple[Value, Value]]
        match over:
            case None:
                items = []
            case Mapping():
                items = [(key, over[key]) for key in sorted(over)]
            case list() | tuple():
                items = list(enumerate(over))
            case int() if not isinstance(over, bool):
                items = [(number, number) for number in range(min(over, STEPS_MAX + 1))]
            case _:
                raise self._wrong(f"cannot range over a {formats.kind(over)}", pipeline.at)
        if not items:
            self._nodes(block.otherwise, dot)
        declared = len(self._variables)
        for key, value in items:
            self._step(pipeline.at)
            self._assign(pipeline, (key, value) if len(pipeline.names) > 1 else (value,))
            try:
                self._nodes(block.body, value)
            except _Jump as jump:
                if jump.args[0] == "break":
                    break
            finally:
                del self._variables[declared:]

    def _pipeline(self, pipeline: tree.Pipeline, dot: Value) -> Value:
        value = self._operands(pipeline, dot)
        self._assign(pipeline, (value,))
        return value

    def _assign(self, pipeline: tree.Pipeline, values: Sequence[Value]) -> None:
        for name, value in zip(pipeline.names, values, strict=False):
            if pipeline.declares:
                self._variables.append((name, value))
                continue
            place = next(n for n in range(len(self._variables) - 1, -1, -1) if self._variables[n][0] == name)
            self._variables[place] = (name, value)

    def _operands(self, pipeline: tree.Pipeline, dot: Value) -> Value:
        """The value of a pipeline, without its variables."""
        value: Value = None
        for number, (head, *arguments) in enumerate(pipeline.commands):
            piped = (value,) if number else ()
            if isinstance(head, tree.Function):
                value = self._call(head, arguments, piped, dot)
            else:
                value = self._operand(head, dot)
        return value

    def _operand(self, operand: tree.Operand, dot: Value) -> Value:
        self._step(operand.at)
        match operand:
            case tree.Constant(_, value):
                return value
            case tree.Dot():
                return dot
            case tree.Variable(_, name):
                return next(value for known, value in reversed(self._variables) if known == name)
            case tree.Function():
                return self._call(operand, (), (), dot)
            case tree.Group(_, pipeline):
                return self._pipeline(pipeline, dot)
            case tree.Chain(at, of, names):
                value = self._operand(of, dot)
                for name in names:
                    value = self._field(value, name, at)
                return value

    def _field(self, value: Value, name: str, at: int) -> Value:
        match value, name:
            case Mapping(), _:
                return value.get(name, "")
            case Sample() | AlertData(), "Labels":
                return value.labels
            case Sample() | AlertData(), "Value":
                return value.value
            case AlertData(), "ExternalLabels":
                return value.external_labels
            case AlertData(), "ExternalURL":
                return value.external_url
            case _:
                raise self._wrong(f"a {formats.kind(value)} has no field {name}", at)

    def _call(
        self, function: tree.Function, arguments: Sequence[tree.Operand], piped: Sequence[Value], dot: Value
    ) -> Value:
        self._step(function.at)
        if function.name in ("and", "or"):
            return self._first_decisive(function, arguments, piped, dot)
        values = [*(self._operand(argument, dot) for argument in arguments), *piped]
        self._work(values, function.at)
        try:
            value = self._function(function.name)(*values)
        except Mistake as mistake:
            raise self._wrong(f"{function.name}: {mistake}", function.at) from None
        if isinstance(value, str) and len(value) > STRING_CHARS_MAX:
            raise self._wrong(f"the text grows beyond {STRING_CHARS_MAX} characters", function.at)
        self._work([value], function.at)
        return value

    def _work(self, values: Sequence[Value], at: int) -> None:
        self._worked += sum(len(value) for value in values if isinstance(value, str))
        if self._worked > WORK_CHARS_MAX:
            raise self._wrong(f"its functions are given and make more than {WORK_CHARS_MAX} characters", at)

    def _first_decisive(
        self, function: tree.Function, arguments: Sequence[tree.Operand], piped: Sequence[Value], dot: Value
    ) -> Value:
        """`and` and `or`, which look at no further argument than they must."""
        if not arguments and not piped:
            raise self._wrong(f"{function.name}: takes 1 argument or more, not 0", function.at)
        value: Value = None
        for argument in arguments:
            value = self._operand(argument, dot)
            if is_true(value) == (function.name == "or"):
                return value
        return piped[0] if piped else value

    def _function(self, name: str) -> Callable[..., Value]:
        match name:
            case "query":
                return self._asked
            case "externalURL":
                return Function(lambda: self._data.external_url, ())
            case "pathPrefix":
                return Function(lambda: urlsplit(self._data.external_url).path.rstrip("/"), ())
            case _:
                return FUNCTIONS[name]

    def _asked(self, *values: Value) -> Value:
        if len(values) != 1 or not isinstance(values[0], str):
            raise Mistake("takes 1 string")
        self._queries += 1
        if self._queries > QUERIES_MAX:
            raise Mistake(f"a template asks at most {QUERIES_MAX} queries")
        return [*self._query(values[0])]
