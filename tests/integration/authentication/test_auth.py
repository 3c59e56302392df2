"""Logging in, refreshing, logging out over HTTP."""

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
async def tokens(api, inhabited):
    response = await api.client.post("/api/v1/auth/login", json={"email": inhabited.user.email, "password": PASSWORD})
    assert response.status_code == 200, response.text
    return response.json()


async def test_login_gives_tokens_that_work(api, inhabited, tokens):
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    response = await api.client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    me = response.json()
    assert me["email"] == inhabited.user.email
    assert me["tenant_id"] == str(inhabited.tenant_id)
    assert "log:read" in me["permissions"]


async def test_wrong_credentials_answer_alike(api, inhabited):
    answers = []
    for email, password in ((inhabited.user.email, "wrong"), ("nobody@example.com", PASSWORD)):
        response = await api.client.post("/api/v1/auth/login", json={"email": email, "password": password})
        body = response.json()
        body.pop("request_id")
        answers.append((response.status_code, body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401


async def test_mfa_code_is_refused_while_there_is_no_mfa(api, inhabited):
    body = {"email": inhabited.user.email, "password": PASSWORD, "mfa_code": "123456"}
    response = await api.client.post("/api/v1/auth/login", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "mfa-not-enabled")


async def test_refresh_and_logout(api, tokens):
    response = await api.client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert response.status_code == 200
    fresh = response.json()
    headers = {"authorization": f"Bearer {fresh['access_token']}"}
    body = {"refresh_token": fresh["refresh_token"]}
    assert (await api.client.post("/api/v1/auth/logout", json=body)).status_code == 401
    assert (await api.client.post("/api/v1/auth/logout", json=body, headers=headers)).status_code == 204
    response = await api.client.post("/api/v1/auth/refresh", json=body)
    assert (response.status_code, response.json()["code"]) == (401, "refresh-token-invalid")


async def _login(api, email, password=PASSWORD, **more):
    return await api.client.post("/api/v1/auth/login", json={"email": email, "password": password, **more})


async def test_ending_a_session_counts_at_the_next_request(api, inhabited, tokens):
    this, other = [(await _login(api, inhabited.user.email)).json() for _ in range(2)]
    headers = {"authorization": f"Bearer {this['access_token']}"}
    listed = (await api.client.get("/api/v1/sessions?sort=-created_at", headers=headers)).json()["items"]
    assert [item["is_current"] for item in listed] == [False, True, False]
    assert listed[0]["ip_address"] == "127.0.0.1"
    assert (await api.client.delete(f"/api/v1/sessions/{listed[0]['session_id']}", headers=headers)).status_code == 204
    gone = await api.client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {other['access_token']}"})
    assert (gone.status_code, gone.json()["code"]) == (401, "token-invalid")
    assert (await api.client.delete("/api/v1/sessions?keep_current=true", headers=headers)).status_code == 204
    gone = await api.client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert gone.status_code == 401
    assert (await api.client.get("/api/v1/auth/me", headers=headers)).status_code == 200
    body = {"refresh_token": this["refresh_token"]}
    assert (await api.client.post("/api/v1/auth/logout", json=body, headers=headers)).status_code == 204
    assert (await api.client.get("/api/v1/auth/me", headers=headers)).status_code == 401


async def test_a_device_is_trusted_and_forgotten(api, inhabited):
    answer = (await _login(api, inhabited.user.email, trust_device=True, device_name="laptop")).json()
    assert answer["device_token"].startswith("tfd-")
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    [device] = (await api.client.get("/api/v1/devices", headers=headers)).json()["items"]
    assert device["device_name"] == "laptop"
    assert "device_token" not in (await _login(api, inhabited.user.email, device_token=answer["device_token"])).json()
    assert (await api.client.delete(f"/api/v1/devices/{device['device_id']}", headers=headers)).status_code == 204


async def test_guessing_is_answered_with_how_long_to_wait(api, inhabited):
    codes = [(await _login(api, inhabited.user.email, "wrong password")).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    refused = await _login(api, inhabited.user.email)
    assert refused.json()["code"] == "too-many-attempts"
    assert refused.headers["retry-after"] == "1"


async def test_the_client_is_who_the_trusted_proxy_says(api, inhabited):
    """The tests' own client is a trusted proxy; what it heard from others further away it does not vouch for."""
    for forwarded, address in (
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.8", "198.51.100.8"),
        ("198.51.100.9, 127.0.0.1", "198.51.100.9"),
        ("nonsense", "127.0.0.1"),
    ):
        response = await api.client.post(
            "/api/v1/auth/login",
            json={"email": inhabited.user.email, "password": PASSWORD},
            headers={"x-forwarded-for": forwarded},
        )
        headers = {"authorization": f"Bearer {response.json()['access_token']}"}
        listed = (await api.client.get("/api/v1/sessions?sort=-created_at&limit=1", headers=headers)).json()["items"]
        assert listed[0]["ip_address"] == address


async def test_forgotten_answers_alike_and_what_is_wrong_says_so(api, inhabited):
    answers = []
    for email in (inhabited.user.email, "nobody@example.com"):
        response = await api.client.post("/api/v1/auth/password/forgotten", json={"email": email})
        answers.append((response.status_code, response.content))
    assert answers[0] == answers[1]
    assert answers[0][0] == 202
    for path, body, code in (
        ("password/forgotten", {"email": "no address"}, "invalid-request"),
        ("password/reset", {"token": "tfp-x", "password": PASSWORD}, "reset-token-invalid"),
        ("email-verification/confirm", {"token": "tfv-x"}, "verification-token-invalid"),
    ):
        response = await api.client.post(f"/api/v1/auth/{path}", json=body)
        assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize("text", ["a\x00@example.com", "\x00", "\u017f@example.com", "a" * 320, "@", "\ufb00@x\u202e"])
async def test_odd_texts_are_no_failure_of_ours(api, inhabited, text):
    assert (await _login(api, text, device_name="\x00", trust_device=True)).status_code == 401
    assert (await _login(api, inhabited.user.email, text)).status_code == 401
    made = await _login(api, inhabited.user.email, device_name=text[:200], trust_device=True)
    assert made.status_code == 200, made.text
    response = await api.client.post("/api/v1/auth/password/forgotten", json={"email": text})
    assert response.status_code in (202, 400)
