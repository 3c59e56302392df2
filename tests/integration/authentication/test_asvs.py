"""Claims of docs/security.md that no test of a feature shows by itself."""

import re

import pytest

from duoscope.delivery.mail import Mailer, deliver_due
from duoscope.identity.operators import administration
from duoscope.kernel.settings import Settings

EMAIL, PASSWORD, ANOTHER = "ada@example.com", "correct horse battery", "staple of another kind"


@pytest.fixture
async def ada(api):
    """A user; answers a function that logs in and answers the response."""
    services = api.services
    place = await administration.create_tenant(
        services.metadata, organization="O", workspace="W", tenant="T", mfa_required=False
    )
    await administration.create_user(
        services.metadata, services.hasher, tenant_id=place.tenant_id, email=EMAIL, password=PASSWORD, role="viewer"
    )

    async def log_in(password=PASSWORD, **more):
        return await api.client.post("/api/v1/auth/login", json={"email": EMAIL, "password": password, **more})

    return log_in


async def test_a_forgotten_password_does_not_go_around_the_second_factor(api, ada, smtp_server, secret_keys, totp_code):
    headers = {"authorization": f"Bearer {(await ada()).json()['access_token']}"}
    enrolment = await api.client.post("/api/v1/auth/mfa/enrolment", json={"password": PASSWORD}, headers=headers)
    code = totp_code(enrolment.json()["secret"])
    confirmed = await api.client.post("/api/v1/auth/mfa/confirmation", json={"mfa_code": code}, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    assert (await api.client.post("/api/v1/auth/password/forgotten", json={"email": EMAIL})).status_code == 202
    mailer = Mailer(Settings(smtp_url=smtp_server.url), secret_keys)
    writers = {"password-forgotten": api.services.recovery.write_reset}
    while await deliver_due(api.services.metadata, mailer, writers):
        pass
    [token] = [found[1] for mail in smtp_server.mails if (found := re.search(r"#(tfp-\S+)", mail.get_content()))]
    body = {"token": token, "password": ANOTHER}
    assert (await api.client.post("/api/v1/auth/password/reset", json=body)).status_code == 204
    refused = await ada(ANOTHER)
    assert (refused.status_code, refused.json()["code"]) == (401, "mfa-required")
    assert (await ada(ANOTHER, mfa_code=confirmed.json()["backup_codes"][0])).status_code == 200


async def test_every_login_begins_a_session_of_its_own_with_an_unguessable_token(api, ada):
    pairs = [(await ada()).json() for _ in range(3)]
    assert len({pair["access_token"] for pair in pairs}) == 3
    headers = {"authorization": f"Bearer {pairs[0]['access_token']}"}
    sessions = (await api.client.get("/api/v1/sessions", headers=headers)).json()["items"]
    assert len({each["session_id"] for each in sessions}) == 3
    for pair in pairs:
        # 256 random bits in base64.
        assert re.fullmatch(r"tfr-[A-Za-z0-9_-]{43}", pair["refresh_token"])
    assert len({pair["refresh_token"] for pair in pairs}) == 3


@pytest.mark.parametrize("path", ["/invitation", "/password"])
async def test_password_fields_hide_what_is_typed_and_take_what_is_pasted(api, path):
    answer = await api.client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    fields = [field for field in re.findall(r"<input[^>]*>", page) if 'name="password"' in field]
    assert fields
    for field in fields:
        assert 'type="password"' in field
        assert 'autocomplete="new-password"' in field
    assert "paste" not in page


async def test_a_password_may_be_long_and_of_any_kind_and_counts_to_its_last_letter(api, ada):
    headers = {"authorization": f"Bearer {(await ada()).json()['access_token']}"}
    long = "any thing goes here, ünïcödé 漢字 and spaces " * 4
    assert 128 < len(long) <= 512
    body = {"current_password": PASSWORD, "new_password": long}
    assert (await api.client.post("/api/v1/auth/password/change", json=body, headers=headers)).status_code == 204
    assert (await ada(long)).status_code == 200
    for other in (long[:-1], long.upper(), long.strip(), long[:72]):
        assert (await ada(other)).status_code == 401
