"""Keys changed and second factors reset from the command line, while a running duoscope must notice and continue."""

import json
import time

import httpx
import jwt
import pytest

NOTICED_S = 20.0
"""PUBLISH_S and POLL_S of identity/authentication/signing_keys.py, and time for a busy machine."""


@pytest.fixture(scope="module")
def up(start_up):
    with start_up() as made:
        yield made


@pytest.fixture
def client(up):
    with httpx.Client(base_url=f"{up.api_url}/api/v1", timeout=30) as made:
        yield made


def _login(up, client, **more) -> httpx.Response:
    body = {"email": up.known["admin_email"], "password": up.known["admin_password"]}
    return client.post("/auth/login", json=body | more)


def _token(up, client) -> str:
    return _login(up, client).json()["access_token"]


def _works(client, token: str) -> bool:
    return client.get("/auth/me", headers={"authorization": f"Bearer {token}"}).status_code == 200


def _kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


def test_a_running_api_takes_a_new_signing_key(up, client):
    old = _token(up, client)
    kid = json.loads(up.run("admin", "rotate-signing-key", "--json"))["kid"]
    assert _kid(old) != kid
    began = time.monotonic()
    while _kid(fresh := _token(up, client)) != kid:
        assert _works(client, fresh)
        assert time.monotonic() - began < NOTICED_S
        time.sleep(0.5)
    assert _works(client, fresh)
    assert _works(client, old)
    said = up.run("admin", "rotate-signing-key", "--revoke")
    assert "the others stopped working" in said
    while _works(client, fresh):
        assert time.monotonic() - began < 2 * NOTICED_S
        time.sleep(0.2)
    assert not _works(client, old)
    assert _works(client, _token(up, client))


def test_stored_secrets_are_encrypted_anew_beside_a_running_api(up, client, totp_code):
    headers = {"authorization": f"Bearer {_token(up, client)}"}
    made = client.post("/auth/mfa/enrolment", json={"password": up.known["admin_password"]}, headers=headers).json()
    done = json.loads(up.run("admin", "rotate-encryption-key", "--json"))
    assert (done["version"], done["resealed"]) == (2, 2), "the second factor and the signing key"
    assert "0 were encrypted anew" in up.run("admin", "rotate-encryption-key", "--resume")
    code = totp_code(made["secret"])
    confirmed = client.post("/auth/mfa/confirmation", json={"mfa_code": code}, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    asked = _login(up, client)
    assert (asked.status_code, asked.json()["code"]) == (401, "mfa-required")
    assert _login(up, client, mfa_code=confirmed.json()["backup_codes"][0]).status_code == 200


def test_a_lost_second_factor_is_taken_away(up, client):
    assert _login(up, client).status_code == 401
    assert "has no second factor any more" in up.run("admin", "reset-mfa", up.known["admin_email"])
    assert _login(up, client).status_code == 200
    assert "has no second factor" in up.run("admin", "reset-mfa", up.known["admin_email"], code=1)
    assert "No such user; `duoscope admin list-access` lists" in up.run(
        "admin", "reset-mfa", "nobody@example.com", code=1
    )


def test_sessions_are_ended_and_a_password_allowed_from_the_command_line(up, client):
    email, code = up.known["admin_email"], _organization(up)
    for arguments in ((email,), ("--organization", code)):
        token = _token(up, client)
        assert _works(client, token)
        done = json.loads(up.run("admin", "end-sessions", *arguments, "--json"))
        assert done["sessions"] >= 1
        assert not _works(client, token)
    assert "Ended 0 sessions" in up.run("admin", "end-sessions", email)
    assert "No such user; `duoscope admin list-access` lists" in up.run(
        "admin", "end-sessions", "nobody@example.com", code=1
    )
    assert "No such organization" in up.run("admin", "end-sessions", "--organization", "nowhere", code=1)
    assert "--organization" in up.run("admin", "end-sessions", code=2)
    assert "counts for 2 hours" in up.run("admin", "allow-password", email, "--hours", "2")
    assert "No such user; `duoscope admin list-access` lists" in up.run(
        "admin", "allow-password", "nobody@example.com", code=1
    )


def _organization(up) -> str:
    """The code of the only organization there is."""
    return json.loads(up.run("admin", "list-access", "--json"))[0]["organization"]
