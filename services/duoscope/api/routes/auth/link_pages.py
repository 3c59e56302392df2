"""The pages that links in mail open: an invitation, a new password, a verified address.

Browsers get them from the web UI. A duoscope that was installed without it has plain ones, which load nothing.

The token stands after the # of the link, so no server receives it until the button is pressed, and then in the body
only: scanners that open links in mail on its way do not use it up.
"""

from typing import Any, Final

from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler

from duoscope.api.authentication import PUBLIC
from duoscope.api.security_headers import page_policy
from duoscope.api.ui.files import Files
from duoscope.api.ui.routes import Sent
from duoscope.identity.passwords.rules import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1c2733;"
    "background:#fff}label{display:block;margin:1rem 0 .2rem}input{width:100%;box-sizing:border-box;padding:.5rem;"
    "font:inherit;border:1px solid #8a97a3;border-radius:4px}button{margin-top:1.5rem;padding:.6rem 1.4rem;"
    "font:inherit;border:0;border-radius:4px;background:#1b5e9b;color:#fff}"
    "@media(prefers-color-scheme:dark){body{background:#14191f;color:#dde4ea}input{background:#1e252d;color:inherit}}"
)
_SCRIPT: Final = """
const form = document.querySelector("form"), said = document.querySelector("[role=status]");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = Object.fromEntries(new FormData(form));
  body.token = location.hash.slice(1);
  said.textContent = "One moment.";
  const login = new URL("api/v1/auth/login", location.origin + location.pathname);
  try {
    const response = await fetch(form.dataset.path, {
      method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body),
    });
    const answer = response.status === 204 ? {} : await response.json();
    const done = form.dataset.done.replace("{email}", () => answer.email).replace("{login}", () => login);
    said.textContent = response.ok ? done : answer.detail;
    if (response.ok) { history.replaceState(null, "", location.pathname); form.remove(); }
  } catch { said.textContent = "The server does not answer; try again."; }
});
"""
_PASSWORD_FIELD: Final = (
    '<label for="p">Password</label><input id="p" name="password" type="password" autocomplete="new-password" '
    f'minlength="{PASSWORD_CHARS_MIN}" maxlength="{PASSWORD_CHARS_MAX}" required>'
)


def _page(title: str, path: str, fields: str, button: str, done: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>'
        f'<form data-path="{path}" data-done="{done}">{fields}<button>{button}</button></form><p role="status"></p>'
        f"<noscript>This page needs JavaScript.</noscript><script>{_SCRIPT}</script></body></html>"
    )


_INVITATION: Final = _page(
    "Join on duoscope",
    "api/v1/invitations/accept",
    '<label for="f">First name</label>'
    '<input id="f" name="first_name" autocomplete="given-name" maxlength="100" required>'
    '<label for="l">Last name</label>'
    f'<input id="l" name="last_name" autocomplete="family-name" maxlength="100" required>{_PASSWORD_FIELD}',
    "Join",
    "Done. Log in as {email}, where your team does or with POST {login}.",
)
_PASSWORD: Final = _page(
    "Set another duoscope password",
    "api/v1/auth/password/reset",
    _PASSWORD_FIELD,
    "Set it",
    "Done. Your sessions were ended; log in with the new password, where your team does or with POST {login}.",
)
_EMAIL: Final = _page(
    "Is this your address?",
    "api/v1/auth/email-verification/confirm",
    "",
    "Yes, it is mine",
    "Done. Your address is verified.",
)


_HEADERS: Final = {"content-security-policy": page_policy(_STYLE, _SCRIPT), "cache-control": "no-store"}


def routes(files: Files) -> list[HTTPRouteHandler]:
    """The routes of these pages: the UI's to whoever accepts HTML, if there is one."""

    def page(request: Request[Any, Any, Any], plain: str) -> Response[Any]:
        if files.is_built and "text/html" in request.headers.get("accept", ""):
            return Sent(files.page, request)
        return Response(plain, media_type=MediaType.HTML, headers=_HEADERS)

    @get("/invitation", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=False)
    def invitation_page(request: Request[Any, Any, Any]) -> Response[Any]:
        """The page of an invitation, the same for everyone: its details are in the link."""
        return page(request, _INVITATION)

    @get("/password", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=False)
    def password_page(request: Request[Any, Any, Any]) -> Response[Any]:
        """The page for a new password, the same for everyone: its details are in the link."""
        return page(request, _PASSWORD)

    @get("/email", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=False)
    def email_page(request: Request[Any, Any, Any]) -> Response[Any]:
        """The page to confirm an address, the same for everyone: its details are in the link."""
        return page(request, _EMAIL)

    return [invitation_page, password_page, email_page]
