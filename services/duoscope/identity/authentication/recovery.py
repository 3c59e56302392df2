"""Recovers, resets and changes passwords, and verifies addresses.

Nothing reveals whether an address has an account: a request for a link does the same work for every address, which is
to put an entry into the outbox. The worker looks up the address (`write_reset`), makes the link and sends it to the
address stored in the account. Links are stored as hashes, work once and for a limited time. Setting a password ends
other sessions.
"""

import dataclasses
import hashlib
import re
import secrets
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from duoscope.delivery.mail import Letter, Mailer
from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication import notices
from duoscope.identity.authentication.session_ends import end_all_in
from duoscope.identity.authentication.sessions import printable
from duoscope.identity.authentication.sso import start_path
from duoscope.identity.authentication.throttle import Throttle
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.identity.passwords.rules import PasswordRules
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import (
    credentials,
    email_verifications,
    mail_outbox,
    password_reset_tokens,
    trusted_devices,
    users,
)
from duoscope.metadata.credentials import Addressee
from duoscope.metadata.email_verifications import EmailVerification
from duoscope.metadata.mail_outbox import LeasedMail
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore, Transaction

RESET_LIFETIME_S: Final = 1800
VERIFICATION_LIFETIME_S: Final = 24 * 3600
_NOBODY_YET = PlatformScope(reason="a link or an address names no tenant")
_RESET = re.compile(r"tfp-[A-Za-z0-9_-]{43}")
_VERIFICATION = re.compile(r"tfv-[A-Za-z0-9_-]{43}")


class Recovery:
    """A user's actions on their own password and address."""

    def __init__(
        self,
        store: MetadataStore,
        hasher: SlowHasher,
        mailer: Mailer,
        keys: SecretKeys,
        *,
        public_url: str,
        rules: PasswordRules | None = None,
    ) -> None:
        self._store = store
        self._rules = rules or PasswordRules()
        self._hasher = hasher
        self._mailer = mailer
        self._throttle = Throttle(keys)
        self._public_url = public_url.rstrip("/")

    async def forget(self, email: str, *, actor: Actor) -> None:
        """Send a link to the address, if it has an account. The caller does not learn whether it has.

        Raises:
            DuoscopeError: CONFLICT `mail-not-configured`; INVALID for an invalid address; RATE_LIMITED
                `too-many-attempts` for a client that makes too many requests.
        """
        self._mailer.require()
        email = users.check_email(printable(email))
        context = {
            "ip_address": actor.ip_address,
            "user_agent": actor.user_agent,
            "request_id": str(actor.request_id),
        }
        async with self._platform("recovery.forget") as tx:
            if await self._throttle.charge_mail(tx, recipient=email, address=actor.ip_address):
                await mail_outbox.add(
                    tx,
                    mail_id=new_id(),
                    organization_id=None,
                    recipient=email,
                    kind="password-forgotten",
                    context=context,
                )

    async def write_reset(self, tx: Transaction, waiting: LeasedMail) -> Letter | None:
        """Write the mail with the link when it is about to be sent. Returns None for an address without an account."""
        to = await credentials.find_addressee(tx, waiting.recipient)
        login = await users.find_login(tx, waiting.recipient)
        if to is None or login is None:
            return None
        if login.sso_slug is not None:
            return Letter(
                to.email,
                "Signing in to duoscope",
                f"Hello,\n\nsomebody, probably you, asked for a link to set another password for {to.email}. Your "
                "organization signs in through its identity provider and takes no passwords. Open\n\n"
                f"    {self._public_url}{start_path(login.sso_slug)}\n\nIf you did not ask, there is nothing to do.\n",
            )
        token = "tfp-" + secrets.token_urlsafe(32)
        await password_reset_tokens.create(
            tx,
            organization_id=to.organization_id,
            user_id=to.user_id,
            token_hash=_hash(token),
            email=to.email,
            lifetime_s=RESET_LIFETIME_S,
        )
        asker = Actor(
            None,
            to.email,
            "user",
            ip_address=waiting.context.get("ip_address"),
            user_agent=waiting.context.get("user_agent"),
            request_id=UUID(waiting.context["request_id"]),
        )
        await audit.record(tx, asker, "password.reset-requested", About.user(to.user))
        return Letter(
            to.email,
            "Set another duoscope password",
            f"Hello,\n\nsomebody, probably you, asked for a link to set another password for {to.email}.\n\n"
            f"    {self._public_url}/password#{token}\n\n"
            f"It works once, for {RESET_LIFETIME_S // 60} minutes. Programs send what follows the # as `token`, with "
            f"`password`, to\nPOST {self._public_url}/api/v1/auth/password/reset\n\n"
            "If you did not ask, there is nothing to do: your password stays as it is.\n",
        )

    async def reset(self, token: str, password: str, *, actor: Actor) -> None:
        """Set the password of the link's account, end all its sessions and forget its devices.

        Raises:
            DuoscopeError: INVALID `reset-token-invalid`, the same for unknown, used and expired; INVALID for a password
                that breaks the rules.
        """
        if not _RESET.fullmatch(token):
            raise _no_reset()
        async with self._platform("recovery.find_reset") as tx:
            to = await self._reset_addressee(tx, token)
        await self._check(password, to)
        password_hash = await self._hasher.hash(password)
        async with self._platform("recovery.reset") as tx:
            to = await self._reset_addressee(tx, token)
            actor = dataclasses.replace(actor, user_id=to.user_id, email=to.email)
            await credentials.verify_email(tx, to.user, to.email)
            await self._throttle.vouch(tx, account=to.email, address=actor.ip_address)
            await notices.password_changed(tx, self._mailer, to.user, actor)
            await reset_password(tx, actor, to.user, password_hash)

    async def change(
        self, current: str, password: str, *, organization_id: UUID, session_id: UUID, actor: Actor
    ) -> None:
        """Set a new password for the signed-in user, and end their other sessions.

        Raises:
            DuoscopeError: FORBIDDEN `current-password-wrong`; RATE_LIMITED `too-many-attempts`; INVALID for a new
                password that breaks the rules.
        """
        assert actor.user_id is not None
        user = UserRef(organization_id, actor.user_id)
        async with self._platform("recovery.change_attempt") as tx:
            to = await credentials.get_addressee(tx, user)
            login = await users.find_login_by_id(tx, user)
            if to is None or login is None:
                raise _not_current()
            charge = await self._throttle.charge(
                tx, account=f"change {user.user_id}", address=actor.ip_address, device_id=None
            )
        try:
            right = await self._hasher.verify(login.password_hash, current, is_known=True)
            if right:
                await self._check(password, to)
            password_hash = await self._hasher.hash(password) if right else ""
        except DuoscopeError:
            async with self._platform("recovery.take_back") as tx:
                await self._throttle.take_back(tx, charge)
            raise
        if not right:
            async with self._platform("recovery.change_failed") as tx:
                await audit.record(tx, actor, "password.changed", About.user(user), result="failure")
            raise _not_current()
        if password == current:
            raise invalid("The new password is the same as the old one.", code="password-unchanged")
        async with self._platform("recovery.change") as tx:
            if not await credentials.replace_password(tx, user, password_hash, instead_of=login.password_hash):
                raise _not_current()
            await self._throttle.succeeded(tx, charge)
            await password_reset_tokens.use_all(tx, user)
            await email_verifications.cancel_changes(tx, user)
            await notices.password_changed(tx, self._mailer, user, actor)
            await end_all_in(tx, actor, user, reason="password-changed", except_session_id=session_id)
            await audit.record(tx, actor, "password.changed", About.user(user))

    async def send_verification(self, *, organization_id: UUID, actor: Actor) -> None:
        """Send the signed-in user a link that shows that they read the mail of their address.

        Raises:
            DuoscopeError: CONFLICT `mail-not-configured` or `email-verified`; RATE_LIMITED `too-many-attempts`.
        """
        self._mailer.require()
        assert actor.user_id is not None
        async with self._platform("recovery.verification") as tx:
            to = await credentials.get_addressee(tx, UserRef(organization_id, actor.user_id))
            if to is None or to.email_verified:
                raise DuoscopeError(ErrorKind.CONFLICT, "email-verified", "Your address is already verified.")
            await self._charge_link(tx, to.email, actor)
            await self.queue_verification(tx, to)
            await audit.record(tx, actor, "email.verification-sent", About.user(to.user))

    async def change_address(self, principal: Principal, email: str) -> None:
        """Send a link to a new address, and inform the current one. Opening the link changes the address.

        Raises:
            DuoscopeError: FORBIDDEN `reauthentication-required`; CONFLICT `mail-not-configured`; INVALID for an invalid
                address, or `email-unchanged`; RATE_LIMITED `too-many-attempts`.
        """
        principal.require_recent()
        self._mailer.require()
        email = users.check_email(printable(email))
        user = principal.user
        async with self._platform("recovery.change_address") as tx:
            to = await credentials.get_addressee(tx, user)
            if to is None or to.email.lower() == email.lower():
                raise invalid("That is your address already.", code="email-unchanged")
            await self._charge_link(tx, email, principal.actor)
            await email_verifications.cancel_changes(tx, user)
            await self.queue_verification(tx, dataclasses.replace(to, email=email), in_session_id=principal.session_id)
            await notices.address_asked_for(tx, self._mailer, user, principal.actor, email)
            await audit.record(tx, principal.actor, "email.change-requested", About.user(user), after={"email": email})

    async def queue_verification(self, tx: Transaction, to: Addressee, *, in_session_id: UUID | None = None) -> None:
        """Queue a link for an address, in a transaction that does more, such as creating the user.

        Args:
            tx: queues the mail.
            to: the address, and its user or, with `in_session_id`, its future user.
            in_session_id: the session that requested the change.
        """
        token = "tfv-" + secrets.token_urlsafe(32)
        await email_verifications.create(
            tx,
            organization_id=to.organization_id,
            user_id=to.user_id,
            token_hash=_hash(token),
            email=to.email,
            lifetime_s=VERIFICATION_LIFETIME_S,
            asked_in_session_id=in_session_id,
        )
        await self._mailer.queue(
            tx,
            organization_id=to.organization_id,
            to=to.email,
            subject="Is this your address?",
            text=f"Hello,\n\nsomebody, probably you, uses {to.email} as their address in duoscope. If so, open\n\n"
            f"    {self._public_url}/email#{token}\n\n"
            f"It works once, for {VERIFICATION_LIFETIME_S // 3600} hours. Programs send what follows the # as `token` "
            f"to\nPOST {self._public_url}/api/v1/auth/email-verification/confirm\n",
        )

    async def verify(self, token: str, *, actor: Actor) -> None:
        """Verify the address of a link, or make it the user's if they requested the change.

        Raises:
            DuoscopeError: INVALID `verification-token-invalid` for every error of the link; CONFLICT `user-exists` if
                another user has taken the address meanwhile.
        """
        done = False
        if _VERIFICATION.fullmatch(token):
            async with self._platform("recovery.verify") as tx:
                found = await email_verifications.lock(tx, _hash(token))
                if found is not None:
                    await email_verifications.use_all(tx, found.user)
                    who = dataclasses.replace(actor, user_id=found.user_id, email=found.email)
                    done = await (self._take if found.asked_in_session_id else self._verify)(tx, found, who)
        if not done:
            raise invalid(
                "The link was used, has expired, or is not for your current address; ask for a new one.",
                code="verification-token-invalid",
            )

    async def _verify(self, tx: Transaction, found: EmailVerification, who: Actor) -> bool:
        if done := await credentials.verify_email(tx, found.user, found.email):
            await audit.record(tx, who, "email.verified", About.user(found.user))
        return done

    async def _take(self, tx: Transaction, found: EmailVerification, who: Actor) -> bool:
        user = found.user
        before = await credentials.get_addressee(tx, user)
        if before is None:
            return False
        await notices.address_changes(tx, self._mailer, user, who, found.email)
        await credentials.replace_email(tx, user, found.email)
        await password_reset_tokens.use_all(tx, user)
        await end_all_in(tx, who, user, reason="email-changed", except_session_id=found.asked_in_session_id)
        old, new = {"email": before.email}, {"email": found.email}
        await audit.record(tx, who, "email.changed", About.user(user), before=old, after=new)
        return True

    async def _charge_link(self, tx: Transaction, email: str, actor: Actor) -> None:
        """Raise RATE_LIMITED `too-many-attempts` if an address, or a client, had several links."""
        if not await self._throttle.charge_mail(tx, recipient=email, address=actor.ip_address):
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                "too-many-attempts",
                "Several mails were recently sent to that address; check its inbox, or try again in an hour.",
                retry_after_s=3600,
            )

    async def _reset_addressee(self, tx: Transaction, token: str) -> Addressee:
        found = await password_reset_tokens.lock(tx, _hash(token))
        to = await credentials.get_addressee(tx, found.user) if found else None
        # A link sent to an address that no longer belongs to the account is invalid.
        if found is None or to is None or to.email.lower() != found.email.lower():
            raise _no_reset()
        return to

    async def _check(self, password: str, to: Addressee) -> None:
        await self._rules.check(password, email=to.email, names=(to.first_name, to.last_name))

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_NOBODY_YET, name)


async def reset_password(
    tx: Transaction,
    actor: Actor,
    user: UserRef,
    password_hash: str,
    *,
    expires_at: datetime | None = None,
) -> None:
    """Set a password without the one before, and end what that one opened: sessions, devices, reset links."""
    await users.set_password(tx, user.user_id, password_hash, expires_at=expires_at)
    await password_reset_tokens.use_all(tx, user)
    await trusted_devices.remove_all(tx, user)
    await end_all_in(tx, actor, user, reason="password-reset")
    await audit.record(tx, actor, "password.reset", About.user(user))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _no_reset() -> DuoscopeError:
    return invalid("The link was used or has expired; ask for a new one.", code="reset-token-invalid")


def _not_current() -> DuoscopeError:
    return DuoscopeError(ErrorKind.FORBIDDEN, "current-password-wrong", "The current password is wrong.")
