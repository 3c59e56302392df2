"""The page that the link of an invitation opens: a form for name and password, and nothing from anywhere else.

The token stands after the # of the link, so it reaches no server until the form is sent, and then in the body only.
"""

import base64
import hashlib
from typing import Final

from litestar import Response, get

from duoscope.api.authentication import PUBLIC

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
  try {
    const response = await fetch("api/v1/invitations/accept", {
      method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body),
    });
    const answer = await response.json();
    said.textContent = response.ok ? `Done. Log in as ${answer.email}.` : answer.detail;
    if (response.ok) { history.replaceState(null, "", location.pathname); form.remove(); }
  } catch { said.textContent = "The server does not answer; try again."; }
});
"""
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Invitation to duoscope</title>'
    f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    '<h1>Join on duoscope</h1><form><label for="f">First name</label>'
    '<input id="f" name="first_name" autocomplete="given-name" maxlength="100" required>'
    '<label for="l">Last name</label>'
    '<input id="l" name="last_name" autocomplete="family-name" maxlength="100" required>'
    '<label for="p">Password</label><input id="p" name="password" type="password" autocomplete="new-password" '
    'maxlength="512" required><button>Join</button></form><p role="status"></p>'
    f"<noscript>This page needs JavaScript.</noscript><script>{_SCRIPT}</script></body></html>"
)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; script-src 'sha256-{_digest(_SCRIPT)}'; "
    f"style-src 'sha256-{_digest(_STYLE)}'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


@get("/invitation", opt=PUBLIC, include_in_schema=False, media_type="text/html", sync_to_thread=False)
def invitation_page() -> Response[str]:
    """The same for everybody: what it is about is in the link."""
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)


ROUTES: Final = (invitation_page,)
