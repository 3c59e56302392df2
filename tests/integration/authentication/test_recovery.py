"""Passwords forgotten, reset and changed, addresses verified: real PostgreSQL, real SMTP."""

import re
import statistics
import time
import unicodedata
from datetime import timedelta

import argon2
import asyncpg
import pytest

from duoscope.delivery.mail import Mailer, deliver_due
from duoscope.identity.authentication.access import Access
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.reauthentication import Reauthentication
from duoscope.identity.authentication.recovery import Recovery
from duoscope.identity.authentication.sessions import Sessions
from duoscope.identity.authentication.throttle import MAIL_BY_NETWORK, MAIL_TO_ADDRESS
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.operators import administration
from duoscope.identity.passwords.rules import check_password, generated
from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings

EMAIL, PASSWORD, ANOTHER = "one@example.com", "correct horse battery", "staple of another kind"
CLIENT = Actor(None, "", "user", ip_address="192.0.2.1", user_agent="browser")


@pytest.fixture
def mailer(smtp_server, secret_keys):
    return Mailer(Settings(smtp_url=smtp_server.url), secret_keys)


@pytest.fixture
def sessions(metadata_store, hasher, secret_keys, signing_keys, mailer):
    return Sessions(metadata_store, hasher, AccessTokens(signing_keys), secret_keys, mailer=mailer)


@pytest.fixture
def recovery(metadata_store, hasher, mailer, secret_keys, inhabited):
    return Recovery(metadata_store, hasher, mailer, secret_keys, public_url="https://duoscope.example.org/")


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def sent(metadata_store, mailer, recovery, smtp_server):
    """Sends what is due; answers the mails that came of it."""

    async def send():
        smtp_server.mails.clear()
        await deliver_due(metadata_store, mailer, {"password-forgotten": recovery.write_reset})
        return list(smtp_server.mails)

    return send


def _token(mail) -> str:
    return re.search(r"#(tf[pv]-\S+)", mail.get_content())[1]


async def _code(awaitable) -> str:
    try:
        await awaitable
    except DuoscopeError as error:
        return error.code
    return "ok"


async def test_a_link_sets_another_password_once_and_ends_all_sessions(sessions, recovery, sent, owner):
    pair = await sessions.login(EMAIL, PASSWORD, trust_device=True)
    await recovery.forget("ONE@example.com", actor=CLIENT)
    [mail] = await sent()
    assert mail["To"] == EMAIL, "the address as the account has it, not as somebody typed it"
    token = _token(mail)
    assert token not in str(await owner.fetch("SELECT * FROM password_reset_tokens"))
    assert await _code(recovery.reset(token, "short", actor=CLIENT)) == "password-length"
    assert await _code(recovery.reset(token, "one12345678901", actor=CLIENT)) == "password-common"
    await recovery.reset(token, ANOTHER, actor=CLIENT)
    assert await _code(recovery.reset(token, PASSWORD, actor=CLIENT)) == "reset-token-invalid"
    assert await _code(sessions.refresh(pair.refresh_token)) == "refresh-token-invalid"
    assert await _code(sessions.login(EMAIL, PASSWORD)) == "invalid-credentials"
    assert await _code(sessions.login(EMAIL, ANOTHER)) == "ok"
    assert await owner.fetchval("SELECT count(*) FROM trusted_devices") == 0
    assert await owner.fetchval("SELECT email_verified FROM users")
    [mail] = [mail for mail in await sent() if "changed" in mail["Subject"]]
    assert "192.0.2.1" in mail.get_content()
    actions = [row["action"] for row in await owner.fetch("SELECT action FROM audit_logs ORDER BY sequence")]
    assert {"password.reset-requested", "session.ended", "password.reset"} <= set(actions)
    log = str(await owner.fetch("SELECT content FROM audit_logs"))
    assert token not in log
    assert ANOTHER not in log


async def test_links_expire_and_follow_the_address_and_one_voids_the_others(recovery, sent, owner):
    tokens = []
    for _ in range(2):
        await recovery.forget(EMAIL, actor=CLIENT)
        tokens.append(_token((await sent())[0]))
    await owner.execute("UPDATE users SET email = 'new@example.com'")
    assert await _code(recovery.reset(tokens[0], ANOTHER, actor=CLIENT)) == "reset-token-invalid"
    await owner.execute("UPDATE users SET email = $1", EMAIL)
    await owner.execute("UPDATE password_reset_tokens SET expires_at = now()")
    assert await _code(recovery.reset(tokens[0], ANOTHER, actor=CLIENT)) == "reset-token-invalid"
    await owner.execute("UPDATE password_reset_tokens SET expires_at = now() + interval '1 min'")
    assert await _code(recovery.reset(tokens[1], ANOTHER, actor=CLIENT)) == "ok"
    assert await _code(recovery.reset(tokens[0], PASSWORD, actor=CLIENT)) == "reset-token-invalid"
    for nonsense in ("", "tfp-", "tfp-" + "x" * 43, "tfv-" + "x" * 43):
        assert await _code(recovery.reset(nonsense, ANOTHER, actor=CLIENT)) == "reset-token-invalid"


async def test_unknown_known_and_closed_answer_alike_and_in_the_same_time(recovery, sent, owner, metadata_store):
    known: list[float] = []
    unknown: list[float] = []
    for n in range(60):
        for email, took in ((EMAIL, known), (f"nobody{n}@example.com", unknown)):
            # Otherwise the known address alone would be asked for often.
            await owner.execute("DELETE FROM login_attempts")
            began = time.perf_counter()
            assert await recovery.forget(email, actor=CLIENT) is None
            took.append(time.perf_counter() - began)
    known_s, unknown_s = statistics.median(known), statistics.median(unknown)
    assert abs(known_s - unknown_s) < 0.25 * max(known_s, unknown_s), (known_s, unknown_s)
    await owner.execute("DELETE FROM mail_outbox")
    await owner.execute("UPDATE users SET is_active = false")
    await recovery.forget(EMAIL, actor=CLIENT)
    assert not await sent()
    assert await owner.fetchval("SELECT count(*) FROM mail_outbox") == 0


async def test_nobodys_mailbox_is_flooded(recovery, sent, owner):
    for n in range(MAIL_TO_ADDRESS.free + 3):
        assert await _code(recovery.forget(EMAIL, actor=Actor(None, "", "user", ip_address=f"192.0.2.{n}"))) == "ok"
    assert len(await sent()) == MAIL_TO_ADDRESS.free
    codes = [await _code(recovery.forget(f"n{n}@example.com", actor=CLIENT)) for n in range(MAIL_BY_NETWORK.free + 1)]
    assert codes[-1] == "too-many-attempts"


async def test_without_mail_it_is_said_for_every_address(metadata_store, hasher, secret_keys, inhabited):
    silent = Recovery(metadata_store, hasher, Mailer(Settings(), secret_keys), secret_keys, public_url="http://x")
    for email in (EMAIL, "nobody@example.com"):
        assert await _code(silent.forget(email, actor=CLIENT)) == "mail-not-configured"


async def test_a_change_wants_the_current_password_and_keeps_this_session_alone(sessions, recovery, sent, owner):
    this, other = [await sessions.login(EMAIL, PASSWORD) for _ in range(2)]
    row = await owner.fetchrow("SELECT organization_id, user_id FROM users")
    this_id = await owner.fetchval("SELECT session_id FROM user_sessions ORDER BY session_id LIMIT 1")
    actor = Actor(row["user_id"], EMAIL, "user", ip_address="192.0.2.1")

    async def change(current, new):
        ids = {"organization_id": row["organization_id"], "session_id": this_id}
        return await _code(recovery.change(current, new, **ids, actor=actor))

    assert await change("not that one", ANOTHER) == "current-password-wrong"
    assert await change(PASSWORD, PASSWORD) == "password-unchanged"
    assert await change(PASSWORD, "password12345") == "password-common"
    assert await change(PASSWORD, ANOTHER) == "ok"
    assert await change(PASSWORD, ANOTHER) == "current-password-wrong"
    await sessions.refresh(this.refresh_token)
    assert await _code(sessions.refresh(other.refresh_token)) == "refresh-token-invalid"
    assert ["changed" in mail["Subject"] for mail in await sent()] == [True]
    results = await owner.fetch("SELECT result FROM audit_logs WHERE action = 'password.changed' ORDER BY sequence")
    assert [row["result"] for row in results] == ["failure", "success", "failure"]
    codes = [await change("guess", ANOTHER) for _ in range(6)]
    assert codes[-1] == "too-many-attempts", "whoever finds an open session cannot guess the password there"


async def test_an_address_is_verified_by_whoever_reads_its_mail(recovery, sent, owner):
    row = await owner.fetchrow("SELECT organization_id, user_id FROM users")
    actor = Actor(row["user_id"], EMAIL, "user")
    await recovery.send_verification(organization_id=row["organization_id"], actor=actor)
    token = _token((await sent())[0])
    assert token not in str(await owner.fetch("SELECT * FROM email_verifications"))
    await owner.execute("UPDATE users SET email = 'new@example.com'")
    assert await _code(recovery.verify(token, actor=CLIENT)) == "verification-token-invalid"
    await owner.execute("UPDATE users SET email = $1", EMAIL)
    await owner.execute("UPDATE email_verifications SET is_used = false, expires_at = now()")
    assert await _code(recovery.verify(token, actor=CLIENT)) == "verification-token-invalid"
    await recovery.send_verification(organization_id=row["organization_id"], actor=actor)
    token = _token((await sent())[0])
    assert await _code(recovery.verify(token, actor=CLIENT)) == "ok"
    assert await _code(recovery.verify(token, actor=CLIENT)) == "verification-token-invalid"
    assert await owner.fetchval("SELECT email_verified_at IS NOT NULL FROM users WHERE email_verified")
    again = recovery.send_verification(organization_id=row["organization_id"], actor=actor)
    assert await _code(again) == "email-verified"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("eleven char", "password-length"),
        ("x7" * 257, "password-length"),
        ("password12345", "password-common"),
        ("Password!Password!", "password-common"),
        ("qwertyuiopas", "password-common"),
        ("abcdefgh12345678", "password-common"),
        ("aaaaaaaaaaaaaa", "password-common"),
        ("DuoScope2026!", "password-common"),
        ("jane.roe@example.com", "password-common"),
        ("123456789012", "password-common"),
        ("correct horse battery", None),
        ("тридцать три коровы", None),
        ("p4 ss 0r d1", "password-length"),
        ("all lower case", None),
        ("x7Kd0qWm2LpA", None),
        ("4815 1623 4209 7731", None),
    ],
)
def test_passwords_are_long_and_not_common_and_of_any_kind(password, code):
    if code is None:
        check_password(password, email="jane.roe@example.com")
        return
    with pytest.raises(DuoscopeError) as refused:
        check_password(password, email="jane.roe@example.com")
    assert refused.value.code == code


async def test_a_password_is_taken_to_the_letter(sessions, recovery, owner):
    row = await owner.fetchrow("SELECT organization_id, user_id FROM users")
    session_id = new_id()
    ids = {"organization_id": row["organization_id"], "session_id": session_id}
    actor = Actor(row["user_id"], EMAIL, "user")
    # What Unicode, a spreadsheet or a tired eye takes for the same.
    chosen = " ﬁsh, Ｃhips and a cafe\u0301 "  # noqa: RUF001
    await recovery.change(PASSWORD, chosen, **ids, actor=actor)
    for other in (unicodedata.normalize(form, chosen) for form in ("NFC", "NFKC", "NFKD")):
        assert other != chosen
        assert await _code(sessions.login(EMAIL, other)) == "invalid-credentials"
        assert await _code(recovery.change(other, PASSWORD, **ids, actor=actor)) == "current-password-wrong"
        await owner.execute("DELETE FROM login_attempts")
    for other in (chosen.strip(), chosen.casefold(), chosen + "\0", chosen + " "):
        assert await _code(sessions.login(EMAIL, other)) == "invalid-credentials"
        await owner.execute("DELETE FROM login_attempts")
    assert await _code(sessions.login(EMAIL, chosen)) == "ok"


async def test_a_password_that_was_made_for_somebody_ends_and_their_own_does_not(
    sessions, recovery, sent, owner, metadata_store, *, hasher, secret_keys
):
    made, ends = generated()
    assert timedelta(hours=23, minutes=59) < ends - now() <= timedelta(hours=24)
    await administration.reset_password(metadata_store, hasher, email=EMAIL, password=made, password_expires_at=ends)
    assert (await sessions.login(EMAIL, made)).password_expires_at == ends
    row = await owner.fetchrow("SELECT organization_id, user_id FROM users")
    scope = Scope(row["organization_id"], *await owner.fetchrow("SELECT workspace_id, tenant_id FROM tenants"))
    actor = Actor(row["user_id"], EMAIL, "user")
    principal = Principal(
        scope, row["user_id"], new_id(), frozenset(), frozenset(), is_platform_admin=False, actor=actor
    )
    again = Reauthentication(metadata_store, hasher, secret_keys)
    await again.require_password(principal, made)

    await owner.execute("UPDATE users SET password_expires_at = now()")
    assert await _code(sessions.login(EMAIL, made)) == "password-expired"
    assert await _code(sessions.login(EMAIL, "another one")) == "invalid-credentials", (
        "who does not know it learns nothing"
    )
    assert await _code(again.require_password(principal, made)) == "password-expired"
    reasons = await owner.fetch("SELECT content FROM audit_logs WHERE result = 'failure' ORDER BY sequence")
    assert ["password-expired" in row["content"] for row in reasons] == [True, False]

    await recovery.forget(EMAIL, actor=CLIENT)
    [mail] = await sent()
    await recovery.reset(_token(mail), ANOTHER, actor=CLIENT)
    assert (await sessions.login(EMAIL, ANOTHER)).password_expires_at is None

    await administration.reset_password(metadata_store, hasher, email=EMAIL, password=made, password_expires_at=ends)
    await owner.execute("UPDATE users SET password_expires_at = now()")
    ids = {"organization_id": row["organization_id"], "session_id": new_id()}
    await recovery.change(made, PASSWORD, **ids, actor=actor)
    assert await _code(sessions.login(EMAIL, PASSWORD)) == "ok"


@pytest.mark.parametrize("how", ["made", "replaced", "through a provider"])
async def test_a_session_outlives_no_password_that_was_made_for_somebody(
    sessions, recovery, owner, metadata_store, *, how, hasher, signing_keys, secret_keys
):
    made, ends = generated()
    await administration.reset_password(metadata_store, hasher, email=EMAIL, password=made, password_expires_at=ends)
    tokens = AccessTokens(signing_keys)
    access = Access(metadata_store)

    async def begin():
        if how != "through a provider":
            return await sessions.login(EMAIL, made)
        row = await owner.fetchrow("SELECT organization_id, user_id FROM users")
        return await sessions.begin_external(**dict(row), actor=CLIENT, methods=("oidc",))

    pairs = [await begin(), await begin()]
    principals = [await access.principal(tokens.verify(pair.access_token), CLIENT) for pair in pairs]
    await sessions.refresh(pairs[0].refresh_token)
    pairs[0] = await sessions.begin_again(principals[0], ("password",))
    principals[0] = await access.principal(tokens.verify(pairs[0].access_token), CLIENT)
    if how == "replaced":
        await recovery.change(
            made, PASSWORD, organization_id=principals[0].scope.organization_id, session_id=principals[0].session_id,
            actor=principals[0].actor,
        )  # fmt: skip
        pairs[1] = await sessions.login(EMAIL, PASSWORD)
        principals[1] = await access.principal(tokens.verify(pairs[1].access_token), CLIENT)
    else:
        await owner.execute("UPDATE users SET password_expires_at = now()")

    wanted = "password-expired" if how == "made" else "ok"
    assert await _code(sessions.refresh(pairs[0].refresh_token)) == wanted
    assert await _code(sessions.begin_again(principals[1], ("otp",))) == wanted
    ended = await owner.fetch("SELECT ended_reason FROM user_sessions WHERE session_id = ANY ($1)",
                              [each.session_id for each in principals])  # fmt: skip
    expected = {"made": {"password-expired"}, "replaced": {None, "reauthenticated"}}
    assert {row[0] for row in ended} == expected.get(how, {None, "reauthenticated"})
    if how == "made":
        assert await _code(sessions.refresh(pairs[1].refresh_token)) == "refresh-token-invalid"


async def test_another_hash_of_a_password_keeps_its_end(sessions, owner, metadata_store, hasher, inhabited):
    made, ends = generated()
    await administration.reset_password(metadata_store, hasher, email=EMAIL, password=made, password_expires_at=ends)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(made)
    await owner.execute("UPDATE users SET password_hash = $1", weak)
    assert (await sessions.login(EMAIL, made)).password_expires_at == ends
    row = await owner.fetchrow("SELECT password_hash, password_expires_at FROM users")
    assert row["password_hash"] != weak
    assert row["password_expires_at"] == ends
