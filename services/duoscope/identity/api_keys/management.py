"""Creates, changes, rotates and revokes API keys, each with its entry in the audit log.

A key may do no more than its maker, and for no longer; a change is checked like a creation.

Work within a transaction takes `tx`; Argon2id runs before one begins. A secret is returned once, to the caller who
requested it, and is stored nowhere.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from duoscope.identity.api_keys import form
from duoscope.identity.api_keys.form import NewKey
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import NOW, Held, require_held
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, require_found
from duoscope.kernel.scope import Scope
from duoscope.metadata import api_keys
from duoscope.metadata.api_keys import ALERT_PERMISSIONS, BROWSER_PERMISSIONS, RATE_LIMIT_MAX, READ_PERMISSIONS, ApiKey
from duoscope.net.addresses import Network, parse_networks
from duoscope.net.origins import ANY
from duoscope.stores.postgres import MetadataStore, Transaction

Fields = dict[str, Any] | None
GRACE_DEFAULT_S: Final = 24 * 3600
GRACE_MAX_S: Final = 30 * 24 * 3600
BROWSER_RATE_LIMIT_DEFAULT: Final = 6_000
"""Requests per minute of a key for browsers: what 500 open pages send that export every five seconds."""

HELD_FOR: Final = {
    "traces:write": ("trace:write",),
    "metrics:write": ("metric:write",),
    "logs:write": ("log:write",),
    "monitors:report": ("uptime-monitor:write",),
    "traces:read": ("trace:read",),
    "metrics:read": ("metric:read",),
    "logs:read": ("log:read",),
    "alerts:read": ("alert:read", "silence:read"),
    "alerts:write": ("alert:write", "silence:write", "silence:delete"),
}
"""The permissions that a user must hold to create a key with a permission, or to get a new secret of it."""


class Holder(Protocol):
    """The caller: a Principal."""

    @property
    def scope(self) -> Scope:
        """The tenant."""
        ...

    @property
    def actor(self) -> Actor:
        """The actor for the audit log."""
        ...

    @property
    def held(self) -> Held:
        """The permissions held in the tenant, and until when."""
        ...


@dataclass(frozen=True, slots=True)
class KeyWish:
    """The properties of a key to be created."""

    name: str
    permissions: tuple[str, ...]
    description: str = ""
    expires_at: datetime | None = None
    rate_limit: int | None = None
    allowed_addresses: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    is_browser_only: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A key, and the text with its new secret, which is shown once."""

    key: ApiKey
    presented: str = field(repr=False)


class ApiKeyManagement:
    """Manages keys for users, in the tenant they work in."""

    def __init__(self, store: MetadataStore, hasher: SlowHasher, quota: Quota = DEFAULT_QUOTA) -> None:
        self._store = store
        self._hasher = hasher
        self._quota = quota

    async def create(self, holder: Holder, wish: KeyWish) -> Made:
        """Create a key.

        Raises:
            DuoscopeError: INVALID; FORBIDDEN `beyond-own-permissions` for a key that may do more than its maker, or for
                longer; CONFLICT `organization-limit-reached`.
        """
        permissions = api_keys.check_permissions(wish.permissions)
        _require_held(holder, permissions, wish.expires_at)
        new = form.generate()
        secret_hash = await self._hasher.hash(new.secret)
        async with self._store.open(holder.scope, "api_keys.create") as tx:
            await self._quota.require_room(tx, holder.scope.organization_id, "api_keys")
            return await create(tx, holder.actor, new, secret_hash, wish)

    async def change(self, holder: Holder, api_key_id: UUID, fields: dict[str, Any]) -> ApiKey:
        """Change a key's name, description, rate_limit, allowed_addresses, allowed_origins or expires_at.

        Raises:
            DuoscopeError: INVALID, NOT_FOUND, CONFLICT `api-key-revoked`; FORBIDDEN `beyond-own-permissions` if the
                change widens the key and the holder could not create such a key.
        """
        if "allowed_addresses" in fields:
            fields |= {"allowed_addresses": api_keys.check_addresses(fields["allowed_addresses"])}
        if "allowed_origins" in fields:
            fields |= {"allowed_origins": api_keys.check_origins(fields["allowed_origins"])}
        async with self._store.open(holder.scope, "api_keys.change") as tx:
            before = await _living(tx, api_key_id)
            after = dataclasses.replace(before, **fields)
            _check(after.rate_limit, fields.get("expires_at"))
            _check_pages(after)
            if after == before:
                return before
            if _may_do(after) != _may_do(before):
                _require_held(holder, before.permissions, NOW if _is_narrower(before, after) else after.expires_at)
            await api_keys.change(tx, after)
            stored = await api_keys.get(tx, api_key_id)
            assert stored is not None
            await audit.changed(tx, holder.actor, before, stored)
            return stored

    async def rotate(self, holder: Holder, api_key_id: UUID, *, grace_s: int = GRACE_DEFAULT_S) -> Made:
        """Give a key a new secret. The current one keeps working for `grace_s`; an earlier one stops working.

        Raises:
            DuoscopeError: INVALID, NOT_FOUND, CONFLICT `api-key-revoked`, or `api-key-rotated` for a rotation at the
                same moment, since two would end the secret in use; FORBIDDEN `beyond-own-permissions`, because whoever
                gets the secret can do what the key can.
        """
        async with self._store.open(holder.scope, "api_keys.find") as tx:
            key = await _living(tx, api_key_id)
        _require_held(holder, key.permissions, key.expires_at)
        new = form.generate(key.key_id)
        secret_hash = await self._hasher.hash(new.secret)
        async with self._store.open(holder.scope, "api_keys.rotate") as tx:
            if (await _living(tx, api_key_id)).rotated_at != key.rotated_at:
                raise DuoscopeError(
                    ErrorKind.CONFLICT,
                    "api-key-rotated",
                    "This API key was rotated at the same moment; check it before you rotate it again.",
                )
            return await rotate(tx, holder.actor, api_key_id, new, secret_hash, grace_s=grace_s)

    async def revoke(self, holder: Holder, api_key_id: UUID, *, reason: str) -> ApiKey:
        """Revoke a key for good; every receiver refuses it within 2 s. A key that was already revoked stays as it was.

        Raises:
            DuoscopeError: NOT_FOUND.
        """
        async with self._store.open(holder.scope, "api_keys.revoke") as tx:
            return await revoke(tx, holder.actor, api_key_id, reason=reason, revoked_by=holder.actor.user_id)


async def create(tx: Transaction, actor: Actor, new: NewKey, secret_hash: str, wish: KeyWish) -> Made:
    """Create a key in the transaction's tenant, or in the one that a platform transaction has entered.

    A key for browsers only gets a rate limit if `wish` has none.
    """
    if wish.is_browser_only and wish.rate_limit is None:
        wish = dataclasses.replace(wish, rate_limit=BROWSER_RATE_LIMIT_DEFAULT)
    _check_pages(wish)
    _check(wish.rate_limit, wish.expires_at)
    api_key_id = await api_keys.create(
        tx,
        key_id=new.key_id,
        secret_hash=secret_hash,
        name=wish.name,
        permissions=wish.permissions,
        description=wish.description,
        expires_at=wish.expires_at,
        rate_limit=wish.rate_limit,
        allowed_addresses=wish.allowed_addresses,
        allowed_origins=wish.allowed_origins,
        is_browser_only=wish.is_browser_only,
    )
    key = await api_keys.get(tx, api_key_id)
    assert key is not None
    await audit.created(tx, actor, key)
    return Made(key, new.presented)


async def rotate(
    tx: Transaction, actor: Actor, api_key_id: UUID, new: NewKey, secret_hash: str, *, grace_s: int
) -> Made:
    """Give a new secret to a key that the transaction may see. Raises NOT_FOUND, CONFLICT, INVALID."""
    if not 0 <= grace_s <= GRACE_MAX_S:
        raise invalid(f"The grace period must be from 0 to {GRACE_MAX_S} seconds.")
    before = await _living(tx, api_key_id)
    await api_keys.rotate(tx, before, secret_hash=secret_hash, grace_s=float(grace_s))
    after = await api_keys.get(tx, api_key_id)
    assert after is not None
    await audit.changed(tx, actor, before, after, action="rotated")
    return Made(after, new.presented)


async def revoke(
    tx: Transaction, actor: Actor, api_key_id: UUID, *, reason: str, revoked_by: UUID | None = None
) -> ApiKey:
    """Revoke a key that the transaction may see. Raises NOT_FOUND."""
    before = require_found(await api_keys.lock(tx, api_key_id), "API key")
    if before.status == "revoked":
        return before
    await api_keys.revoke(tx, before.key_id, reason=reason, revoked_by=revoked_by)
    after = await api_keys.get(tx, api_key_id)
    assert after is not None
    await audit.changed(tx, actor, before, after, action="revoked")
    return after


async def _living(tx: Transaction, api_key_id: UUID) -> ApiKey:
    key = require_found(await api_keys.lock(tx, api_key_id), "API key")
    if key.status == "revoked":
        raise DuoscopeError(
            ErrorKind.CONFLICT, "api-key-revoked", "This API key was revoked, which is final; create another one."
        )
    return key


def _check(rate_limit: int | None, expires_at: datetime | None) -> None:
    if rate_limit is not None and not 1 <= rate_limit <= RATE_LIMIT_MAX:
        raise invalid(f"rate_limit is from 1 to {RATE_LIMIT_MAX} requests a minute, or null for no limit.")
    if expires_at is not None and expires_at <= now():
        raise invalid("expires_at must be in the future; to end a key now, revoke it.")


def _check_pages(key: ApiKey | KeyWish) -> None:
    """Everybody who can open a page has its key, so such a key only sends."""
    if key.allowed_origins and not (READ_PERMISSIONS | ALERT_PERMISSIONS).isdisjoint(key.permissions):
        raise invalid(
            "A key with allowed_origins is in pages, where everybody can read it: it cannot have a read permission. "
            "Make another key for reading."
        )
    if not key.is_browser_only:
        return
    if not key.allowed_origins:
        raise invalid('A key for browsers only needs allowed_origins, such as ["https://shop.example.com"].')
    if not BROWSER_PERMISSIONS.issuperset(key.permissions):
        raise invalid(f"A key for browsers only may have no permissions but {', '.join(sorted(BROWSER_PERMISSIONS))}.")
    if key.rate_limit is None:
        raise invalid("A key for browsers only needs a rate_limit, because everybody can read it in the page.")


def _may_do(key: ApiKey) -> tuple[object, ...]:
    return key.expires_at, key.rate_limit, key.allowed_addresses, key.allowed_origins


def _is_narrower(before: ApiKey, after: ApiKey) -> bool:
    """Whether the changed key may do nothing that it might not do before."""
    ends_no_later = before.expires_at is None or (
        after.expires_at is not None and after.expires_at <= before.expires_at
    )
    is_no_faster = before.rate_limit is None or (after.rate_limit is not None and after.rate_limit <= before.rate_limit)
    old, new = parse_networks(before.allowed_addresses), parse_networks(after.allowed_addresses)
    is_within = not old or (bool(new) and all(any(_is_part(each, of) for of in old) for each in new))
    has_no_more_pages = after.allowed_origins == before.allowed_origins or (
        bool(after.allowed_origins)
        and (ANY in before.allowed_origins or set(after.allowed_origins) <= set(before.allowed_origins))
    )
    return ends_no_later and is_no_faster and is_within and has_no_more_pages


def _is_part(network: Network, of: Network) -> bool:
    return network.version == of.version and network[0] in of and network[-1] in of


def _require_held(holder: Holder, permissions: Iterable[str], until: datetime | None) -> None:
    require_held(holder.held, {held for permission in permissions for held in HELD_FOR[permission]}, until)
