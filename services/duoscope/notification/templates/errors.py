"""What is wrong with a template, and where."""


class TemplateError(Exception):
    """A template that cannot be read or rendered.

    Attributes:
        message: what is wrong, as part of a sentence.
        line, column: of the place, both from 1.
    """

    def __init__(self, message: str, text: str, at: int) -> None:
        self.message = message
        self.line = text.count("\n", 0, at) + 1
        self.column = at - (text.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"line {self.line}, column {self.column}: {message}")


class Mistake(Exception):  # noqa: N818 - what a function says of its arguments; the caller knows the place
    """A function that cannot take these arguments. The evaluator makes a TemplateError of it."""
