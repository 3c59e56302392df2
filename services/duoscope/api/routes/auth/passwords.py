"""Forgotten, reset and changed passwords, and changed and verified e-mail addresses."""

from typing import Annotated, Any, Final

from litestar import Request
from litestar.params import JSONBody
from msgspec import Meta, Struct

from duoscope.api.authentication import caller
from duoscope.api.bodies import Services
from duoscope.api.routing import Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.passwords.rules import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN

ROUTES: Final = Routes("auth")
_REQUEST_CHARS_MAX: Final = 1024

NewPassword = Annotated[
    str,
    Meta(
        max_length=_REQUEST_CHARS_MAX,
        description=f"{PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters of any kind, and none of the passwords "
        "that are tried first.",
        examples=["correct horse battery staple"],
    ),
]


class Forgotten(Struct, forbid_unknown_fields=True):
    """The address of a forgotten password."""

    email: Annotated[str, Meta(max_length=320, examples=["ada@example.com"])]


class Reset(Struct, forbid_unknown_fields=True):
    """A new password, with the token of a link."""

    token: Annotated[str, Meta(max_length=_REQUEST_CHARS_MAX, description="The part of the mail's link after the #.")]
    password: NewPassword


class Change(Struct, forbid_unknown_fields=True):
    """A new password, with the current one."""

    current_password: Annotated[str, Meta(max_length=_REQUEST_CHARS_MAX)]
    new_password: NewPassword


class Confirmation(Struct, forbid_unknown_fields=True):
    """The token of a link that was sent to an address."""

    token: Annotated[str, Meta(max_length=_REQUEST_CHARS_MAX, description="The part of the mail's link after the #.")]


class NewAddress(Struct, forbid_unknown_fields=True):
    """Your new address."""

    email: Annotated[str, Meta(max_length=320, examples=["ada@example.com"])]


class NextStep(Struct, frozen=True):
    """The next step, in words for the user."""

    detail: Annotated[str, Meta(examples=["If the address has an account, a mail with a link is on its way."])]


@ROUTES.post(
    "/api/v1/auth/password/forgotten",
    "Ask for a link to set another password",
    problems=(400, 409, 429, 503),
    public=True,
    status_code=202,
)
async def forgotten(request: Request[Any, Any, Any], data: JSONBody[Forgotten], services: Services) -> NextStep:
    """Send a link to the address, if it has an account; the answer is the same if not.

    The link works once, for half an hour. 409 `mail-not-configured` if the installation sends no mail.
    """
    await services.recovery.forget(data.email, actor=caller(request))
    return NextStep("If the address has an account, a mail with a link is on its way.")


@ROUTES.post(
    "/api/v1/auth/password/reset", "Set another password by a link", problems=(400, 503), public=True, status_code=204
)
async def reset(request: Request[Any, Any, Any], data: JSONBody[Reset], services: Services) -> None:
    """Set the password of the link's account.

    Ends all its sessions and forgets its trusted devices. 400 `reset-token-invalid` for a link that is no longer valid.
    """
    await services.recovery.reset(data.token, data.password, actor=caller(request))


@ROUTES.post(
    "/api/v1/auth/password/change", "Change your password", problems=(400, 401, 403, 429, 503), status_code=204
)
async def change(request: Request[Principal, Any, Any], data: JSONBody[Change], services: Services) -> None:
    """Change your password. Needs the current one, and ends your other sessions. 403 `current-password-wrong`."""
    await services.recovery.change(
        data.current_password,
        data.new_password,
        organization_id=request.user.scope.organization_id,
        session_id=request.user.session_id,
        actor=request.user.actor,
    )


@ROUTES.post("/api/v1/auth/email", "Change your address", problems=(400, 401, 403, 409, 429, 503), status_code=202)
async def change_address(
    request: Request[Principal, Any, Any], data: JSONBody[NewAddress], services: Services
) -> NextStep:
    """Send a link to the new address and a notice to the current one. Opening the link within a day changes the
    address.

    403 `reauthentication-required` unless you authenticated recently. Setting another password cancels the request.
    """
    await services.recovery.change_address(request.user, data.email)
    return NextStep("A mail with a link is on its way to the new address; your address changes when it is followed.")


@ROUTES.post(
    "/api/v1/auth/email-verification", "Have your address verified", problems=(401, 409, 429, 503), status_code=202
)
async def send_verification(request: Request[Principal, Any, Any], services: Services) -> NextStep:
    """Send you a link that works once, for a day. 409 `email-verified`, or `mail-not-configured`."""
    principal = request.user
    await services.recovery.send_verification(organization_id=principal.scope.organization_id, actor=principal.actor)
    return NextStep("A mail with a link is on its way.")


@ROUTES.post(
    "/api/v1/auth/email-verification/confirm",
    "Verify an address by its link",
    problems=(400, 409, 503),
    public=True,
    status_code=204,
)
async def confirm(request: Request[Any, Any, Any], data: JSONBody[Confirmation], services: Services) -> None:
    """Verify the address of a link. If the user requested a new address, it becomes theirs, and their other sessions
    end.

    409 `user-exists` if another user has it by now; 400 `verification-token-invalid` for a link that is no longer
    valid.
    """
    await services.recovery.verify(data.token, actor=caller(request))
