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
