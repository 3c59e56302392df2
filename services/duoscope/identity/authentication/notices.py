"""Mails that users get without having asked: of a login from a new client, or of a changed password."""

from typing import Final

from duoscope.delivery.mail import Mailer
from duoscope.identity.authentication.throttle import network_of
from duoscope.kernel import clock
from duoscope.kernel.actor import Actor
from duoscope.kernel.refs import UserRef
from duoscope.metadata import credentials, user_sessions
from duoscope.stores.postgres import Transaction

ORIGINS_MAX: Final = 50
"""How many of a user's latest sessions decide whether a client is new."""
_NOT_YOU = (
    "If that was you, there is nothing to do. If not, somebody may know your password: ask for a link to set another "
    "one (POST /api/v1/auth/password/forgotten), which also ends all your sessions, and tell your administrator.\n"
)


async def is_new_client(tx: Transaction, user: UserRef, actor: Actor) -> bool:
    """Whether the user never logged in from this kind of client in this network. The very first login is not new."""
    seen = await user_sessions.origins(tx, user, rows_max=ORIGINS_MAX)
    here = network_of(actor.ip_address), actor.user_agent or ""
    return bool(seen) and here not in {(network_of(address), agent) for address, agent in seen}


async def new_device(tx: Transaction, mailer: Mailer, user: UserRef, actor: Actor) -> None:
    """Inform the user of a login from a client that they never used before."""
    text = f"your account was signed in to from a client that we have not seen with it before.\n\n{_client(actor)}"
    await _tell(tx, mailer, user, subject="New sign-in to your duoscope account", text=text)


async def password_changed(tx: Transaction, mailer: Mailer, user: UserRef, actor: Actor) -> None:
    """Inform the user that the password was changed or reset, and that other sessions were ended."""
    text = f"the password of your account was changed, and its other sessions were ended.\n\n{_client(actor)}"
    await _tell(tx, mailer, user, subject="Your duoscope password was changed", text=text)


async def second_factor_changed(tx: Transaction, mailer: Mailer, user: UserRef, actor: Actor) -> None:
    """Inform the user that the second factor or its backup codes were changed or removed."""
    text = f"the second factor of your account was changed, and its other sessions were ended.\n\n{_client(actor)}"
    await _tell(tx, mailer, user, subject="Your duoscope second factor was changed", text=text)


async def address_asked_for(tx: Transaction, mailer: Mailer, user: UserRef, actor: Actor, email: str) -> None:
    """Inform the current address that a change to another was requested."""
    text = (
        f"somebody, probably you, asked for {email} to become the address of your account. That happens when the link "
        "sent there is followed. Another password, another address asked for, or all sessions ended, prevents it.\n\n"
        f"{_client(actor)}"
    )
    await _tell(tx, mailer, user, subject="Another address for your duoscope account?", text=text)


async def address_changes(tx: Transaction, mailer: Mailer, user: UserRef, actor: Actor, email: str) -> None:
    """Inform the old address of the change, before it is replaced."""
    text = f"the address of your account is {email} from now on, and its other sessions were ended.\n\n{_client(actor)}"
    await _tell(tx, mailer, user, subject="Your duoscope address was changed", text=text)


async def _tell(tx: Transaction, mailer: Mailer, user: UserRef, *, subject: str, text: str) -> None:
    to = await credentials.get_addressee(tx, user)
    if to is not None:
        await mailer.queue(
            tx, organization_id=user.organization_id, to=to.email, subject=subject, text=f"Hello,\n\n{text}\n{_NOT_YOU}"
        )


def _client(actor: Actor) -> str:
    # The user agent as a line of printable ASCII: the client chooses its text.
    agent = "".join(c if " " <= c <= "~" else "?" for c in (actor.user_agent or "unknown"))[:200]
    return f"When:    {clock.now():%Y-%m-%d %H:%M:%S} UTC\nAddress: {actor.ip_address or 'unknown'}\nClient:  {agent}\n"
