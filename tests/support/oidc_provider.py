"""An OpenID provider on loopback, built on Authlib as production providers are: PKCE is required and verified.

It is honest unless a test says otherwise: `alter` may change an ID token before it is signed, and the key.
"""
# ruff: noqa: ARG002 - methods that Authlib calls

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import flask
import httpx
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "duoscope", "a secret: with + and ä"


@dataclass
class Account:
    """A user of the provider."""

    subject: str
    claims: dict[str, Any]


@dataclass
class Code:
    """An authorization code; Authlib calls its methods."""

    code: str
    account: Account
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    auth_time: int
    acr: str | None
    amr: Any

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return self.auth_time

    def get_acr(self):
        return self.acr

    def get_amr(self):
        return self.amr


class Client:
    """duoscope, as the provider's client."""

    redirect_uris: tuple[str, ...] = ()

    def get_client_id(self):
        return CLIENT_ID

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret):
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


@dataclass
class Provider:
    """The provider's state, which a test reads and changes.

    Attributes:
        accounts: by subject.
        signed_in: the user at the browser.
        alter: gets header, claims and key of an ID token, and returns what is signed instead.
        discovery: additional fields of the discovery document.
        asked: requested paths.
        requests: parameters of authorization requests.
        authenticated_at: when the user last authenticated, in seconds since the epoch.
        is_lazy: does not authenticate them again where it should.
        acr, amr: how it reports that they did.
    """

    url: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)
    signed_in: str = ""
    alter: Callable[[dict, dict, Any], tuple[dict, dict, Any]] | None = None
    discovery: dict[str, Any] = field(default_factory=dict)
    in_userinfo_only: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    authenticated_at: float = field(default_factory=time.time)
    is_lazy: bool = False
    acr: str | None = None
    amr: Any = None
    client: Client = field(default_factory=Client)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}))

    def add(self, subject: str, **claims: Any) -> None:
        """Add a user, who signs in next."""
        email = {"email": f"{subject}@example.com", "email_verified": True}
        self.accounts[subject] = Account(subject, email | claims)
        self.signed_in = subject

    def new_key(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def approve(self, location: str) -> dict[str, str]:
        """The parameters with which the authorization endpoint sends the browser back."""
        answer = httpx.get(location)
        assert answer.status_code == 302, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def _app(provider: Provider) -> flask.Flask:  # noqa: C901 - one function an endpoint
    app = flask.Flask("provider")
    codes: dict[str, Code] = {}
    tokens: dict[str, Account] = {}

    class CodeGrant(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012 - Authlib's own form

        def save_authorization_code(self, code, request):
            data = request.payload.data
            codes[code] = Code(
                code,
                request.user,
                request.payload.redirect_uri,
                request.payload.scope,
                data.get("nonce"),
                data.get("code_challenge"),
                data.get("code_challenge_method"),
                int(provider.authenticated_at),
                provider.acr,
                provider.amr,
            )

        def query_authorization_code(self, code, client):
            return codes.get(code)

        def delete_authorization_code(self, authorization_code):
            del codes[authorization_code.code]

        def authenticate_user(self, authorization_code):
            return authorization_code.account

    class IdToken(OpenIDCode):
        def exists_nonce(self, nonce, request):
            return False

        def resolve_client_private_key(self, client):
            return provider.key

        def get_client_algorithm(self, client):
            return "RS256"

        def get_encode_header(self, client):
            return {"alg": "RS256", "kid": provider.key.kid}

        def get_client_claims(self, client):
            return {"iss": provider.url, "aud": CLIENT_ID}

        def generate_user_info(self, user, scope):
            shown = {name: value for name, value in user.claims.items() if name not in provider.in_userinfo_only}
            return {"sub": user.subject} | shown

        def encode_id_token(self, token, request):
            honest = super().encode_id_token(token, request)
            if provider.alter is None:
                return honest
            decoded = jwt.decode(honest, provider.key, ["RS256"])
            header, claims, key = provider.alter(decoded.header, decoded.claims, provider.key)
            if header["alg"] == "none":
                return f"{_part(header)}.{_part(claims)}."
            return jwt.encode(header, claims, key, [header["alg"]])

    def save_token(token, request):
        tokens[token["access_token"]] = request.user

    server = AuthorizationServer(
        app, query_client=lambda client_id: provider.client if client_id == CLIENT_ID else None, save_token=save_token
    )
    server.register_grant(CodeGrant, [IdToken(require_nonce=True), CodeChallenge(required=True)])

    @app.before_request
    def note():
        provider.asked.append(flask.request.path)

    @app.get("/.well-known/openid-configuration")
    def discovery():
        return {
            "issuer": provider.url,
            "authorization_endpoint": f"{provider.url}/authorize",
            "token_endpoint": f"{provider.url}/token",
            "userinfo_endpoint": f"{provider.url}/userinfo",
            "jwks_uri": f"{provider.url}/jwks",
        } | provider.discovery

    @app.get("/authorize")
    def authorize():
        account = provider.accounts.get(provider.signed_in)
        provider.requests.append(flask.request.args.to_dict())
        if not provider.is_lazy and (
            "login" in flask.request.args.get("prompt", "") or "max_age" in flask.request.args
        ):
            provider.authenticated_at = time.time()
        try:
            grant = server.get_consent_grant(end_user=account)
        except OAuth2Error as error:
            return server.handle_error_response(server.create_oauth2_request(None), error)
        return server.create_authorization_response(grant_user=account, grant=grant)

    @app.post("/token")
    def token():
        return server.create_token_response()

    @app.get("/userinfo")
    def userinfo():
        account = tokens.get(flask.request.headers.get("authorization", "").removeprefix("Bearer "))
        return ({"sub": account.subject} | account.claims) if account else ("", 401)

    @app.get("/jwks")
    def jwks():
        return {"keys": [provider.key.as_dict(private=False)]}

    return app


def _part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@contextmanager
def providing() -> Generator[Provider]:
    """A provider that answers. AUTHLIB_INSECURE_TRANSPORT must be set, since it has no certificate."""
    made = Provider()
    server = make_server("127.0.0.1", 0, _app(made), threaded=True)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="provider")
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
