"""Login, rotation, reuse and logout on the real PostgreSQL."""

import asyncio

import asyncpg
import pytest

from duoscope.identity import administration
from duoscope.identity.access import Access
from duoscope.identity.sessions import Sessions
from duoscope.identity.tokens import AccessTokens
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import Scope
from duoscope.metadata import users

PASSWORD = "correct horse battery"


@pytest.fixture
def tokens(secret_keys):
    return AccessTokens(secret_keys)


@pytest.fixture
def sessions(metadata_store, hasher, tokens, secret_keys):
    return Sessions(metadata_store, hasher, tokens, secret_keys)


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def _refused(awaitable, code: str) -> None:
    with pytest.raises(DuoscopeError) as refused:
        await awaitable
    assert (refused.value.kind, refused.value.code) == (ErrorKind.UNAUTHENTICATED, code)


async def test_login_gives_the_tenants_scope_and_the_roles_permissions(sessions, tokens, inhabited, metadata_store):
    pair = await sessions.login("ONE@example.com", PASSWORD)
    principal = await Access(metadata_store).principal(tokens.verify(pair.access_token), operator())
    tenant = inhabited.tenant
    assert principal.scope == Scope(tenant.organization_id, tenant.workspace_id, tenant.tenant_id)
    assert principal.user_id == inhabited.user.user_id
    assert {"log:read", "dashboard:write"} <= principal.permissions
    assert not {"user:write", "audit-log:read", "region:write"} & principal.permissions
    async with metadata_store.open(principal.scope, "test.get") as m:
        user = await users.get(m, principal.user_id)
    assert user is not None
    assert user.last_login_at is not None


async def test_wrong_unknown_inactive_and_foreign_answer_alike(sessions, inhabited, inhabit, metadata_store, owner):
    second = await inhabit(metadata_store, "two")
    await _refused(sessions.login("one@example.com", "wrong password"), "invalid-credentials")
    await _refused(sessions.login("nobody@example.com", PASSWORD), "invalid-credentials")
    await _refused(sessions.login("one@example.com", PASSWORD, tenant_id=second.tenant_id), "invalid-credentials")
    await owner.execute("UPDATE users SET is_active = false WHERE email = 'one@example.com'")
    await _refused(sessions.login("one@example.com", PASSWORD), "invalid-credentials")


async def test_ten_wrong_passwords_lock_for_a_while(sessions, inhabited, owner):
    for _ in range(users.LOGIN_FAILURES_MAX):
        await _refused(sessions.login("one@example.com", "wrong password"), "invalid-credentials")
    await _refused(sessions.login("one@example.com", PASSWORD), "invalid-credentials")
    await owner.execute("UPDATE users SET locked_until = now() - interval '1 s'")
    await sessions.login("one@example.com", PASSWORD)


async def test_a_lost_answer_gets_the_same_successor_and_late_reuse_ends_the_family(sessions, inhabited, owner):
    first = await sessions.login("one@example.com", PASSWORD)
    second = await sessions.refresh(first.refresh_token)
    again = await asyncio.gather(*(sessions.refresh(first.refresh_token) for _ in range(3)))
    assert {pair.refresh_token for pair in again} == {second.refresh_token}
    await owner.execute("UPDATE refresh_tokens SET rotated_at = rotated_at - interval '11 s'")
    await _refused(sessions.refresh(first.refresh_token), "refresh-token-invalid")
    await _refused(sessions.refresh(second.refresh_token), "refresh-token-invalid")
    other = await sessions.login("one@example.com", PASSWORD)
    await sessions.refresh(other.refresh_token)


async def test_reuse_after_the_successor_was_used_ends_the_family_at_once(sessions, inhabited):
    first = await sessions.login("one@example.com", PASSWORD)
    second = await sessions.refresh(first.refresh_token)
    third = await sessions.refresh(second.refresh_token)
    await _refused(sessions.refresh(first.refresh_token), "refresh-token-invalid")
    await _refused(sessions.refresh(third.refresh_token), "refresh-token-invalid")


async def test_logout_expiry_and_a_closed_account_end_a_session(sessions, inhabited, metadata_store, hasher, owner):
    pair = await sessions.login("one@example.com", PASSWORD)
    await sessions.logout(pair.refresh_token)
    await sessions.logout("tfr-unknown")
    await _refused(sessions.refresh(pair.refresh_token), "refresh-token-invalid")
    for change in (
        "UPDATE refresh_tokens SET expires_at = now()",
        "UPDATE tenants SET is_active = false",
    ):
        pair = await sessions.login("one@example.com", PASSWORD)
        await owner.execute(change)
        await _refused(sessions.refresh(pair.refresh_token), "refresh-token-invalid")
    await owner.execute("UPDATE tenants SET is_active = true")
    pair = await sessions.login("one@example.com", PASSWORD)
    await administration.reset_password(metadata_store, hasher, email="one@example.com", password="another password")
    await _refused(sessions.refresh(pair.refresh_token), "refresh-token-invalid")
    await _refused(sessions.login("one@example.com", PASSWORD), "invalid-credentials")
    await sessions.login("one@example.com", "another password")
    await _refused(sessions.refresh("tfr-nonsense"), "refresh-token-invalid")
