"""Errors of PromQL expressions, in the terms of Prometheus' HTTP API."""

from typing import Literal

ErrorType = Literal["bad_data", "execution", "timeout", "canceled", "internal", "unavailable", "not_found"]


class ExpressionError(Exception):
    """An expression cannot be parsed or evaluated; the message is for its author.

    Attributes:
        message: what is wrong, with its position where that is known.
        error_type: `bad_data` for what no data could make right, `execution` for what these data do not allow.
        position: the character, counted from 0, or None.
    """

    def __init__(self, message: str, error_type: ErrorType = "bad_data", position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_type: ErrorType = error_type
        self.position = position


def execution(message: str) -> ExpressionError:
    """The error for an expression that the data do not allow."""
    return ExpressionError(message, "execution")


def not_there(what: str) -> ExpressionError:
    """The error for a part of PromQL that this engine does not support."""
    return ExpressionError(f"{what} is not supported.")
