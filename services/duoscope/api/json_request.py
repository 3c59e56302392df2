"""Decodes JSON bodies as strictly as the OpenAPI document describes them."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, ValidationException


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body becomes what its route declares.

    Litestar would convert more than the document allows: a 0 to `false`, "5" and 5.0 to 5. It would also take invalid
    UTF-8 for a defect of the application.
    """

    async def json(self) -> Any:
        """The body as the type of the route's `data`.

        Raises:
            ClientException: it is not JSON in UTF-8.
            ValidationException: it has another form, with where and what.
        """
        try:
            body = await super().json()
        except UnicodeDecodeError as error:
            raise ClientException from error
        declared = self.route_handler.parsed_data_field
        if declared is None:
            return body
        try:
            return msgspec.convert(body, declared.annotation)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            field = where.rstrip("`").removeprefix(".")
            raise ValidationException(extra=[{"message": what, "key": field or "data", "source": "body"}]) from error
