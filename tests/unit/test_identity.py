"""Tokens, permissions and the form of API keys: what needs no store."""

import stat
import time

import jwt
import pytest

from duoscope.identity.api_keys import verifier
from duoscope.identity.authentication import access_tokens
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.signing_keys import Key
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Claims, Principal
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.identity.passwords.rules import check_password
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import OrganizationScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata.permissions import Grant
from duoscope.secrets.keys import SecretKeys

_KEYS = SecretKeys((b"k" * 32,))
_OLD, _NEW = Key("a" * 16, b"a" * 64, 0.0), Key("b" * 16, b"b" * 32, 0.0)
_GRANT = Grant(new_id(), new_id(), new_id(), frozenset({"log:read", "log:write", "api-key:admin"}))


class _Ring:
    """Keys that never change, the signing one first."""

    def __init__(self, *keys: Key) -> None:
        self._keys = {key.kid: key for key in keys}

    def signing(self) -> Key:
        return next(iter(self._keys.values()))

    def verifying(self, kid: str) -> bytes | None:
        return self._keys[kid].secret if kid in self._keys else None

    async def learn(self, kid: str) -> None:
        pass


def test_access_token_carries_who_and_where_and_not_what_they_may_do():
    user_id, session_id = new_id(), new_id()
    token = AccessTokens(_Ring(_OLD)).issue(_GRANT, user_id=user_id, session_id=session_id)
    scope = Scope(_GRANT.organization_id, _GRANT.workspace_id, _GRANT.tenant_id)
    assert AccessTokens(_Ring(_OLD)).verify(token) == Claims(scope, user_id, session_id)
    assert "log" not in str(jwt.decode(token, options={"verify_signature": False}))


def _principal(*here: str, everywhere: tuple[str, ...] = (), platform: bool = False) -> Principal:
    scope = Scope(new_id(), new_id(), new_id())
    held = frozenset((*here, *everywhere))
    return Principal(scope, new_id(), new_id(), held, frozenset(everywhere), platform)


def _refused(kind: ErrorKind, code: str, call, *arguments) -> None:
    with pytest.raises(DuoscopeError) as refused:
        call(*arguments)
    assert (refused.value.kind, refused.value.code) == (kind, code)


def test_a_permission_reaches_as_far_as_it_is_held():
    principal = _principal("user:read", "log:read", everywhere=("role:read",))
    principal.require("log:read")
    _refused(ErrorKind.FORBIDDEN, "permission-denied", principal.require, "log:delete")
    assert principal.over("user:read").scope == principal.scope
    assert principal.over("role:read").scope == OrganizationScope(principal.scope.organization_id)
    assert principal.over_organization("role:read").is_organization_wide
    _refused(ErrorKind.FORBIDDEN, "permission-denied", principal.over, "user:write")
    _refused(ErrorKind.FORBIDDEN, "permission-denied", principal.over_organization, "user:read")
    _refused(ErrorKind.NOT_FOUND, "not-found", principal.over, "role:read", new_id())
    _refused(ErrorKind.FORBIDDEN, "permission-denied", principal.require_platform_admin)


def test_nobody_gives_more_than_they_hold():
    principal = _principal("user:admin", "log:read", everywhere=("role:read",))
    authority = principal.over("user:admin")
    here, elsewhere = principal.scope.tenant_id, new_id()
    authority.require_held(frozenset({"log:read", "role:read"}), here)
    authority.require_held(frozenset({"role:read"}), elsewhere)
    authority.require_held(frozenset({"role:read"}), None)
    code = "beyond-own-permissions"
    _refused(ErrorKind.FORBIDDEN, code, authority.require_held, frozenset({"log:write"}), here)
    _refused(ErrorKind.FORBIDDEN, code, authority.require_held, frozenset({"log:read"}), elsewhere)
    _refused(ErrorKind.FORBIDDEN, code, authority.require_held, frozenset({"log:read"}), None)


def test_platform_admins_manage_every_organization():
    principal, organization_id = _principal(platform=True), new_id()
    authority = principal.over("user:admin", organization_id)
    assert authority.scope == OrganizationScope(organization_id)
    authority.require_held(ROLE_PERMISSIONS, None)
    _refused(ErrorKind.FORBIDDEN, "permission-denied", principal.require, "log:read")


def test_both_secrets_of_a_rotation_verify_and_strangers_do_not():
    old = AccessTokens(_Ring(_OLD)).issue(_GRANT, user_id=new_id(), session_id=new_id())
    rotated = AccessTokens(_Ring(_NEW, _OLD))
    rotated.verify(old)
    new = rotated.issue(_GRANT, user_id=new_id(), session_id=new_id())
    rotated.verify(new)
    with pytest.raises(DuoscopeError):
        AccessTokens(_Ring(_OLD)).verify(new)


def test_forged_and_expired_tokens_are_refused(monkeypatch):
    access = AccessTokens(_Ring(_OLD))
    good = access.issue(_GRANT, user_id=new_id(), session_id=new_id())
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    headers = {"kid": kid, "typ": "at+jwt"}
    access.verify(jwt.encode(claims, _OLD.secret, headers=headers))
    for forged in (
        "",
        "a.b.c",
        good[:-4] + "AAAA",
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, "x" * 32, headers={"kid": kid}),
        jwt.encode(claims | {"ten": "all"}, _OLD.secret, headers=headers),
        jwt.encode(claims, _OLD.secret, headers={"kid": kid}),
        jwt.encode(claims | {"aud": "another"}, _OLD.secret, headers=headers),
        jwt.encode(claims | {"iss": "another"}, _OLD.secret, headers=headers),
        jwt.encode(claims | {"nbf": claims["nbf"] + 3600}, _OLD.secret, headers=headers),
        jwt.encode({k: v for k, v in claims.items() if k != "aud"}, _OLD.secret, headers=headers),
        jwt.encode(claims, _OLD.secret, "HS512", headers=headers),
    ):
        with pytest.raises(DuoscopeError) as refused:
            access.verify(forged)
        assert (refused.value.kind, refused.value.code) == (ErrorKind.UNAUTHENTICATED, "token-invalid")
    past = time.time() - 2 * access_tokens.ACCESS_LIFETIME_S
    monkeypatch.setattr(access_tokens.time, "time", lambda: past)
    old = access.issue(_GRANT, user_id=new_id(), session_id=new_id())
    monkeypatch.undo()
    with pytest.raises(DuoscopeError, match="expired"):
        access.verify(old)


def test_secret_file_is_made_once_and_private(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    first = SecretKeys.load(settings)
    assert SecretKeys.load(settings) == first
    assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]
    assert "k" * 8 not in repr(_KEYS)
    with pytest.raises(DuoscopeError, match="DUOSCOPE_SECRET_KEY needs 32"):
        SecretKeys.load(Settings(secret_key="short"))
    assert len(SecretKeys.load(Settings(secret_key=f"{'a' * 32}, {'b' * 32}")).derive("x")) == 2


def test_every_slip_in_an_api_key_is_caught_without_a_store():
    new = verifier.generate()
    assert verifier.parse(new.presented) == (new.key_id, new.secret)
    assert len({verifier.generate().presented for _ in range(50)}) == 50
    for position in range(len(new.presented)):
        for other in "aZ0.":
            slipped = new.presented[:position] + other + new.presented[position + 1 :]
            assert slipped == new.presented or verifier.parse(slipped) is None
    for garbage in ("", new.presented + "\n", new.presented[1:], "tfk-" + "ä" * 60):
        assert verifier.parse(garbage) is None


async def test_hasher_refuses_when_its_queue_is_full():
    hasher = SlowHasher(threads=1, waiting_max=2)
    stored = await hasher.hash("correct horse")
    assert await hasher.verify(stored, "correct horse")
    assert not await hasher.verify(stored, "wrong")
    assert not await hasher.verify(None, "correct horse")
    assert not await hasher.verify("no hash at all", "x")
    assert not await hasher.verify(stored, "x" * 10_000)
    assert not hasher.is_outdated(stored)
    waiting = [hasher.verify(stored, "correct horse") for _ in range(2)]
    import asyncio

    tasks = [asyncio.ensure_future(one) for one in waiting]
    await asyncio.sleep(0)
    with pytest.raises(DuoscopeError) as full:
        await hasher.verify(stored, "correct horse")
    assert full.value.kind is ErrorKind.UNAVAILABLE
    assert await asyncio.gather(*tasks) == [True, True]
    assert await hasher.verify(stored, "correct horse")
    hasher.close()


@pytest.mark.parametrize("password", ["short", "x" * 600])
def test_unreasonable_passwords_are_refused(password):
    with pytest.raises(DuoscopeError):
        check_password(password)
