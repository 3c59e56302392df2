"""Second factors: TOTP with backup codes. Enrolling, using, removing; every code works once, and guessing is slowed
down.

At any time the code of one time step is valid, for 30 seconds. Two consecutive codes with the same offset show that the
authenticator's clock is wrong; from then on its own time step is the valid one.

An attempt is counted before it is checked, and the count is undone if it was correct, so that simultaneous guesses
cannot get around it. Argon2 runs outside of transactions. Every change of a second factor ends the user's other
sessions and informs the user by mail.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.delivery.mail import Mailer
from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication import notices, totp
from duoscope.identity.authentication.reauthentication import Reauthentication
from duoscope.identity.authentication.second_factor import MISSING, Attempt
from duoscope.identity.authentication.session_ends import end_all_in
from duoscope.identity.authorization.permissions import Authority, Principal
from duoscope.identity.directory import users as people
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, no_such_user
from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import mfa_secrets, user_sessions, users
from duoscope.metadata.mfa_secrets import MfaSecret
from duoscope.secrets.box import Cell, SecretBox
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore, Transaction

DEVICE_TRUSTED_FOR: Final = timedelta(days=30)
"""How long a trusted device replaces the second factor that was last used on it."""
_PERSON: Final = PlatformScope(reason="a second factor is a person's, and shown before there is a scope")


class MfaStatus(Struct, frozen=True):
    """The state of a user's second factor."""

    is_enabled: bool
    enabled_at: datetime | None
    backup_codes_left: Annotated[int, Meta(examples=[10])]
    is_required: Annotated[
        bool, Meta(description="Your organization's policy; without a second factor you may then only enrol one.")
    ]


class MfaEnrolment(Struct, frozen=True):
    """The data for an authenticator app, shown once; it takes effect once a code has confirmed it."""

    secret: Annotated[str, Meta(description="In base32, for typing.", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])]
    otpauth_uri: Annotated[
        str, Meta(examples=["otpauth://totp/duoscope:ada%40example.com?secret=JBSW…&issuer=duoscope"])
    ]
    qr_svg: Annotated[str, Meta(description="The URI as a QR code: an SVG image.")]

    def __repr__(self) -> str:
        """A text without the secret, which all three fields contain."""
        return "MfaEnrolment(…)"


class SecondFactors:
    """The second factors of all users. `clock` returns seconds since the epoch."""

    def __init__(
        self,
        store: MetadataStore,
        box: SecretBox,
        hasher: SlowHasher,
        keys: SecretKeys,
        *,
        mailer: Mailer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._store = store
        self._box = box
        self._hasher = hasher
        self._mailer = mailer
        self._reauthentication = Reauthentication(store, hasher, keys)

    async def status(self, principal: Principal) -> MfaStatus:
        """The state of the principal's second factor."""
        async with self._store.open(principal.scope, "mfa.status") as tx:
            required = await mfa_secrets.is_required(tx, principal.scope.organization_id)
            secret = await mfa_secrets.get(tx, principal.user)
            if secret is None or not secret.is_enabled:
                return MfaStatus(is_enabled=False, enabled_at=None, backup_codes_left=0, is_required=required)
            left = len(await self._backup_hashes(tx, secret))
        return MfaStatus(True, secret.enabled_at, left, required)  # noqa: FBT003 - fields in order

    async def show(self, principal: Principal, *, password: str | None, code: str | None) -> tuple[str, ...]:
        """Reauthenticate a signed-in user by a password, a code, or both. Returns the methods.

        Raises:
            DuoscopeError: INVALID for neither; FORBIDDEN `password-wrong`, `sso-required` or `mfa-code-invalid`;
                CONFLICT `mfa-not-enabled`; RATE_LIMITED `too-many-attempts` or `mfa-throttled`.
        """
        if password is None and code is None:
            raise invalid("Give your password, or mfa_code, or both.")
        shown: tuple[str, ...] = ()
        if password is not None:
            await self._reauthentication.require_password(principal, password)
            shown += ("password",)
        if code is not None:
            shown += (await self._require_own(principal, code),)
        return shown

    async def enrol(self, principal: Principal, password: str | None) -> MfaEnrolment:
        """Make a new secret, in place of one that was never confirmed.

        Raises:
            DuoscopeError: FORBIDDEN `password-wrong`, `sso-required` or, without a password,
                `reauthentication-required`; CONFLICT `mfa-enabled`.
        """
        await self._reauthentication.require(principal, password)
        secret, mfa_id, organization_id = totp.new_secret(), new_id(), principal.scope.organization_id
        async with self._store.open(principal.scope, "mfa.enrol") as tx:
            sealed = await self._box.seal(
                tx, secret.encode(), _secret_cell(organization_id=organization_id, mfa_id=mfa_id)
            )
            if not await mfa_secrets.replace(
                tx, organization_id=organization_id, mfa_id=mfa_id, user_id=principal.user_id, secret_encrypted=sealed
            ):
                raise _conflict("mfa-enabled", "You have a second factor; disable it before you enrol another.")
            await audit.record(tx, principal.actor, "mfa.enrolled", About.user(principal.user))
        uri = totp.uri(secret, principal.actor.email)
        return MfaEnrolment(secret, uri, totp.qr_svg(uri))

    async def confirm(self, principal: Principal, code: str) -> list[str]:
        """Enable an enrolment, by a code of it. Returns the backup codes, which are shown once.

        Raises:
            DuoscopeError: CONFLICT `mfa-not-enrolled`; FORBIDDEN `mfa-code-invalid`; RATE_LIMITED `mfa-throttled`.
        """
        is_right = False
        async with self._store.open(principal.scope, "mfa.confirm") as tx:
            secret = await mfa_secrets.lock(tx, principal.user)
            if secret is None or secret.is_enabled:
                raise _conflict("mfa-not-enrolled", "There is no enrolment to confirm; begin one.")
            _refuse_locked(secret)
            await mfa_secrets.charge(tx, secret)
            if totp.is_totp(totp.plain(code)):
                is_right = await self._take_totp(tx, secret, totp.plain(code))
        if not is_right:
            raise _wrong(ErrorKind.FORBIDDEN)
        codes = totp.new_backup_codes()
        hashes = {code[0]: await self._hasher.hash(code) for code in codes}
        async with self._platform("mfa.enable") as tx:
            sealed = await self._seal_backup_hashes(tx, secret, hashes)
            if not await mfa_secrets.enable(tx, secret, backup_codes_encrypted=sealed):
                raise _conflict("mfa-not-enrolled", "The enrolment has changed meanwhile; begin again.")
            await user_sessions.add_method(tx, principal.session, "otp")
            await self._changed(tx, principal, "enabled")
        return [totp.shown(code) for code in codes]

    async def renew_backup_codes(self, principal: Principal, code: str) -> list[str]:
        """Replace all backup codes by ten new ones. Needs a code.

        Raises:
            DuoscopeError: CONFLICT `mfa-not-enabled`; FORBIDDEN `mfa-code-invalid`; RATE_LIMITED `mfa-throttled`.
        """
        await self._require_own(principal, code)
        codes = totp.new_backup_codes()
        hashes = {code[0]: await self._hasher.hash(code) for code in codes}
        async with self._platform("mfa.renew_backup_codes") as tx:
            secret = await mfa_secrets.lock(tx, principal.user)
            if secret is None or not secret.is_enabled:
                raise _not_enabled(ErrorKind.CONFLICT)
            await mfa_secrets.set_backup_codes(tx, secret, await self._seal_backup_hashes(tx, secret, hashes))
            await self._changed(tx, principal, "backup-codes-renewed")
        return [totp.shown(code) for code in codes]

    async def disable(self, principal: Principal, password: str | None, code: str) -> None:
        """Disable the second factor. Needs the password, or a recent login, and a code.

        Raises:
            DuoscopeError: CONFLICT `mfa-required-by-organization` or `mfa-not-enabled`; FORBIDDEN `password-wrong` or
                `mfa-code-invalid`; RATE_LIMITED `mfa-throttled`.
        """
        async with self._store.open(principal.scope, "mfa.is_required") as tx:
            if await mfa_secrets.is_required(tx, principal.scope.organization_id):
                raise _conflict("mfa-required-by-organization", "Your organization requires a second factor.")
        await self._reauthentication.require(principal, password)
        await self._require_own(principal, code)
        async with self._platform("mfa.disable") as tx:
            await mfa_secrets.delete(tx, principal.user)
            await self._changed(tx, principal, "disabled")

    async def reset(self, authority: Authority, user_id: UUID) -> None:
        """Remove a user's lost second factor, and end all their sessions.

        Raises:
            DuoscopeError: NOT_FOUND; FORBIDDEN `beyond-own-permissions` or `user-not-at-home`; CONFLICT
                `mfa-not-enabled`.
        """
        await people.require_manageable(self._store, authority, user_id)
        async with self._platform("mfa.reset") as tx:
            await _reset(tx, self._mailer, authority.actor, UserRef(authority.organization_id, user_id))

    async def check(self, attempt: Attempt) -> tuple[str, ...]:
        """Check the second factor of a login whose password was correct. Call it outside of transactions.

        Returns:
            The methods: `("otp",)`, `("backup-code",)`, `("device",)` for a trusted device on which a second factor was
            recently used, or nothing if none is needed.

        Raises:
            DuoscopeError: UNAUTHENTICATED `mfa-required` or `mfa-code-invalid`; RATE_LIMITED `mfa-throttled`; INVALID
                `mfa-not-enabled` for a code of a user without a second factor.
        """
        if attempt.mfa_code is not None:
            return (await self._present(attempt.user, attempt.mfa_code, attempt.actor),)
        async with self._platform("mfa.is_enabled") as tx:
            secret = await mfa_secrets.get(tx, attempt.user)
        if secret is None or secret.enabled_at is None:
            return ()
        shown_at = attempt.device.mfa_at if attempt.device else None
        if shown_at is not None and shown_at >= secret.enabled_at and now() - shown_at < DEVICE_TRUSTED_FOR:
            return ("device",)
        raise DuoscopeError(
            ErrorKind.UNAUTHENTICATED,
            MISSING,
            "The password is correct; log in again with `mfa_code`, from your authenticator app or a backup code.",
        )

    async def _require_own(self, principal: Principal, code: str) -> str:
        try:
            return await self._present(principal.user, code, principal.actor)
        except DuoscopeError as error:
            if error.code == "mfa-not-enabled":
                raise _not_enabled(ErrorKind.CONFLICT) from error
            if error.kind is ErrorKind.UNAUTHENTICATED:
                # The session is valid: a 401 would make clients refresh it.
                raise _wrong(ErrorKind.FORBIDDEN) from error
            raise

    async def _present(self, user: UserRef, code: str, actor: Actor) -> str:
        typed = totp.plain(code)
        place = totp.backup_place(typed)
        hashed: str | None = None
        async with self._platform("mfa.present") as tx:
            secret = await mfa_secrets.lock(tx, user)
            if secret is None or not secret.is_enabled:
                raise _not_enabled(ErrorKind.INVALID)
            _refuse_locked(secret)
            await mfa_secrets.charge(tx, secret)
            if totp.is_totp(typed):
                if await self._take_totp(tx, secret, typed):
                    return "otp"
            elif place is not None:
                hashed = (await self._backup_hashes(tx, secret)).get(place)
            if hashed is None:
                await self._record_failure(tx, actor, secret)
        if hashed is not None and await self._use_backup_code(secret, hashed, typed, actor):
            return "backup-code"
        raise _wrong(ErrorKind.UNAUTHENTICATED)

    async def _use_backup_code(self, secret: MfaSecret, hashed: str, typed: str, actor: Actor) -> bool:
        right = await self._hasher.verify(hashed, typed)
        async with self._platform("mfa.backup_code") as tx:
            current = await mfa_secrets.lock(tx, secret.user)
            left = await self._backup_hashes(tx, current) if current and current.is_enabled else {}
            if current is None or not right or left.get(typed[0]) != hashed:
                await self._record_failure(tx, actor, secret)
                return False
            del left[typed[0]]
            await mfa_secrets.set_backup_codes(tx, current, await self._seal_backup_hashes(tx, current, left))
            about = About.user(secret.user)
            after = {"backup_codes_left_count": len(left)}
            await audit.record(tx, actor, "mfa.backup-code-used", about, after=after)
        return True

    async def _take_totp(self, tx: Transaction, secret: MfaSecret, typed: str) -> bool:
        """Use up the code if it is correct now, by the authenticator's own clock."""
        found = totp.match(
            await self._totp_secret(tx, secret),
            typed,
            after=secret.last_step,
            offset_steps=secret.clock_offset_steps,
            now_s=self._clock(),
        )
        if found is None:
            return False
        follows = (
            secret.stray_step is not None
            and secret.stray_offset_steps == found.offset_steps
            and 0 < found.step - secret.stray_step <= totp.RESYNC_STEPS_MAX
        )
        if follows or found.offset_steps == secret.clock_offset_steps:
            await mfa_secrets.accept_step(tx, secret, found.step, offset_steps=found.offset_steps)
            return True
        await mfa_secrets.note_stray(tx, secret, found.step, offset_steps=found.offset_steps)
        return False

    async def _totp_secret(self, tx: Transaction, secret: MfaSecret) -> str:
        cell = _secret_cell(organization_id=secret.organization_id, mfa_id=secret.mfa_id)
        return (await self._box.open(tx, secret.secret_encrypted, cell)).decode()

    async def _backup_hashes(self, tx: Transaction, secret: MfaSecret) -> dict[str, str]:
        """Argon2id hashes of the remaining codes, by their number."""
        if secret.backup_codes_encrypted is None:
            return {}
        cell = _backup_cell(secret)
        return json.loads(await self._box.open(tx, secret.backup_codes_encrypted, cell))

    async def _seal_backup_hashes(self, tx: Transaction, secret: MfaSecret, hashes: dict[str, str]) -> str:
        cell = _backup_cell(secret)
        return await self._box.seal(tx, json.dumps(hashes).encode(), cell)

    async def _changed(self, tx: Transaction, principal: Principal, what: str) -> None:
        user, actor = principal.user, principal.actor
        await notices.second_factor_changed(tx, self._mailer, user, actor)
        await end_all_in(tx, actor, user, reason=f"mfa-{what}", except_session_id=principal.session_id)
        await audit.record(tx, actor, f"mfa.{what}", About.user(user))

    async def _record_failure(self, tx: Transaction, actor: Actor, secret: MfaSecret) -> None:
        about = About.user(secret.user)
        await audit.record(tx, actor, "mfa.presented", about, result="failure")

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_PERSON, name)


async def reset_by_operator(store: MetadataStore, mailer: Mailer, actor: Actor, email: str) -> None:
    """Remove the second factor of the user with that address. Raises NOT_FOUND; CONFLICT `mfa-not-enabled`."""
    async with store.open_platform(_PERSON, "mfa.reset_by_operator") as tx:
        login = await users.find_login(tx, email)
        if login is None:
            raise no_such_user()
        await _reset(tx, mailer, actor, login.user)


async def _reset(tx: Transaction, mailer: Mailer, actor: Actor, user: UserRef) -> None:
    if not await mfa_secrets.delete(tx, user):
        raise _conflict("mfa-not-enabled", "The user has no second factor.")
    await notices.second_factor_changed(tx, mailer, user, actor)
    await end_all_in(tx, actor, user, reason="mfa-reset")
    await audit.record(tx, actor, "mfa.reset", About.user(user))


def _secret_cell(*, organization_id: UUID, mfa_id: UUID) -> Cell:
    return Cell("mfa_secrets", "secret_encrypted", (organization_id, mfa_id))


def _backup_cell(secret: MfaSecret) -> Cell:
    return Cell("mfa_secrets", "backup_codes_encrypted", (secret.organization_id, secret.mfa_id))


def _refuse_locked(secret: MfaSecret) -> None:
    if secret.locked_for_s is not None:
        raise DuoscopeError(
            ErrorKind.RATE_LIMITED,
            "mfa-throttled",
            "Too many wrong codes; wait before the next one.",
            retry_after_s=secret.locked_for_s,
        )


def _conflict(code: str, message: str) -> DuoscopeError:
    return DuoscopeError(ErrorKind.CONFLICT, code, message)


def _not_enabled(kind: ErrorKind) -> DuoscopeError:
    if kind is ErrorKind.INVALID:
        return invalid("This account has no second factor; leave `mfa_code` out.", code="mfa-not-enabled")
    return DuoscopeError(kind, "mfa-not-enabled", "You have no second factor.")


def _wrong(kind: ErrorKind) -> DuoscopeError:
    return DuoscopeError(
        kind,
        "mfa-code-invalid",
        "The code is wrong, already used, or expired; send the next one that your app shows.",
    )
