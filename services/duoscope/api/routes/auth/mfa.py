"""Second factors: enrolling, confirming, backup codes, disabling; and the reset of a lost one by an admin."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.api.authentication import WITHOUT_MFA
from duoscope.api.bodies import Services
from duoscope.api.listing import OrganizationParameter
from duoscope.api.routing import WRITES, Routes
from duoscope.identity.authentication.mfa import MfaEnrolment, MfaStatus
from duoscope.identity.authorization.permissions import Principal

ROUTES: Final = Routes("mfa")

Code = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="Six digits of the authenticator app, or a backup code. Works once.",
        examples=["492039"],
    ),
]
OptionalPassword = (
    Annotated[
        str,
        Meta(max_length=1024, description="Your password; not needed right after a login or reauthentication."),
    ]
    | None
)


class NewEnrolment(Struct, forbid_unknown_fields=True):
    """The proof needed to enrol."""

    password: OptionalPassword = None


class MfaCode(Struct, forbid_unknown_fields=True):
    """A code of the app, or a backup code."""

    mfa_code: Code


class MfaDisabling(Struct, forbid_unknown_fields=True):
    """The proof needed to disable the second factor."""

    mfa_code: Code
    password: OptionalPassword = None


class BackupCodes(Struct, frozen=True):
    """Codes for when the app is out of reach. Each works once; they are shown once."""

    backup_codes: Annotated[list[str], Meta(examples=[["0qkg-5fri-3fqe", "1gue-z6xq-6cfl"]])]


@ROUTES.get("/api/v1/auth/mfa", "Your second factor", problems=(401, 503), opt=WITHOUT_MFA)
async def status(request: Request[Principal, Any, Any], services: Services) -> MfaStatus:
    """Whether you have a second factor, and whether your organization requires one."""
    return await services.second_factors.status(request.user)


@ROUTES.post(
    "/api/v1/auth/mfa/enrolment",
    "Begin to enrol a second factor",
    problems=(400, 401, 403, 409, 429, 503),
    opt=WITHOUT_MFA,
)
async def enrol(
    request: Request[Principal, Any, Any], data: JSONBody[NewEnrolment], services: Services
) -> MfaEnrolment:
    """Begin an enrolment. The answer has the data for your authenticator app; nothing changes until you confirm with a
    code.
    """
    return await services.second_factors.enrol(request.user, data.password)


@ROUTES.post(
    "/api/v1/auth/mfa/confirmation",
    "Confirm the enrolment",
    problems=(400, 401, 403, 409, 429, 503),
    opt=WITHOUT_MFA,
    status_code=200,
)
async def confirm(request: Request[Principal, Any, Any], data: JSONBody[MfaCode], services: Services) -> BackupCodes:
    """Confirm the enrolment with a code of the app. From now on every login needs a code; your other sessions end. Keep
    the backup codes.
    """
    return BackupCodes(await services.second_factors.confirm(request.user, data.mfa_code))


@ROUTES.post(
    "/api/v1/auth/mfa/backup-codes", "Get new backup codes", problems=(400, 401, 403, 409, 429, 503), status_code=200
)
async def renew_backup_codes(
    request: Request[Principal, Any, Any], data: JSONBody[MfaCode], services: Services
) -> BackupCodes:
    """Replace all your backup codes by ten new ones."""
    return BackupCodes(await services.second_factors.renew_backup_codes(request.user, data.mfa_code))


@ROUTES.post(
    "/api/v1/auth/mfa/disable", "Do without a second factor", problems=(400, 401, 403, 409, 429, 503), status_code=204
)
async def disable(request: Request[Principal, Any, Any], data: JSONBody[MfaDisabling], services: Services) -> None:
    """Disable your second factor, unless your organization requires one. Your other sessions end."""
    await services.second_factors.disable(request.user, data.password, data.mfa_code)


@ROUTES.post(
    "/api/v1/users/{user_id:uuid}/mfa/reset",
    "Take away a user's second factor",
    "user:admin",
    problems=WRITES,
    status_code=204,
)
async def reset(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Remove a user's lost second factor. You must hold everything that the user holds. Their sessions end, and they
    are informed by mail.
    """
    authority = request.user.over("user:admin", organization_id)
    await services.second_factors.reset(authority, user_id)
