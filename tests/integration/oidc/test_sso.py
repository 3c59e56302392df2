"""An organization that requires its provider: passwords of its users are refused."""

from types import SimpleNamespace

import pytest

from duoscope.identity.authentication import sso
from duoscope.identity.operators import administration
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope

PASSWORD = "correct horse battery"
EMAIL = "bob@example.com"
_PLATFORM = PlatformScope(reason="test")


@pytest.fixture
async def acme_alone(acme, provider):
    """Bob has a password, and the organization takes none."""
    await acme.register(("*", "viewer"))
    await administration.create_user(
        acme.services.metadata, acme.services.hasher, tenant_id=acme.tenant.tenant_id,
        email=EMAIL, password=PASSWORD, role="viewer",
    )  # fmt: skip
    await acme.settings(sso_required=True)
    provider.add("ada")
    return acme


async def _login(acme, password=PASSWORD, email=EMAIL):
    body = {"email": email, "password": password}
    return await acme.browser.post("/api/v1/auth/login", json=body)


def _code(response):
    return response.status_code, response.json().get("code")


async def test_the_right_password_is_told_where_to_go_and_a_wrong_one_nothing(acme_alone):
    acme = acme_alone
    for _ in range(7):
        refused = await _login(acme)
        assert _code(refused) == (403, "sso-required")
        assert acme.path("start") in refused.json()["detail"]
    assert _code(await _login(acme, "wrong password")) == (401, "invalid-credentials")
    assert _code(await _login(acme, email="nobody@example.com")) == (401, "invalid-credentials")
    assert (await acme.login()).status_code == 200
    async with acme.services.metadata.open_platform(_PLATFORM, "test.audit") as tx:
        reasons = await tx.fetch("SELECT content::json #>> '{after,reason}' AS reason FROM audit_logs "
                                "WHERE action = 'session.created' AND result = 'failure'")  # fmt: skip
    assert [row["reason"] for row in reasons].count("sso-required") == 7


async def test_it_counts_while_a_provider_is_in_service(acme_alone):
    acme = acme_alone
    one = f"/api/v1/identity-providers/{acme.registered['identity_provider_id']}"
    for change, undo in (
        (("PATCH", one, {"is_active": False}), ("PATCH", one, {"is_active": True})),
        (("DELETE", one, None), ("POST", f"{one}/restore", None)),
    ):
        for (method, path, body), code in ((change, 200), (undo, 403)):
            answer = await acme.browser.request(method, path, json=body, headers=acme.headers)
            assert answer.status_code in {200, 204}, answer.text
            assert (await _login(acme)).status_code == code
    await acme.settings(sso_required=False)
    assert (await _login(acme)).status_code == 200


async def test_an_operator_lets_somebody_in_for_a_while_and_platform_admins_come_as_ever(acme_alone):
    acme, store = acme_alone, acme_alone.services.metadata
    await sso.allow_password(store, operator(), EMAIL.upper(), lifetime_s=3600)
    answer = await _login(acme)
    assert answer.status_code == 200
    assert _code(await _login(acme, email="root@acme.example")) == (403, "sso-required"), "nobody else"
    async with store.open_platform(_PLATFORM, "test.later") as tx:
        actors = await tx.fetch("SELECT actor_kind FROM audit_logs WHERE action = 'user.password-allowed'")
        await tx.execute("UPDATE users SET password_until = now()")
    assert [row["actor_kind"] for row in actors] == ["operator"]
    assert _code(await _login(acme)) == (403, "sso-required")
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    again = await acme.browser.post("/api/v1/auth/reauthenticate", json={"password": PASSWORD}, headers=headers)
    assert _code(again) == (403, "sso-required")
    async with store.open_platform(_PLATFORM, "test.platform_admin") as tx:
        await tx.execute("UPDATE users SET is_platform_admin = true WHERE email = $1", EMAIL)
    assert (await _login(acme)).status_code == 200
    with pytest.raises(DuoscopeError, match="No such user"):
        await sso.allow_password(store, operator(), "nobody@example.com", lifetime_s=3600)


async def test_who_forgot_a_password_is_told_of_the_provider(acme_alone):
    recovery, store = acme_alone.services.recovery, acme_alone.services.metadata
    for email, expected in ((EMAIL, True), ("nobody@example.com", False)):
        async with store.open_platform(_PLATFORM, "test.write") as tx:
            letter = await recovery.write_reset(tx, SimpleNamespace(recipient=email, context={}))
            assert (letter is not None) is expected
            if letter is not None:
                assert f"http://duoscope.test{acme_alone.path('start')}" in letter.text
                assert "tfp-" not in letter.text
            assert await tx.fetchval("SELECT count(*) FROM password_reset_tokens") == 0
