"""Login, rotation, reuse, ending sessions, devices and the notice of new ones, on the real PostgreSQL."""

import asyncio
import dataclasses
import re

import asyncpg
import pytest

from duoscope.delivery.mail import Mailer, deliver_due
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.second_factor import Attempt
from duoscope.identity.authentication.sessions import REFRESH_LIFETIME_S, Sessions
from duoscope.identity.operators import administration
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata import listing, trusted_devices, user_sessions, users
from duoscope.metadata.listing import PageRequest

PASSWORD = "correct horse battery"
HOME = Actor(None, "", "user", ip_address="192.0.2.1", user_agent="home")


@pytest.fixture
def tokens(signing_keys):
    return AccessTokens(signing_keys)


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


async def _listed(store, claims, of):
    async with store.open(claims.scope, "test.list") as tx:
        await user_sessions.act_as(tx, claims.user_id)
        page = PageRequest("created_at", is_descending=True, limit=100, filters={"is_live": True})
        found, _ = await listing.rows(tx, of, page)
        return found


async def _live(store, claims):
    return await _listed(store, claims, user_sessions.LISTING)


async def _is_live(store, claims) -> bool:
    async with store.open(claims.scope, "test.live") as tx:
        return await user_sessions.get_live(tx, claims.session) is not None


async def test_login_gives_the_tenants_scope_and_a_session(sessions, tokens, inhabited, metadata_store):
    pair = await sessions.login("ONE@example.com", PASSWORD, actor=HOME)
    claims = tokens.verify(pair.access_token)
    tenant = inhabited.tenant
    assert claims.scope == Scope(tenant.organization_id, tenant.workspace_id, tenant.tenant_id)
    assert claims.user_id == inhabited.user.user_id
    [session] = await _live(metadata_store, claims)
    assert session["session_id"] == claims.session_id
    assert (session["ip_address"], session["user_agent"], session["methods"]) == ("192.0.2.1", "home", ["password"])
    async with metadata_store.open(claims.scope, "test.get") as tx:
        user = await users.get(tx, claims.user_id)
        # Without saying whose, not even one's own tenant shows a session.
        assert await tx.fetchval("SELECT count(*) FROM user_sessions") == 0
    assert user is not None
    assert user.last_login_at is not None


async def test_wrong_unknown_inactive_and_foreign_answer_alike(sessions, inhabited, inhabit, metadata_store, owner):
    second = await inhabit(metadata_store, "two")
    await _refused(sessions.login("one@example.com", "wrong password"), "invalid-credentials")
    await _refused(sessions.login("nobody@example.com", PASSWORD), "invalid-credentials")
    await _refused(sessions.login("one@example.com", PASSWORD, tenant_id=second.tenant_id), "invalid-credentials")
    await owner.execute("UPDATE users SET is_active = false WHERE email = 'one@example.com'")
    await _refused(sessions.login("one@example.com", PASSWORD), "invalid-credentials")
    rows = await owner.fetch("SELECT result, content::json #>> '{after,reason}' AS reason FROM audit_logs "
                             "WHERE action = 'session.created' ORDER BY recorded_at")  # fmt: skip
    reasons = ["wrong-password", "unknown-account", "no-role-there", "account-closed"]
    assert [tuple(row) for row in rows] == [("failure", reason) for reason in reasons]
    assert await owner.fetchval("SELECT failed_attempts FROM users WHERE email = 'one@example.com'") == 3


async def test_a_lost_answer_gets_the_same_successor_and_late_reuse_ends_the_session(
    sessions, tokens, inhabited, metadata_store, owner
):
    first = await sessions.login("one@example.com", PASSWORD)
    second = await sessions.refresh(first.refresh_token)
    again = await asyncio.gather(*(sessions.refresh(first.refresh_token) for _ in range(3)))
    assert {pair.refresh_token for pair in again} == {second.refresh_token}
    claims = tokens.verify(second.access_token)
    assert await _is_live(metadata_store, claims)
    await owner.execute("UPDATE refresh_tokens SET rotated_at = rotated_at - interval '11 s'")
    await _refused(sessions.refresh(first.refresh_token), "refresh-token-invalid")
    await _refused(sessions.refresh(second.refresh_token), "refresh-token-invalid")
    assert not await _is_live(metadata_store, claims)
    assert await owner.fetchval("SELECT ended_reason FROM user_sessions") == "refresh-token-reused"
    assert await owner.fetchval("SELECT result FROM audit_logs WHERE action = 'session.ended'") == "failure"
    other = await sessions.login("one@example.com", PASSWORD)
    await sessions.refresh(other.refresh_token)


async def test_reuse_after_the_successor_was_used_ends_the_session_at_once(sessions, inhabited):
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
        "UPDATE user_sessions SET expires_at = now()",
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


async def test_a_session_ends_when_its_time_is_over_however_much_it_is_used(sessions, inhabited, owner):
    pair = await sessions.login("one@example.com", PASSWORD)
    await owner.execute("UPDATE user_sessions SET expires_at = now() + interval '1 h'")
    pair = await sessions.refresh(pair.refresh_token)
    left = await owner.fetchval("SELECT max(extract(epoch FROM expires_at - now())) FROM refresh_tokens "
                                "WHERE rotated_at IS NULL")  # fmt: skip
    assert left <= 3600 < REFRESH_LIFETIME_S
    await sessions.refresh(pair.refresh_token)


async def test_a_user_ends_one_session_or_all_and_nobody_elses(sessions, tokens, inhabited, inhabit, metadata_store):
    second = await inhabit(metadata_store, "two")
    pairs = [await sessions.login("one@example.com", PASSWORD) for _ in range(3)]
    theirs = await sessions.login("two@example.com", PASSWORD)
    mine = [tokens.verify(pair.access_token) for pair in pairs]
    other = tokens.verify(theirs.access_token)
    actor = Actor(mine[0].user_id, "one@example.com", "user")
    user = mine[0].session.user
    for session_id in (other.session_id, new_id()):
        with pytest.raises(DuoscopeError) as refused:
            await sessions.end(actor, user.session(session_id))
        assert refused.value.kind is ErrorKind.NOT_FOUND
    await sessions.end(actor, mine[1].session)
    assert [await _is_live(metadata_store, claims) for claims in mine] == [True, False, True]
    assert await sessions.end_all(actor, user, except_session_id=mine[0].session_id) == 1
    assert len(await _live(metadata_store, mine[0])) == 1
    assert await sessions.end_all(actor, user) == 1
    assert not await _live(metadata_store, mine[0])
    for pair in pairs:
        await _refused(sessions.refresh(pair.refresh_token), "refresh-token-invalid")
    assert await _is_live(metadata_store, other)
    assert second.tenant.organization_id == user.organization_id, "a neighbour is what this is about"
    claims = dataclasses.replace(other, user_id=user.user_id)
    assert not await _is_live(metadata_store, claims), "a session is its user's alone"


async def test_the_second_factor_stands_between_password_and_session(  # noqa: PLR0917 - fixtures
    metadata_store, hasher, tokens, secret_keys, inhabited, owner
):
    class Asks:
        seen: list[Attempt] = []  # noqa: RUF012

        async def check(self, attempt):
            self.seen.append(attempt)
            if attempt.mfa_code == "right":
                return ("otp",)
            code = "mfa-required" if attempt.mfa_code is None else "mfa-code-invalid"
            raise DuoscopeError(ErrorKind.UNAUTHENTICATED, code, "Show a second factor.")

    sessions = Sessions(metadata_store, hasher, tokens, secret_keys, second_factor=Asks())
    await _refused(sessions.login("one@example.com", "wrong password", mfa_code="right"), "invalid-credentials")
    assert not Asks.seen
    for _ in range(8):
        await _refused(sessions.login("one@example.com", PASSWORD), "mfa-required")
    assert await owner.fetchval("SELECT count(*) FROM user_sessions") == 0
    await _refused(sessions.login("one@example.com", PASSWORD, mfa_code="wrong"), "mfa-code-invalid")
    pair = await sessions.login("one@example.com", PASSWORD, mfa_code="right", trust_device=True)
    assert await owner.fetchval("SELECT methods FROM user_sessions") == ["password", "otp"]
    await sessions.login("one@example.com", PASSWORD, mfa_code="right", device_token=pair.device_token)
    device = Asks.seen[-1].device
    assert device is not None
    assert device.mfa_at is not None


async def test_somebody_else_may_authenticate_a_user(sessions, tokens, inhabited, owner):
    user = inhabited.user
    ids = {"organization_id": user.organization_id, "user_id": user.user_id}
    pair = await sessions.begin_external(**ids, actor=HOME, methods=("oidc",))
    assert tokens.verify(pair.access_token).user_id == user.user_id
    await sessions.refresh(pair.refresh_token)
    row = await owner.fetchrow("SELECT email, result FROM audit_logs WHERE action = 'session.created'")
    assert tuple(row) == ("one@example.com", "success")
    await owner.execute("UPDATE users SET is_active = false")
    await _refused(sessions.begin_external(**ids, actor=HOME, methods=("oidc",)), "invalid-credentials")


async def test_a_trusted_device_is_remembered_until_it_expires(  # noqa: PLR0917 - fixtures
    sessions, tokens, inhabited, inhabit, metadata_store, owner
):
    await inhabit(metadata_store, "two")
    assert (await sessions.login("one@example.com", PASSWORD)).device_token is None
    first = await sessions.login("one@example.com", PASSWORD, actor=HOME, trust_device=True, device_name="laptop")
    claims = tokens.verify(first.access_token)
    again = await sessions.login("one@example.com", PASSWORD, device_token=first.device_token, trust_device=True)
    assert again.device_token is None
    [device] = await _listed(metadata_store, claims, trusted_devices.LISTING)
    assert device["device_name"] == "laptop"
    assert first.device_token not in str(await owner.fetch("SELECT * FROM trusted_devices"))
    assert await owner.fetchval("SELECT count(*) FROM user_sessions WHERE device_id IS NOT NULL") == 2
    # Somebody else's token says nothing, and an expired one no more.
    other = await sessions.login("two@example.com", PASSWORD, device_token=first.device_token)
    await owner.execute("UPDATE trusted_devices SET expires_at = now()")
    late = await sessions.login("one@example.com", PASSWORD, device_token=first.device_token)
    for pair in (other, late):
        session_id = tokens.verify(pair.access_token).session_id
        assert await owner.fetchval("SELECT device_id FROM user_sessions WHERE session_id = $1", session_id) is None


async def test_a_new_client_is_told_to_the_user_by_mail(  # noqa: PLR0917 - fixtures
    metadata_store, hasher, tokens, secret_keys, inhabited, smtp_server
):
    mailer = Mailer(Settings(smtp_url=smtp_server.url), secret_keys)
    sessions = Sessions(metadata_store, hasher, tokens, secret_keys, mailer=mailer)
    elsewhere = Actor(None, "", "user", ip_address="198.51.100.7", user_agent="evil\r\nBcc: x")
    trusted = await sessions.login("one@example.com", PASSWORD, actor=HOME, trust_device=True)
    await sessions.login("one@example.com", PASSWORD, actor=HOME)
    await sessions.login("one@example.com", PASSWORD, actor=elsewhere, device_token=trusted.device_token)
    await deliver_due(metadata_store, mailer, {})
    assert not smtp_server.mails
    other = dataclasses.replace(elsewhere, ip_address="203.0.113.9")
    await sessions.login("one@example.com", PASSWORD, actor=other)
    await deliver_due(metadata_store, mailer, {})
    [mail] = smtp_server.mails
    assert (mail["To"], mail["Bcc"]) == ("one@example.com", None)
    assert "New sign-in" in mail["Subject"]
    assert "203.0.113.9" in mail.get_content()
    assert re.search(r"\nWhen:    \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\r\n", mail.get_content())
    assert "evil??Bcc: x" in mail.get_content()
