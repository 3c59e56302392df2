"""How strongly and how lately a provider says that it authenticated somebody, and what is asked of them besides."""

import asyncio
import time

import pytest

from duoscope.kernel.limits import AUTHENTICATED_AGE_MAX_S

MULTI_FACTOR = "urn:example:mfa"


@pytest.fixture
async def ada(acme, provider):
    """Somebody whom the provider knows, of an organization that lets everybody in."""
    await acme.register(("*", "viewer"), acr_values=[MULTI_FACTOR, "urn:example:better"])
    provider.add("ada")
    return acme


async def _call(acme, answer, method, path, **more):
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    return await acme.browser.request(method, f"/api/v1/{path}", headers=headers, **more)


def _code(response):
    return response.status_code, response.json()["code"]


async def _session(acme, answer):
    listed = (await _call(acme, answer, "GET", "sessions")).json()["items"]
    return next(each for each in listed if each["is_current"])


async def _enrol(acme, answer, totp_code):
    made = await _call(acme, answer, "POST", "auth/mfa/enrolment", json={})
    assert made.status_code == 201, made.text
    body = {"mfa_code": totp_code(made.json()["secret"])}
    confirmed = await _call(acme, answer, "POST", "auth/mfa/confirmation", json=body)
    assert confirmed.status_code == 200, confirmed.text
    return confirmed.json()["backup_codes"]


@pytest.mark.parametrize(
    ("says", "is_enough"),
    [
        ({}, False),
        ({"amr": ["pwd"]}, False),
        ({"amr": ["otp"]}, False),
        ({"amr": ["hwk", "swk"]}, False),
        ({"amr": "mfa"}, False),
        ({"amr": [["mfa"], 1, None]}, False),
        ({"amr": ["mfa"]}, True),
        ({"amr": ["pwd", "otp"]}, True),
        ({"amr": ["fpt", "hwk"]}, True),
        ({"acr": "urn:example:password"}, False),
        ({"acr": MULTI_FACTOR, "amr": ["pwd"]}, True),
    ],
)
async def test_what_the_provider_does_not_say_is_asked_for_here(ada, provider, says, is_enough):
    await ada.settings(mfa_required=True)
    provider.acr, provider.amr = says.get("acr"), says.get("amr")
    answer = await ada.login()
    assert answer.status_code == 200, answer.text
    assert provider.requests[-1]["acr_values"] == f"{MULTI_FACTOR} urn:example:better"
    response = await _call(ada, answer, "GET", "sessions")
    if is_enough:
        assert response.json()["items"][0]["methods"] == ["oidc", "mfa"]
    else:
        assert _code(response) == (403, "mfa-enrolment-required")
    assert (await _call(ada, answer, "GET", "auth/me")).status_code == 200


async def test_who_comes_with_one_factor_enrols_and_then_shows_another(ada, totp_code):
    await ada.settings(mfa_required=True)
    first = await ada.login()
    codes = await _enrol(ada, first, totp_code)
    assert (await _session(ada, first))["methods"] == ["oidc", "otp"], "enrolled, and shown by that"
    second = await ada.login()
    assert _code(await _call(ada, second, "GET", "sessions")) == (403, "mfa-required")
    wrong = await _call(ada, second, "POST", "auth/reauthenticate", json={"mfa_code": "no code"})
    assert _code(wrong) == (403, "mfa-code-invalid")
    shown = await _call(ada, second, "POST", "auth/reauthenticate", json={"mfa_code": codes[0]})
    assert shown.status_code == 200, shown.text
    assert (await _session(ada, shown))["methods"] == ["oidc", "backup-code"]
    assert (await _call(ada, second, "GET", "auth/me")).status_code == 401, "the other one is in its place"


async def test_a_second_factor_of_ones_own_is_asked_for_without_any_policy(ada, provider, totp_code):
    """Otherwise the way through the provider would be weaker than the one with a password."""
    await _enrol(ada, await ada.login(), totp_code)
    assert _code(await _call(ada, await ada.login(), "GET", "sessions")) == (403, "mfa-required")
    provider.amr = ["mfa"]
    assert (await _call(ada, await ada.login(), "GET", "sessions")).status_code == 200


async def test_when_the_provider_asked_is_when_somebody_authenticated(ada, provider):
    provider.authenticated_at = time.time() - AUTHENTICATED_AGE_MAX_S - 100
    late = await ada.login()
    assert _code(await _call(ada, late, "DELETE", "sessions")) == (403, "reauthentication-required")
    assert _code(await _call(ada, late, "POST", "auth/mfa/enrolment", json={})) == (403, "reauthentication-required")
    fresh = await ada.login(fresh="true")
    assert (provider.requests[-1]["prompt"], provider.requests[-1]["max_age"]) == ("login", "0")
    assert "prompt" not in provider.requests[-2]
    assert (await _call(ada, fresh, "DELETE", "sessions")).status_code == 204


async def test_a_provider_that_does_not_ask_anew_or_talks_nonsense_is_refused(ada, provider):
    provider.authenticated_at, provider.is_lazy = time.time() - 100, True
    refused = "the provider was asked to authenticate anew, and did not"
    await ada.refused(await ada.login(fresh="true"), refused)

    def saying(auth_time):
        def alter(header, claims, key):
            return header, {**{k: v for k, v in claims.items() if k != "auth_time"}, **auth_time}, key

        provider.alter = alter

    saying({})
    await ada.refused(await ada.login(fresh="true"), refused)
    answer = await ada.login()
    assert (await _session(ada, answer))["authenticated_at"] is None
    assert _code(await _call(ada, answer, "DELETE", "sessions")) == (403, "reauthentication-required")
    for nonsense in (time.time() + 3600, -1, "now", [1], True):
        saying({"auth_time": nonsense})
        if nonsense is True:  # a number to Python, and long ago
            assert (await ada.login()).status_code == 200
        else:
            await ada.refused(await ada.login(), "ID token: auth_time is no time that has been")


async def test_a_login_from_a_session_ends_it(ada, provider):
    first = await ada.login()

    async def again(**body):
        headers = {"authorization": f"Bearer {first.json()['access_token']}"} if not body else {}
        begun = await ada.browser.post(ada.path("start"), json=body, headers=headers)
        assert begun.status_code == 200, begun.text
        answer = await asyncio.to_thread(provider.approve, begun.json()["location"])
        return await ada.browser.get(ada.path("callback"), params=answer)

    provider.accounts["ada"].claims["email_verified"] = False
    assert (await again()).status_code == 401
    assert (await _call(ada, first, "GET", "auth/me")).status_code == 200, "a login that failed ends nothing"
    provider.accounts["ada"].claims["email_verified"] = True
    second = await again()
    assert second.status_code == 200, second.text
    assert (await _call(ada, first, "GET", "auth/me")).status_code == 401
    third = await again(refresh_token=second.json()["refresh_token"], fresh=True)
    assert provider.requests[-1]["prompt"] == "login"
    assert (await _call(ada, second, "GET", "auth/me")).status_code == 401
    [session] = (await _call(ada, third, "GET", "sessions")).json()["items"]
    assert session["is_current"]
