"""ID tokens and discovery of a provider that is mistaken or lies: each lie alone is enough for a refusal."""

import time

import pytest
from joserfc.jwk import OctKey, RSAKey

from duoscope.identity.oidc.provider import OidcClient, Refused, code_challenge
from duoscope.kernel.errors import DuoscopeError
from duoscope.net.outbound import Outbound

CLIENT_ID, CLIENT_SECRET = "duoscope", "a secret: with + and ä"
REDIRECT = "http://duoscope.test/callback"


@pytest.fixture
async def outbound():
    made = Outbound("127.0.0.0/8")
    yield made
    await made.close()


@pytest.fixture
def client(outbound) -> OidcClient:
    return OidcClient(outbound)


@pytest.fixture
def exchange(client, provider):
    """An ID token for the account that is signed in, and what the client makes of it."""
    provider.add("ada")
    provider.client.redirect_uris = (REDIRECT,)
    verifier = "v" * 64

    async def run(*, nonce: str = "n", verifier_sent: str = verifier, secret: str = CLIENT_SECRET):
        query = (
            f"response_type=code&client_id={CLIENT_ID}&redirect_uri={REDIRECT}&scope=openid%20email&state=s&nonce=n"
            f"&code_challenge={code_challenge(verifier)}&code_challenge_method=S256"
        )
        code = provider.approve(f"{provider.url}/authorize?{query}")["code"]
        tokens = await client.exchange(
            provider.url,
            client_id=CLIENT_ID,
            client_secret=secret,
            code=code,
            verifier=verifier_sent,
            redirect_uri=REDIRECT,
        )
        return await client.validate(provider.url, tokens.id_token, client_id=CLIENT_ID, nonce=nonce)

    return run


async def test_an_honest_token_passes(exchange):
    assert (await exchange())["sub"] == "ada"


@pytest.mark.parametrize("wrong", [{"verifier_sent": "w" * 64}, {"secret": "guessed"}, {"nonce": "another"}])
async def test_code_verifier_secret_and_nonce_count(exchange, wrong):
    with pytest.raises(Refused):
        await exchange(**wrong)


def _claims(**changed):
    return lambda header, claims, key: (header, claims | changed, key)


def _without(name):
    return lambda header, claims, key: (header, {k: v for k, v in claims.items() if k != name}, key)


def _signed(alg, key=None):
    return lambda header, claims, own: (header | {"alg": alg}, claims, key or own)


LIES = {
    "another issuer": _claims(iss="https://evil.example"),
    "another audience": _claims(aud="another"),
    "several audiences without a party": _claims(aud=["duoscope", "another"]),
    "another party": _claims(aud=["duoscope", "another"], azp="another"),
    "another party alone": _claims(azp="another"),
    "expired": _claims(exp=int(time.time()) - 3600),
    "from the future": _claims(iat=int(time.time()) + 3600),
    "no expiry": _without("exp"),
    "no issue": _without("iat"),
    "no subject": _without("sub"),
    "no nonce": _without("nonce"),
    "empty subject": _claims(sub=""),
    "long subject": _claims(sub="x" * 256),
    "no signature": _signed("none"),
    "the client secret as key": _signed("HS256", OctKey.import_key(CLIENT_SECRET.encode() * 2)),
    "a stranger's key": _signed("RS256", RSAKey.generate_key(2048, {"kid": "first"})),
    "an unknown key id": lambda header, claims, key: (header | {"kid": "stranger"}, claims, key),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_enough(exchange, provider, lie):
    provider.alter = LIES[lie]
    with pytest.raises(Refused):
        await exchange()


async def test_several_audiences_with_us_as_the_party_pass(exchange, provider):
    provider.alter = _claims(aud=["another", "duoscope"], azp="duoscope")
    assert (await exchange())["sub"] == "ada"


async def test_new_keys_of_the_provider_are_found(exchange, provider, client, monkeypatch):
    await exchange()
    provider.new_key()
    with pytest.raises(Refused):
        await exchange()
    assert provider.asked.count("/jwks") == 1, "an unknown key id is no reason to ask at once again"
    monkeypatch.setattr("duoscope.identity.oidc.provider.KEYS_PAUSE_S", 0.0)
    await exchange()


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"jwks_uri": 7},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "http://192.0.2.1/token"},
        {"token_endpoint": "http://169.254.169.254/latest/meta-data"},
    ],
)
async def test_discovery_that_leads_astray_is_not_followed(exchange, provider, said):
    provider.discovery = said
    with pytest.raises(DuoscopeError) as refused:
        await exchange()
    assert refused.value.code == "oidc-provider-unavailable"
    assert "169.254" not in refused.value.message


async def test_a_provider_that_fails_is_left_alone_for_a_while(provider, client):
    provider.discovery = {"issuer": "https://evil.example"}
    for _ in range(3):
        with pytest.raises(DuoscopeError):
            await client.metadata(provider.url)
    assert provider.asked == ["/.well-known/openid-configuration"]


async def test_without_leave_a_loopback_provider_is_not_asked(provider):
    outbound = Outbound()
    with pytest.raises(DuoscopeError) as refused:
        await OidcClient(outbound).metadata(provider.url)
    assert refused.value.code == "oidc-provider-unavailable"
    assert provider.asked == []
    await outbound.close()
