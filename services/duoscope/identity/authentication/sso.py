"""Organizations whose users must log in through the organization's identity provider, and not with passwords.

The organization's settings say so (`sso_required`), and it applies while one of its providers is active. Platform
admins, who cannot use one, keep their passwords, and an operator may let a user in for a while.
"""

from typing import Final

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import rfc3339
from duoscope.kernel.errors import DuoscopeError, ErrorKind, no_such_user
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import users
from duoscope.metadata.users import Login
from duoscope.stores.postgres import MetadataStore

SSO_REQUIRED: Final = "sso-required"
_OPERATOR: Final = PlatformScope(reason="an operator's command")


def start_path(slug: str) -> str:
    """The path where a login through the provider begins."""
    return f"/api/v1/auth/oidc/{slug}/start"


def refuse_password(login: Login) -> None:
    """Raise FORBIDDEN `sso-required` if passwords are not accepted; reveal that only to someone who knows the correct
    one.
    """
    if login.sso_slug is not None:
        raise DuoscopeError(
            ErrorKind.FORBIDDEN,
            SSO_REQUIRED,
            "Your organization requires its identity provider and accepts no passwords: open "
            f"{start_path(login.sso_slug)} in a browser.",
        )


async def allow_password(store: MetadataStore, actor: Actor, email: str, *, lifetime_s: float) -> None:
    """Let a user log in with their password for a while, for example when the provider is out of order. Raises
    NOT_FOUND.
    """
    async with store.open_platform(_OPERATOR, "sso.allow_password") as tx:
        login = await users.find_login(tx, email)
        if login is None:
            raise no_such_user()
        until = await users.allow_password(tx, login, lifetime_s=lifetime_s)
        about = About.user(login.user)
        await audit.record(tx, actor, "user.password-allowed", about, after={"until": rfc3339(until)})
