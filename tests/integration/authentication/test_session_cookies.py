"""Refresh tokens in cookies: who gets one, which requests may use it, and what of it a script sees."""

import pytest

from duoscope.api.session_cookies import session_cookie
from duoscope.kernel.ids import new_id

LOGIN, REFRESH, LOGOUT = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout"))
OWN = {"sec-fetch-site": "same-origin"}
PASSWORD = "correct horse battery"


async def logged_in(client, inhabited, **more):
    body = {"email": inhabited.user.email, "password": PASSWORD, "cookie": True, **more}
    answer = await client.post(LOGIN, json=body, headers=OWN)
    assert answer.status_code == 200, answer.text
    return answer


def session_cookies(answer):
    return [c for c in answer.headers.get_list("set-cookie") if "-session=" in c]


async def test_a_page_gets_the_refresh_token_where_no_script_reads_it(api, inhabited):
    answer = await logged_in(api.client, inhabited)
    assert "refresh_token" not in answer.json()
    assert "tfr-" not in answer.text
    (cookie,) = session_cookies(answer)
    assert cookie.startswith("duoscope-session=tfr-")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert answer.headers["cache-control"] == "no-store"
    fresh = await api.client.post(REFRESH, json={"cookie": True}, headers=OWN)
    assert fresh.status_code == 200
    assert "refresh_token" not in fresh.json()
    assert session_cookies(fresh) != session_cookies(answer), "a refresh token works once"


def test_over_https_the_cookie_is_secure_and_bound_to_this_host():
    said = [part.strip() for part in session_cookie("tfr-x", is_secure=True).to_header(header="").split(";")]
    assert said[0] == "__Host-duoscope-session=tfr-x"
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(said)
    assert not any(part.lower().startswith("domain") for part in said)


async def test_a_refresh_may_name_the_tenant_and_one_without_a_role_uses_nothing_up(api, inhabited):
    await logged_in(api.client, inhabited)
    missing = await api.client.post(REFRESH, json={"cookie": True, "tenant_id": str(new_id())}, headers=OWN)
    assert missing.status_code == 404
    there = await api.client.post(REFRESH, json={"cookie": True, "tenant_id": str(inhabited.tenant_id)}, headers=OWN)
    assert there.status_code == 200
    me = await api.client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {there.json()['access_token']}"})
    assert me.json()["tenant_id"] == str(inhabited.tenant_id)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site", "origin": "http://test"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://test.evil.example"},
    ],
    ids=str,
)
async def test_other_sites_use_no_cookie(api, inhabited, headers):
    await logged_in(api.client, inhabited)
    body = {"email": inhabited.user.email, "password": PASSWORD, "cookie": True}
    for path, sent in ((REFRESH, {"cookie": True}), (LOGIN, body)):
        answer = await api.client.post(path, json=sent, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-same-origin")
        assert not session_cookies(answer)
    assert (await api.client.post(REFRESH, json={"cookie": True}, headers=OWN)).status_code == 200


async def test_an_old_browser_shows_its_origin_instead(api, inhabited):
    await logged_in(api.client, inhabited)
    answer = await api.client.post(REFRESH, json={"cookie": True}, headers={"origin": "http://test"})
    assert answer.status_code == 200


async def test_the_cookie_counts_only_where_the_request_says_so(api, inhabited):
    await logged_in(api.client, inhabited)
    for body in ({}, {"cookie": False}, {"cookie": True, "refresh_token": "tfr-x"}):
        assert (await api.client.post(REFRESH, json=body, headers=OWN)).status_code == 400


async def test_logging_out_ends_the_session_and_takes_the_cookie_back(api, inhabited):
    access = {"authorization": f"Bearer {(await logged_in(api.client, inhabited)).json()['access_token']}"}
    assert (await api.client.post(LOGOUT, json={"cookie": True}, headers=access)).status_code == 403
    token = dict(api.client.cookies)["duoscope-session"]
    done = await api.client.post(LOGOUT, json={"cookie": True}, headers=access | OWN)
    assert done.status_code == 204
    (cookie,) = session_cookies(done)
    assert "Max-Age=0" in cookie
    assert (await api.client.get("/api/v1/auth/me", headers=access)).status_code == 401
    assert (await api.client.post(REFRESH, json={"refresh_token": token})).status_code == 401


async def test_another_login_ends_the_session_of_the_cookie(api, inhabited):
    first = {"authorization": f"Bearer {(await logged_in(api.client, inhabited)).json()['access_token']}"}
    await logged_in(api.client, inhabited)
    assert (await api.client.get("/api/v1/auth/me", headers=first)).status_code == 401
