"""Domains of e-mail addresses: what proves one, and what a provider may do with one that nobody has proven."""

import asyncio

import dns.rcode
import pytest

from duoscope.identity.oidc.email_domains import verify_by_operator
from duoscope.identity.operators import administration
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.limits import EMAIL_DOMAINS_OF_ORGANIZATION_MAX
from duoscope.kernel.scope import PlatformScope
from duoscope.net import dns as our_dns

_PATH = "/api/v1/email-domains"
_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}
_PLATFORM = PlatformScope(reason="test")
PASSWORD = "correct horse battery"
NOT_PROVEN = "the domain of the e-mail address is not proven to be the organization's"


async def _claim(acme, domain="example.com"):
    answer = await acme.browser.post(_PATH, json={"domain": domain}, headers=acme.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _verify(acme, claim):
    return await acme.browser.post(f"{_PATH}/{claim['email_domain_id']}/verify", headers=acme.headers)


async def test_a_record_in_dns_proves_it_and_nobody_is_made_before(acme, provider, zone):
    await acme.register(("*", "viewer"), proves=False)
    provider.add("ada")
    await acme.refused(await acme.login(), NOT_PROVEN)
    claim = await _claim(acme, "Example.com")
    assert (claim["domain"], claim["is_verified"], claim["verified_by"]) == ("example.com", False, None)
    assert claim["record_name"] == "_duoscope-verification.example.com"
    await acme.refused(await acme.login(), NOT_PROVEN)
    assert zone.asked == [], "DNS is asked when somebody asks for it"
    nothing = await _verify(acme, claim)
    assert (nothing.status_code, nothing.json()["found"], nothing.json()["problem"]) == (200, [], None)
    zone.texts[claim["record_name"]] = ["v=spf1 -all", claim["record_text"] + "x"]
    other = (await _verify(acme, claim)).json()
    assert sorted(other["found"]) == sorted(zone.texts[claim["record_name"]])
    assert not other["email_domain"]["is_verified"]
    await acme.refused(await acme.login(), NOT_PROVEN)
    zone.texts[claim["record_name"]].append(claim["record_text"])
    proven = (await _verify(acme, claim)).json()["email_domain"]
    assert (proven["is_verified"], proven["verified_by"]) == (True, "dns")
    assert {name for name, _ in zone.asked} == {claim["record_name"]}
    ada = await acme.me(await acme.login())
    assert ada["email"] == "ada@example.com"
    # Given up, it counts no more; who is linked comes by the subject, as ever.
    one = f"{_PATH}/{claim['email_domain_id']}"
    assert (await acme.browser.delete(one, headers=acme.headers)).status_code == 204
    assert (await acme.browser.get(one, headers=acme.headers)).status_code == 404
    assert (await acme.me(await acme.login()))["user_id"] == ada["user_id"]
    provider.add("eve")
    await acme.refused(await acme.login(), NOT_PROVEN)
    entries = await acme.browser.get(
        "/api/v1/audit-logs?resource_type=email-domain&reach=organization", headers=acme.headers
    )
    told = [entry["action"] for entry in entries.json()["items"]]
    assert sorted(told) == ["email-domain.created", "email-domain.deleted", "email-domain.verified"]


async def test_an_existing_user_is_not_linked_by_an_address_of_an_unproven_domain(acme, provider):
    await acme.register(("*", "viewer"), proves=False)
    user = await administration.create_user(
        acme.services.metadata, acme.services.hasher, tenant_id=acme.tenant.tenant_id,
        email="ada@example.com", password=PASSWORD, role="admin",
    )  # fmt: skip
    async with acme.services.metadata.open_platform(_PLATFORM, "test.verify") as tx:
        await tx.execute("UPDATE users SET email_verified = true, email_verified_at = now()")
    provider.add("ada")
    await acme.refused(await acme.login(), NOT_PROVEN)
    await acme.prove("example.com")
    assert (await acme.me(await acme.login()))["user_id"] == str(user.user_id)


async def test_a_claim_keeps_nobody_out_and_a_proof_is_one_organizations(acme, found, provider, zone):
    squatter = await found("Squatter")
    await squatter.register(("*", "viewer"), proves=False)
    squatted = await _claim(squatter)
    await acme.register(("*", "viewer"), proves=False)
    own = await _claim(acme)
    assert own["record_text"] != squatted["record_text"]
    zone.texts[own["record_name"]] = [own["record_text"]]
    assert (await _verify(acme, own)).json()["email_domain"]["is_verified"]
    assert not (await _verify(squatter, squatted)).json()["email_domain"]["is_verified"], "another's record is not ours"
    provider.add("ada")
    assert (await acme.login()).status_code == 200
    provider.client.redirect_uris = (squatter.registered["redirect_uri"],)
    provider.add("eve")
    await squatter.refused(await squatter.login(), NOT_PROVEN)
    # With a record of its own it is told that somebody else has it; an operator may take it over.
    zone.texts[own["record_name"]].append(squatted["record_text"])
    refused = await _verify(squatter, squatted)
    assert (refused.status_code, refused.json()["code"]) == (409, "email-domain-taken")
    store = acme.services.metadata
    wanted = {"organization": "squatter", "domain": "EXAMPLE.com"}
    with pytest.raises(DuoscopeError, match="--take-over"):
        await verify_by_operator(store, operator(), **wanted)
    taken = await verify_by_operator(store, operator(), **wanted, takes_over=True)
    assert (taken.domain, taken.verified_by) == ("example.com", "operator")
    assert await verify_by_operator(store, operator(), **wanted) == taken, "twice is as once"
    answer = await acme.browser.get(f"{_PATH}/{own['email_domain_id']}", headers=acme.headers)
    assert (answer.json()["is_verified"], answer.json()["verified_by"]) == (False, None)
    for wrong, what in (({"organization": "nobody"}, "No such organization"), ({"domain": "a b"}, "no domain")):
        with pytest.raises(DuoscopeError, match=what):
            await verify_by_operator(store, operator(), **(wanted | wrong))


async def test_an_unproven_domain_forbids_no_password(acme):
    """Nor does one that is not proven beside one that is: its people could not come through the provider."""
    for email in ("bob@example.com", "bob@example.org", "bob@elsewhere.example"):
        await administration.create_user(
            acme.services.metadata, acme.services.hasher, tenant_id=acme.tenant.tenant_id,
            email=email, password=PASSWORD, role="viewer",
        )  # fmt: skip
    await acme.register(("*", "viewer"), proves=False, allowed_email_domains=["example.com", "example.org"])
    await acme.settings(sso_required=True)

    async def statuses():
        return [
            (await acme.browser.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})).status_code
            for email in ("bob@example.com", "bob@example.org", "bob@elsewhere.example")
        ]

    assert await statuses() == [200, 200, 200]
    await acme.prove("example.com")
    assert await statuses() == [403, 200, 403]
    await acme.prove("example.org")
    assert await statuses() == [403, 403, 403]


@pytest.mark.parametrize("domain", ["", "*", "nodot", "a b.com", "-a.com", "example.com.", "bücher.com", "a." * 130])
async def test_what_is_no_domain_is_refused(acme, domain):
    answer = await acme.browser.post(_PATH, json={"domain": domain}, headers=acme.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request"), answer.text


async def test_claims_are_listed_and_limited_and_each_is_one(acme):
    for domain in ("b.example", "a.example"):
        await _claim(acme, domain)
    again = await acme.browser.post(_PATH, json={"domain": "A.example"}, headers=acme.headers)
    assert (again.status_code, again.json()["code"]) == (409, "email-domain-exists")
    await acme.prove("a.example")

    async def listed(query):
        answer = await acme.browser.get(f"{_PATH}{query}", headers=acme.headers)
        return [item["domain"] for item in answer.json()["items"]]

    assert await listed("") == ["a.example", "b.example"]
    assert await listed("?verified=true") == ["a.example"]
    assert await listed("?verified=false&sort=-created_at") == ["b.example"]
    assert await listed("?domain=B.ex") == ["b.example"]
    async with acme.services.metadata.open_platform(_PLATFORM, "test.fill") as tx:
        await tx.execute(
            "INSERT INTO email_domains (organization_id, email_domain_id, domain, token) SELECT $1, gen_random_uuid(), "
            "'d' || n || '.example', repeat('x', 32) FROM generate_series(3, $2::int) AS n",
            *(acme.tenant.organization_id, EMAIL_DOMAINS_OF_ORGANIZATION_MAX),
        )
    full = await acme.browser.post(_PATH, json={"domain": "c.example"}, headers=acme.headers)
    assert (full.status_code, full.json()["code"]) == (409, "organization-limit-reached")


async def test_aliases_are_followed_and_large_answers_come_over_tcp(acme, zone):
    claim = await _claim(acme)
    zone.aliases[claim["record_name"]] = "proofs.example.net"
    zone.texts["proofs.example.net"] = [*("x" * 400 for _ in range(2)), claim["record_text"]]
    answer = (await _verify(acme, claim)).json()
    assert answer["email_domain"]["is_verified"]
    assert max(map(len, answer["found"])) == our_dns.RECORD_CHARS_MAX
    assert {transport for _, transport in zone.asked} == {"udp", "tcp"}


async def test_servers_that_cannot_say_are_told_of_and_prove_nothing(acme, zone, monkeypatch):
    claim = await _claim(acme)
    zone.texts[claim["record_name"]] = []
    assert (await _verify(acme, claim)).json()["problem"] is None, "the name is there, without texts"
    zone.texts[claim["record_name"]] = [claim["record_text"]]
    zone.rcode = dns.rcode.SERVFAIL
    failed = (await _verify(acme, claim)).json()
    assert (failed["email_domain"]["is_verified"], failed["found"]) == (False, [])
    assert "failed" in failed["problem"]
    long = await _claim(acme, ".".join(["a" * 60] * 4))
    assert "too long" in (await _verify(acme, long)).json()["problem"]
    monkeypatch.setattr(our_dns, "ANSWER_S_MAX", 0.5)
    zone.rcode, zone.is_silent = dns.rcode.NOERROR, True
    zone.heard.clear()
    waiting = asyncio.create_task(_verify(acme, claim))
    await zone.heard.wait()
    second = await _verify(acme, claim)
    assert (second.status_code, second.json()["code"]) == (429, "dns-query-running")
    assert "retry-after" in second.headers
    assert "No DNS server answered" in (await waiting).json()["problem"]
    zone.is_silent = False
    assert (await _verify(acme, claim)).json()["email_domain"]["is_verified"]


async def test_a_claim_of_another_organization_answers_as_one_that_never_was(acme, found):
    other = await found("Other")
    claim = await _claim(acme)
    one = f"{_PATH}/{claim['email_domain_id']}"
    never = f"{_PATH}/00000000-0000-7000-8000-000000000000"
    for method, ending in (("GET", ""), ("DELETE", ""), ("POST", "/verify")):
        answers = [
            await acme.browser.request(method, path + ending, headers=other.headers | _SAME_ID) for path in (one, never)
        ]
        assert answers[0].status_code == 404
        assert answers[0].content == answers[1].content
    assert (await acme.browser.get(_PATH, headers=other.headers)).json()["items"] == []
