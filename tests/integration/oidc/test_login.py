"""Logging in through a real OpenID provider: who gets in, as whom, with which roles; and who does not."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from duoscope.identity.operators import administration
from duoscope.kernel.actor import operator
from duoscope.kernel.scope import PlatformScope
from duoscope.secrets.box import SecretBox
from duoscope.secrets.keys import SecretKeys

CLIENT_SECRET = "a secret: with + and ä"
PASSWORD = "correct horse battery"
_PLATFORM = PlatformScope(reason="test")


async def test_a_first_login_makes_a_user_with_the_roles_of_their_groups(acme, provider):
    await acme.register(("developers", "developer"), ("*", "viewer"))
    assert "client_secret" not in acme.registered
    provider.add("ada", given_name="Ada", family_name="Lovelace", groups=["developers", "others"])
    response = await acme.login()
    assert set(response.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert response.headers["cache-control"] == "no-store"
    assert "duoscope-oidc" not in acme.browser.cookies
    me = await acme.me(response)
    assert (me["email"], me["first_name"], me["last_name"]) == ("ada@example.com", "Ada", "Lovelace")
    assert me["organization_id"] == str(acme.tenant.organization_id)
    assert {"dashboard:write", "log:read"} <= set(me["permissions"])
    refreshed = await acme.browser.post(
        "/api/v1/auth/refresh", json={"refresh_token": response.json()["refresh_token"]}
    )
    assert refreshed.status_code == 200
    again = await acme.me(await acme.login())
    assert again["user_id"] == me["user_id"]
    async with acme.services.metadata.open_platform(_PLATFORM, "test.read") as tx:
        row = await tx.fetchrow("SELECT * FROM users WHERE email = 'ada@example.com'")
        entries = await tx.fetch("SELECT action, content FROM audit_logs ORDER BY sequence")
        stored = await tx.fetchval("SELECT client_secret_encrypted FROM identity_providers")
        methods = await tx.fetchval("SELECT methods FROM user_sessions WHERE user_id = $1", row["user_id"])
    assert (row["email_verified"], row["tenant_id"]) == (True, None)
    assert methods == ["oidc"]
    assert {"identity-provider.created", "user.created", "user-role.assigned", "session.created"} <= {
        entry["action"] for entry in entries
    }
    assert not any(CLIENT_SECRET in entry["content"] or stored in entry["content"] for entry in entries)
    body = {"email": "ada@example.com", "password": ""}
    assert (await acme.browser.post("/api/v1/auth/login", json=body)).status_code == 401


async def test_a_page_comes_back_to_itself_with_the_session_in_a_cookie(acme, provider):
    await acme.register(("*", "viewer"))
    provider.add("ada")
    ours = {"origin": "http://duoscope.test"}

    async def begin(return_to: str, headers: dict[str, str] = ours):
        return await acme.browser.post(acme.path("start"), json={"return_to": return_to}, headers=headers)

    async def come_back(return_to: str):
        begun = await begin(return_to)
        assert begun.status_code == 200, begun.text
        answer = await asyncio.to_thread(provider.approve, begun.json()["location"])
        return await acme.browser.get(acme.path("callback"), params=answer)

    for elsewhere in ("//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a b", "/a\n", ""):
        assert (await begin(elsewhere)).json()["code"] == "invalid-request", elsewhere
    assert (await begin("/", {"origin": "http://evil.example"})).json()["code"] == "not-same-origin"
    back = await come_back("/t/1?q=a%20b")
    assert (back.status_code, back.headers["location"]) == (302, "http://duoscope.test/t/1?q=a%20b")
    assert back.content == b""
    [kept] = [each for each in back.headers.get_list("set-cookie") if each.startswith("duoscope-session=")]
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    refreshed = await acme.browser.post("/api/v1/auth/refresh", json={"cookie": True}, headers=ours)
    assert (await acme.me(refreshed))["email"] == "ada@example.com"
    provider.add("eve", email_verified=False)
    back = await come_back("/t/1")
    assert back.headers["location"] == "http://duoscope.test/?problem=oidc-login-refused"
    assert (await acme.refusals())[-1] == "the provider has not verified the e-mail address"


async def test_roles_follow_the_groups_at_each_login_and_those_given_by_people_stay(acme, provider):
    await acme.register(("developers", "developer"), ("viewers", "viewer"))
    provider.add("ada", groups=["developers"])
    me = await acme.me(await acme.login())
    path = f"/api/v1/users/{me['user_id']}/roles"
    given = {"role_id": await acme.role_id("demo"), "tenant_id": str(acme.tenant.tenant_id)}
    assert (await acme.browser.post(path, json=given, headers=acme.headers)).status_code == 201

    async def roles() -> set[str]:
        answer = await acme.browser.get(path, headers=acme.headers)
        return {item["role_name"] for item in answer.json()["items"]}

    assert await roles() == {"developer", "demo"}
    provider.accounts["ada"].claims["groups"] = "viewers"  # some providers send a text for one group
    assert "dashboard:write" not in (await acme.me(await acme.login()))["permissions"]
    assert await roles() == {"viewer", "demo"}
    provider.accounts["ada"].claims["groups"] = []
    await acme.me(await acme.login())
    assert await roles() == {"demo"}
    [role] = (await acme.browser.get(path, headers=acme.headers)).json()["items"]
    await acme.browser.delete(f"{path}/{role['user_role_id']}", headers=acme.headers)
    await acme.refused(await acme.login(), "the account is closed, or has no role there")


async def test_the_last_admin_stays_whatever_the_provider_says(acme, provider):
    await acme.register()
    role = {"group": "admins", "role_id": await acme.role_id("admin"), "organization_wide": True}
    changed = await acme.browser.patch(
        f"/api/v1/identity-providers/{acme.registered['identity_provider_id']}",
        json={"group_roles": [role]},
        headers=acme.headers,
    )
    assert changed.status_code == 200, changed.text
    provider.add("ada", groups=["admins"])
    await acme.me(await acme.login())
    async with acme.services.metadata.open_platform(_PLATFORM, "test.alone") as tx:
        await tx.execute("UPDATE users SET is_active = false WHERE email LIKE 'root@%'")
    provider.accounts["ada"].claims["groups"] = []
    assert "user:admin" in (await acme.me(await acme.login()))["permissions"]


async def test_an_existing_user_is_linked_by_an_address_that_both_sides_have_verified(acme, provider):
    await acme.register(("*", "viewer"))
    user = await administration.create_user(
        acme.services.metadata, acme.services.hasher, tenant_id=acme.tenant.tenant_id,
        email="Ada@Example.com", password=PASSWORD, role="developer",
    )  # fmt: skip
    provider.add("ada")
    await acme.refused(await acme.login(), "the account of this address has not verified it")
    async with acme.services.metadata.open_platform(_PLATFORM, "test.verify") as tx:
        await tx.execute("UPDATE users SET email_verified = true, email_verified_at = now() WHERE user_id = $1",
                        user.user_id)  # fmt: skip
    assert (await acme.me(await acme.login()))["user_id"] == str(user.user_id)
    # From now on by the subject: the address may change there, and nobody else becomes this user by taking it over.
    provider.accounts["ada"].claims["email"] = "lovelace@example.com"
    assert (await acme.me(await acme.login()))["user_id"] == str(user.user_id)
    provider.add("eve", email="ada@example.com")
    await acme.refused(await acme.login(), "the account is another subject of the provider already")


async def test_users_of_another_organization_and_platform_admins_are_out_of_reach(acme, found, provider):
    other = await found("Other")
    await acme.register(("*", "viewer"), allowed_email_domains=["other.example", "example.com"])
    async with acme.services.metadata.open_platform(_PLATFORM, "test.verify") as tx:
        await tx.execute("UPDATE users SET email_verified = true, email_verified_at = now()")
    provider.add("mallory", email="root@other.example")
    await acme.refused(await acme.login(), "the address belongs to another account")
    await administration.create_user(
        acme.services.metadata, acme.services.hasher, tenant_id=acme.tenant.tenant_id,
        email="boss@example.com", password=PASSWORD, role="viewer",
    )  # fmt: skip
    async with acme.services.metadata.open_platform(_PLATFORM, "test.boss") as tx:
        await tx.execute(
            "UPDATE users SET is_platform_admin = true, email_verified = true, email_verified_at = now() "
            "WHERE email = 'boss@example.com'"
        )
    provider.add("mallory", email="boss@example.com")
    await acme.refused(await acme.login(), "the account is closed, or a platform admin's")
    assert await other.refusals() == []


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email_verified": False}, "the provider has not verified the e-mail address"),
        ({"email_verified": 1}, "the provider has not verified the e-mail address"),
        ({"email_verified": "true"}, None),
        ({"email_verified": "yes"}, "the provider has not verified the e-mail address"),
        ({"email": "ada@example.org"}, "the domain of the e-mail address is not among allowed_email_domains"),
        ({"email": "ada@example.com.evil.test"}, "the domain of the e-mail address is not among allowed_email_domains"),
        ({"email": "a b@example.com"}, "the provider names no usable e-mail address"),
        ({"email": "a,b@example.com"}, "the provider names no usable e-mail address"),
        ({"email": ["ada@example.com"]}, "the provider names no usable e-mail address"),
        ({"email": ""}, "the provider names no usable e-mail address"),
        ({"groups": ["others"]}, "no group of the account gives a role"),
    ],
)
async def test_who_may_not_sign_in(acme, provider, claims, reason):
    await acme.register(("developers", "developer"))
    provider.add("ada", **({"groups": ["developers"]} | claims))
    if reason is None:
        await acme.me(await acme.login())
        return
    await acme.refused(await acme.login(), reason)
    async with acme.services.metadata.open_platform(_PLATFORM, "test.read") as tx:
        assert await tx.fetchval("SELECT count(*) FROM users WHERE email LIKE 'ada%'") == 0


async def test_claims_that_only_userinfo_has_are_fetched(acme, provider):
    await acme.register(("developers", "developer"))
    provider.in_userinfo_only = frozenset({"email", "email_verified", "groups"})
    provider.add("ada", groups=["developers"])
    assert (await acme.me(await acme.login()))["email"] == "ada@example.com"
    assert "/userinfo" in provider.asked


async def test_an_answer_counts_once_in_the_browser_that_began_and_in_time(acme, provider, monkeypatch):
    await acme.register(("*", "viewer"))
    provider.add("ada")
    answer = await acme.begin()
    cookie = acme.browser.cookies["duoscope-oidc"]

    async def callback(params, value=cookie):
        acme.browser.cookies.clear()
        if value:
            acme.browser.cookies.set("duoscope-oidc", value)
        return await acme.browser.get(acme.path("callback"), params=params)

    def code(response):
        return response.status_code, response.json().get("code")

    wrong = (400, "oidc-state-invalid")
    assert code(await callback(answer, None)) == wrong
    assert code(await callback(answer, cookie[:-8] + "AAAAAAAA")) == wrong
    assert code(await callback(answer | {"state": "x"})) == wrong
    assert code(await callback({"code": answer["code"]})) == (400, "invalid-request")
    acme.browser.cookies.clear()
    other = await acme.begin()
    assert code(await callback(other)) == wrong, "another login of this browser"
    answers = await asyncio.gather(*(callback(answer) for _ in range(3)))
    assert sorted(response.status_code for response in answers) == [200, 400, 400]
    assert code(await callback(answer)) == wrong
    acme.browser.cookies.clear()
    late = await acme.begin()
    cookie = acme.browser.cookies["duoscope-oidc"]
    now = time.time()
    monkeypatch.setattr("duoscope.identity.oidc.login.time.time", lambda: now + 601)
    assert code(await callback(late, cookie)) == wrong


async def test_a_cookie_of_one_provider_is_none_of_another(acme, provider):
    await acme.register(("*", "viewer"))
    first = acme.registered
    provider.add("ada")
    answer = await acme.begin()
    await acme.register(("*", "viewer"), name="Second")
    response = await acme.browser.get(acme.path("callback"), params=answer)
    assert response.json()["code"] == "oidc-state-invalid"
    acme.registered = first
    assert (await acme.browser.get(acme.path("callback"), params=answer)).status_code == 200


async def test_the_request_is_made_as_it_should_be(acme, provider):
    await acme.register(("*", "viewer"))
    response = await acme.browser.get(acme.path("start"))
    query = {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}
    assert query.keys() == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert query["redirect_uri"] == f"http://duoscope.test{acme.path('callback')}"
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert query["state"] not in cookie
    assert (await acme.browser.get("/api/v1/auth/oidc/no-such-provider/start")).status_code == 404
    assert (await acme.browser.get("/api/v1/auth/oidc/UPPER/start")).status_code == 404


async def test_a_refusal_of_the_provider_and_a_code_of_nobody(acme, provider):
    await acme.register(("*", "viewer"))
    provider.add("ada")
    answer = await acme.begin()
    params = {"state": answer["state"], "error": "access_denied"}
    await acme.refused(await acme.browser.get(acme.path("callback"), params=params), "the provider refused")
    answer = await acme.begin()
    response = await acme.browser.get(acme.path("callback"), params=answer | {"code": "made-up"})
    await acme.refused(response, "token endpoint: 400 invalid_grant")
    answer = await acme.begin()
    response = await acme.browser.get(acme.path("callback"), params=answer | {"iss": "https://evil.example"})
    await acme.refused(response, "the answer is another issuer's")


async def test_a_provider_out_of_service_lets_nobody_in(acme, provider):
    await acme.register(("*", "viewer"))
    provider.add("ada")
    one = f"/api/v1/identity-providers/{acme.registered['identity_provider_id']}"
    answer = await acme.begin()
    assert (await acme.browser.patch(one, json={"is_active": False}, headers=acme.headers)).status_code == 200
    assert (await acme.browser.get(acme.path("start"))).status_code == 404
    assert (await acme.browser.get(acme.path("callback"), params=answer)).status_code == 404
    await acme.browser.patch(one, json={"is_active": True}, headers=acme.headers)
    assert (await acme.login()).status_code == 200
    assert (await acme.browser.delete(one, headers=acme.headers)).status_code == 204
    assert (await acme.browser.get(acme.path("start"))).status_code == 404
    assert (await acme.browser.post(f"{one}/restore", headers=acme.headers)).status_code == 200
    assert (await acme.login()).status_code == 200


async def test_the_client_secret_survives_a_change_of_keys(acme, provider):
    await acme.register(("*", "viewer"))
    provider.add("ada")
    await SecretBox(acme.services.metadata, SecretKeys((b"s" * 32,))).rotate(operator())
    assert (await acme.login()).status_code == 200
