"""The API as these commands see it: an address, and a key or a session that is kept in the user's own folder."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import fcntl
import json
import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import rich_click as click

from duoscope.cli import credentials
from duoscope.cli.reading import text
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, unavailable
from duoscope.kernel.settings import Settings

LOCAL: Final = "http://127.0.0.1:8080"
TIMEOUT_S: Final = 60
_SOON_S: Final = 30
"""An access token that ends sooner is exchanged before it is used."""


@dataclass(frozen=True, slots=True)
class Login:
    """An address with an API key, or with the tokens of a person, which change."""

    url: str
    api_key: str = field(default="", repr=False)
    email: str = ""
    refresh_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    access_ends_at: float = 0.0


def login_file() -> Path:
    """`login.json` in the user's folder for configuration (XDG_CONFIG_HOME)."""
    return Path(click.get_app_dir("duoscope")) / "login.json"


def saved_login() -> Login | None:
    """The login that `duoscope login` kept; None without one.

    Raises:
        DuoscopeError: INVALID for a file that cannot be read.
    """
    path = login_file()
    try:
        return Login(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise invalid(f"{path} cannot be read. `duoscope login` writes it anew once it is removed.") from error


def save(login: Login) -> Path:
    """Keep a login, readable by this user only. Returns where."""
    path = login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(login), file)
    temporary.replace(path)
    return path


@contextmanager
def _alone() -> Generator[None]:
    """One command at a time exchanges the refresh token, which works once."""
    with login_file().with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def address(url: str) -> str:
    """An address of the API, checked, without the slash at its end.

    Raises:
        DuoscopeError: INVALID for what is no http or https URL.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise invalid(f"{url!r} is not the address of an API, such as {LOCAL} or https://duoscope.example.com.")
    return parts.geturl().rstrip("/")


class Connection:
    """Sends requests with the credential of a command or of the kept login."""

    def __init__(self, login: Login) -> None:
        self._login = login

    @classmethod
    def open(cls, settings: Settings, url: str | None, api_key: str | None) -> "Connection":
        """The connection of a command: its options, then `duoscope login`, then the first start's credentials.json.

        Raises:
            DuoscopeError: UNAUTHENTICATED if there is none of these.
        """
        if api_key:
            return cls(Login(address(url or LOCAL), api_key=api_key))
        if kept := saved_login():
            if url and address(url) != kept.url:
                raise invalid(f"`duoscope login` logged in at {kept.url}; log in at {url}, or give --api-key.")
            return cls(kept)
        known = credentials.read(settings.data_dir)
        if key := known.get("read_api_key"):
            return cls(Login(address(url or known.get("api_url", LOCAL)), api_key=key))
        raise DuoscopeError(
            ErrorKind.UNAUTHENTICATED,
            "not-logged-in",
            "Nobody is logged in. Run `duoscope login`, give --api-key, or name the data folder of a duoscope on this "
            "machine with --data-dir.",
        )

    @property
    def url(self) -> str:
        """The API's address."""
        return self._login.url

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> Any:
        """The JSON that the API answers to a GET. Raises DuoscopeError with the API's own words."""
        with self._sent(path, parameters) as answer:
            return json.load(answer)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON that the API answers to a POST of JSON; None without a body."""
        with self._sent(path, body=body) as answer:
            return json.loads(answer.read() or b"null")

    def lines(self, path: str, parameters: Mapping[str, object]) -> Iterator[str]:
        """The lines of an endless answer, as they come."""
        with self._sent(path, parameters) as answer:
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\r\n")

    def end(self) -> None:
        """End the session of a person."""
        if self._login.refresh_token:
            token = self._access_token()
            body = {"refresh_token": self._login.refresh_token}
            send(self.url, "auth/logout", body=body, credential=token).close()

    def _sent(
        self, path: str, parameters: Mapping[str, object] | None = None, body: Mapping[str, object] | None = None
    ) -> Any:
        return send(self.url, path, parameters, body, credential=self._login.api_key or self._access_token())

    def _access_token(self) -> str:
        if self._login.access_ends_at - _SOON_S > time.time():
            return self._login.access_token
        with _alone():
            kept = saved_login() or self._login
            if kept.access_ends_at - _SOON_S <= time.time():
                try:
                    with send(kept.url, "auth/refresh", body={"refresh_token": kept.refresh_token}) as answer:
                        kept = with_tokens(kept, json.load(answer))
                except DuoscopeError as error:
                    if error.kind is not ErrorKind.UNAUTHENTICATED:
                        raise
                    raise DuoscopeError(
                        error.kind, error.code, f"{error.message} Run `duoscope login` to log in again."
                    ) from error
                save(kept)
            if kept.url != self._login.url:
                raise DuoscopeError(
                    ErrorKind.CONFLICT, "logged-in-elsewhere", f"`duoscope login` logged in at {kept.url} meanwhile."
                )
            self._login = kept
        return kept.access_token


def with_tokens(login: Login, answer: Mapping[str, Any]) -> Login:
    """A login with the tokens of an answer."""
    return replace(
        login,
        access_token=answer["access_token"],
        refresh_token=answer["refresh_token"],
        access_ends_at=time.time() + answer["expires_in"],
    )


def send(
    url: str,
    path: str,
    parameters: Mapping[str, object] | None = None,
    body: Mapping[str, object] | None = None,
    *,
    credential: str = "",
) -> Any:
    """The answer of the API to one request, open; below `/api/v1/`, with POST where there is a body.

    Raises:
        DuoscopeError: in the API's own words where it has some; UNAVAILABLE where it does not answer.
    """
    from http.client import HTTPException
    from urllib import request
    from urllib.error import HTTPError
    from urllib.parse import urlencode

    class Straight(request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            """Follow nothing: the credential is for this address alone."""

    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    target = f"{url}/api/v1/{path}" + (f"?{urlencode(given)}" if given else "")
    headers = {"accept": "application/json, text/event-stream", "user-agent": "duoscope-cli"}
    if credential:
        headers["authorization"] = f"Bearer {credential}"
    content = None
    if body is not None:
        headers["content-type"] = "application/json"
        content = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
    asked = request.Request(target, content, headers)  # noqa: S310 - `address` allows http and https alone
    try:
        return request.build_opener(Straight).open(asked, timeout=TIMEOUT_S)
    except HTTPError as error:
        raise _refused(url, error.code, error.reason, error.read()) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise unavailable(
            f"No answer from {url}: {text.plain(str(reason))}. Is duoscope running there? --url names another address.",
            code="api-unavailable",
            retry_after_s=1,
        ) from error


def _refused(url: str, status: int, reason: str, content: bytes) -> DuoscopeError:
    try:
        problem = json.loads(content)
        message = problem.get("detail") or problem.get("error") or problem["title"]
        code = str(problem.get("code", "refused"))
    except (ValueError, KeyError, AttributeError):
        message, code = f"{url} answers {status} {text.plain(reason)}; is it a duoscope?", "refused"
    kinds = {
        401: ErrorKind.UNAUTHENTICATED,
        403: ErrorKind.FORBIDDEN,
        404: ErrorKind.NOT_FOUND,
        429: ErrorKind.RATE_LIMITED,
        503: ErrorKind.UNAVAILABLE,
    }
    kind = kinds.get(status, ErrorKind.INVALID if status < HTTPStatus.INTERNAL_SERVER_ERROR else ErrorKind.INTERNAL)
    return DuoscopeError(kind, code, str(message))
