"""Reauthentication, the actions that need it, and sessions that a login ends; on the real PostgreSQL."""

import asyncpg
import pytest

from duoscope.identity.operators import administration
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.limits import AUTHENTICATED_AGE_MAX_S

PASSWORD = "correct horse battery"
REQUIRED = (403, "reauthentication-required")


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


class Client:
    """A user's program."""

    def __init__(self, api, email) -> None:
        self.api, self.email, self.tokens = api, email, {}

    @property
    def headers(self):
        return {"authorization": f"Bearer {self.tokens['access_token']}"}

    async def call(self, method, path, body=None, headers=None):
        headers = self.headers if headers is None else headers
        return await self.api.client.request(method, f"/api/v1/{path}", json=body, headers=headers)

    async def begin(self, path, body, headers=None):
        """Log in or show who one is; from then on with what that answers."""
        answer = await self.call("POST", path, body, headers)
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer

    async def login(self, headers=None, **more):
        body = {"email": self.email, "password": PASSWORD, **more}
        return await self.begin("auth/login", body, headers or {})

    async def sessions(self):
        return (await self.call("GET", "sessions?sort=-created_at")).json()["items"]

    async def enrol(self, totp_code):
        made = (await self.call("POST", "auth/mfa/enrolment", {"password": PASSWORD})).json()
        body = {"mfa_code": totp_code(made["secret"])}
        return (await self.call("POST", "auth/mfa/confirmation", body)).json()["backup_codes"]


@pytest.fixture
async def client(api, inhabited):
    made = Client(api, inhabited.user.email)
    assert (await made.login()).status_code == 200
    return made


def _code(response):
    return response.status_code, response.json()["code"]


async def _later(owner, seconds=AUTHENTICATED_AGE_MAX_S + 1):
    await owner.execute(
        "UPDATE user_sessions SET authenticated_at = authenticated_at - make_interval(secs => $1)", seconds
    )


async def _works(client, tokens):
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    lives = (await client.call("GET", "auth/me", headers=headers)).status_code == 200
    refreshed = await client.call("POST", "auth/refresh", {"refresh_token": tokens["refresh_token"]}, {})
    assert lives == (refreshed.status_code == 200)
    return lives


async def test_other_sessions_and_devices_are_ended_by_who_showed_lately_who_they_are(client, owner):
    await client.login(trust_device=True)
    other, this = await client.sessions()
    [device] = (await client.call("GET", "devices")).json()["items"]
    calls = [
        f"sessions/{this['session_id']}",
        "sessions",
        "sessions?keep_current=true",
        f"devices/{device['device_id']}",
    ]
    await _later(owner)
    refreshed = await client.begin("auth/refresh", {"refresh_token": client.tokens["refresh_token"]})
    assert refreshed.status_code == 200, "which is no login"
    for path in calls:
        assert _code(await client.call("DELETE", path)) == REQUIRED, path
    assert "/auth/reauthenticate" in (await client.call("DELETE", calls[0])).json()["detail"]
    assert len(await client.sessions()) == 2
    before = client.tokens
    assert (await client.begin("auth/reauthenticate", {"password": PASSWORD})).status_code == 200
    assert not await _works(client, before)
    assert (await client.call("DELETE", calls[0])).status_code == 204
    [now] = await client.sessions()
    assert now["is_current"]
    assert now["session_id"] != other["session_id"]
    assert (now["device_id"], now["methods"]) == (device["device_id"], ["password"])
    assert (await client.call("DELETE", calls[3])).status_code == 204, "with the session that is on it"
    assert (await client.call("GET", "auth/me")).status_code == 401
    reasons = await owner.fetch("SELECT ended_reason FROM user_sessions ORDER BY ended_at")
    assert [row[0] for row in reasons] == ["reauthenticated", "ended-by-user", "device-removed"]


async def test_logging_out_asks_for_nothing(client, owner):
    await _later(owner)
    [this] = await client.sessions()
    assert (await client.call("DELETE", f"sessions/{this['session_id']}")).status_code == 204
    await client.login()
    await _later(owner)
    body = {"refresh_token": client.tokens["refresh_token"]}
    assert (await client.call("POST", "auth/logout", body)).status_code == 204


async def test_a_session_from_before_there_were_times_has_to_show_it(client, owner):
    await owner.execute("UPDATE user_sessions SET authenticated_at = NULL")
    assert _code(await client.call("DELETE", "sessions")) == REQUIRED


async def test_a_password_or_a_code_will_do(client, owner, totp_code):
    again = "auth/reauthenticate"
    assert _code(await client.call("POST", again, {})) == (400, "invalid-request")
    assert _code(await client.call("POST", again, {"mfa_code": "123456"})) == (409, "mfa-not-enabled")
    codes = await client.enrol(totp_code)
    await _later(owner)
    assert _code(await client.call("POST", again, {"password": "wrong"})) == (403, "password-wrong")
    assert _code(await client.call("POST", again, {"mfa_code": "no code"})) == (403, "mfa-code-invalid")
    body = {"password": "wrong", "mfa_code": codes[0]}
    assert _code(await client.call("POST", again, body)) == (403, "password-wrong")
    assert _code(await client.call("DELETE", "sessions")) == REQUIRED
    assert (await client.begin(again, {"mfa_code": codes[0]})).status_code == 200
    [session] = await client.sessions()
    assert session["methods"] == ["otp", "password", "backup-code"]
    assert (await client.begin(again, {"password": PASSWORD, "mfa_code": codes[1]})).status_code == 200
    assert (await client.call("DELETE", "sessions")).status_code == 204
    failures = await owner.fetch("SELECT action FROM audit_logs WHERE result = 'failure' ORDER BY sequence")
    assert [row[0] for row in failures] == ["password.presented", "mfa.presented", "password.presented"]


async def test_it_does_not_prolong_what_was_shown_before_and_a_login_does(client, owner, totp_code):
    codes = await client.enrol(totp_code)
    ends = await owner.fetchval("UPDATE user_sessions SET expires_at = now() + interval '1 h' RETURNING expires_at")
    for body in ({"password": PASSWORD}, {"mfa_code": codes[0]}, {"password": PASSWORD, "mfa_code": codes[1]}):
        assert (await client.begin("auth/reauthenticate", body)).status_code == 200
        assert await owner.fetchval("SELECT expires_at FROM user_sessions WHERE is_active") == ends
        refresh_ends = "SELECT max(expires_at) FROM refresh_tokens WHERE NOT is_revoked"
        assert await owner.fetchval(refresh_ends) <= ends
    assert (await client.login(client.headers, mfa_code=codes[2])).status_code == 200
    assert await owner.fetchval("SELECT expires_at > $1 FROM user_sessions WHERE is_active", ends)


async def test_guessing_is_slowed_as_at_a_login(client):
    body = {"password": "wrong"}
    codes = [(await client.call("POST", "auth/reauthenticate", body)).status_code for _ in range(6)]
    assert codes == [403] * 5 + [429]
    refused = await client.call("POST", "auth/reauthenticate", {"password": PASSWORD})
    assert _code(refused) == (429, "too-many-attempts")
    assert (await client.login()).status_code == 200, "a login is counted by itself"


async def test_a_session_that_has_ended_begins_no_other(api, client):
    claims = api.services.tokens.verify(client.tokens["access_token"])
    principal = await api.services.access.principal(claims, Actor(None, "", "user"))
    assert (await client.call("DELETE", "sessions")).status_code == 204
    with pytest.raises(DuoscopeError) as refused:
        await api.services.sessions.begin_again(principal, ("password",))
    assert refused.value.code == "token-invalid"


@pytest.mark.parametrize("carried", ["access token", "refresh token", "both", "neither", "nonsense"])
async def test_a_login_ends_the_session_that_the_client_had(client, owner, carried):
    before = client.tokens
    headers = client.headers if carried in {"access token", "both"} else {}
    more = {"refresh_token": before["refresh_token"]} if carried in {"refresh token", "both"} else {}
    if carried == "nonsense":
        headers, more = {"authorization": "Bearer x.y.z"}, {"refresh_token": "tfr-" + "x" * 43}
    wrong = {"email": client.email, "password": "wrong password", **more}
    assert (await client.call("POST", "auth/login", wrong, headers)).status_code == 401
    assert (await client.call("GET", "auth/me")).status_code == 200, "whoever could not log in ends nothing"
    assert (await client.login(headers, **more)).status_code == 200
    ends = carried not in {"neither", "nonsense"}
    assert len(await client.sessions()) == (1 if ends else 2)
    assert await _works(client, before) is not ends
    rows = await owner.fetch("SELECT ended_reason FROM user_sessions WHERE NOT is_active")
    assert [row[0] for row in rows] == (["another-login"] if ends else [])


async def test_another_users_login_ends_it_too(api, client, owner, inhabited):
    """Whoever sits there now: the program has changed hands."""
    place = await administration.create_tenant(api.services.metadata, organization="Two", workspace="W", tenant="T")
    await administration.create_user(
        api.services.metadata, api.services.hasher, tenant_id=place.tenant_id,
        email="two@example.com", password=PASSWORD, role="viewer",
    )  # fmt: skip
    before, other = client.tokens, Client(api, "two@example.com")
    assert (await other.login(client.headers)).status_code == 200
    assert not await _works(client, before)
    audited = await owner.fetchrow(
        "SELECT organization_id, content::json #>> '{after,reason}' AS reason FROM audit_logs "
        "WHERE action = 'session.ended' ORDER BY recorded_at LIMIT 1"
    )
    assert tuple(audited) == (inhabited.user.organization_id, "another-login")
