"""ID tokens without a provider: which algorithms and keys count, and that nothing malformed is more than a refusal."""

import base64
import json
import time
import warnings

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from duoscope.identity.oidc import id_tokens
from duoscope.identity.oidc.id_tokens import IdTokenError

_KEY = RSAKey.generate_key(2048, {"kid": "rsa"})
_KEYS = {
    "RS256": _KEY,
    "RS384": _KEY,
    "RS512": _KEY,
    "PS256": _KEY,
    "PS384": _KEY,
    "PS512": _KEY,
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "ES384": ECKey.generate_key("P-384", {"kid": "ec"}),
    "ES512": ECKey.generate_key("P-521", {"kid": "ec"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "okp"}),
}


def _token(alg="RS256", header=None, **claims):
    now = int(time.time())
    honest = {"iss": "us", "sub": "ada", "aud": "client", "exp": now + 60, "iat": now, "nonce": "n"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # signing by the older name of EdDSA
        registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
        registry.max_header_length = 64 * 1024
        return jwt.encode({"alg": alg, **(header or {})}, honest | claims, _KEYS[alg], registry=registry)


def _check(token, key=_KEY):
    return id_tokens.check(token, key, issuer="us", client_id="client", nonce="n")


@pytest.mark.parametrize("alg", id_tokens.ALGORITHMS)
def test_a_key_of_a_key_set_verifies_what_was_signed_with_it(alg):
    key = _KEYS[alg]
    [published] = id_tokens.read_keys([key.as_dict(private=False)]).values()
    token = _token(alg, {"kid": key.kid})
    assert id_tokens.key_id(token) == key.kid
    assert _check(token, published)["sub"] == "ada"
    with pytest.raises(IdTokenError):
        _check(token[:-8] + "AAAAAAAA", published)


def test_large_headers_and_claims_and_parameters_that_nobody_knows_pass():
    token = _token(header={"x-odd": 1, "x5c": ["A" * 4000]}, groups=["g" * 36] * 5000)
    assert len(_check(token)["groups"]) == 5000


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["client"], "azp": "client"},
        {"amr": "mfa"},
        {"sub": "x" * 255},
    ],
)
def test_what_the_specification_allows_passes(claims):
    assert _check(_token(**claims))


@pytest.mark.parametrize(("claim", "off_s"), [("exp", -30), ("iat", 30)])
def test_clocks_may_differ(claim, off_s):
    assert _check(_token(**{claim: int(time.time()) + off_s}))


@pytest.mark.parametrize(
    "claims",
    [
        *({"azp": ""}, {"azp": None}, {"azp": ["client"]}, {"azp": 0}, {"aud": ["client", "client"]}, {"aud": 7}),
        *({"nonce": ["n"]}, {"nonce": ""}, {"nonce": None}, {"sub": 7}, {"iss": ["us"]}, {"jti": 7}),
        *({"exp": "9999999999"}, {"exp": True}, {"nbf": int(time.time()) + 3600}),
    ],
)
def test_one_odd_claim_is_enough_for_a_refusal(claims):
    with pytest.raises(IdTokenError, match="ID token: "):
        _check(_token(**claims))


def test_a_key_made_for_another_algorithm_verifies_nothing():
    [key] = id_tokens.read_keys([_KEY.as_dict(private=False) | {"alg": "PS256"}]).values()
    with pytest.raises(IdTokenError):
        _check(_token("RS256"), key)


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


_HEADERS = [
    *("alg", 7, None, [], ["alg"], {}, {"alg": 7}, {"alg": [1]}, {"alg": None}, {"alg": "none"}, {"alg": "HS256"}),
    *({"alg": "RS256", "kid": 7}, {"alg": "RS256", "kid": ["rsa"]}, {"alg": "RS256", "crit": 7}),
    {"alg": "RS256", "crit": ["unknown"], "unknown": 1},
]
_TEXTS = ["", ".", "..", "a.b", "a.b.c.d", "\ud800", "ä.ö.ü", "x" * 2_000_000]


@pytest.mark.parametrize("text", [*(f"{_part(header)}.e30.AAAA" for header in _HEADERS), *_TEXTS], ids=range(23))
def test_what_is_no_token_is_refused_and_breaks_nothing(text):
    with pytest.raises(IdTokenError):
        id_tokens.key_id(text)
    with pytest.raises(IdTokenError):
        _check(text)


@pytest.mark.parametrize("name", ["kty", "n", "e", "kid", "use", "key_ops", "alg", "x5c", "crv", "x", "y"])
@pytest.mark.parametrize("value", [7, None, [], {}, "", "!!", "A", True, "ä"])
def test_a_malformed_key_is_left_out_and_breaks_nothing(name, value):
    good = _KEY.as_dict(private=False) | {"kid": "good"}
    entries = [key.as_dict(private=False) | {name: value} for key in (_KEY, _KEYS["ES256"], _KEYS["EdDSA"])]
    assert "good" in id_tokens.read_keys([*entries, good])


def test_secrets_and_keys_of_other_uses_sign_nothing():
    encrypts = _KEY.as_dict(private=False) | {"use": "enc"}
    assert id_tokens.read_keys([{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}, encrypts, 7, None, {}]) == {}


def test_what_is_private_in_a_published_key_is_not_looked_at():
    assert not id_tokens.read_keys([_KEY.as_dict(private=True)])["rsa"].is_private
