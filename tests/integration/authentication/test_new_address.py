"""Changing one's e-mail address: requested, reported, confirmed by the reader of its mail; real PostgreSQL and SMTP."""

import asyncio
import re

import asyncpg
import pytest

from duoscope.delivery.mail import Mailer, deliver_due
from duoscope.identity.authentication import session_admin
from duoscope.identity.operators import administration
from duoscope.kernel.actor import operator
from duoscope.kernel.settings import Settings

PASSWORD, ANOTHER = "correct horse battery", "staple of another kind"
OLD, NEW = "one@example.com", "Ada@New.example"
INVALID = (400, "verification-token-invalid")


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


class Ada:
    """A user of the API, and the mail that is sent."""

    def __init__(self, api, mailer, server) -> None:
        self.api, self.mailer, self.server = api, mailer, server
        self.headers = {}

    async def call(self, method, path, body=None, headers=None):
        headers = self.headers if headers is None else headers
        return await self.api.client.request(method, f"/api/v1/{path}", json=body, headers=headers)

    async def login(self, email=OLD, password=PASSWORD):
        answer = await self.call("POST", "auth/login", {"email": email, "password": password}, {})
        return {"authorization": f"Bearer {answer.json()['access_token']}"} if answer.status_code == 200 else None

    async def ask(self, email=NEW):
        return await self.call("POST", "auth/email", {"email": email})

    async def mails(self):
        """Those that are due, by whom they are to."""
        del self.server.mails[:]
        while await deliver_due(self.api.services.metadata, self.mailer, {}):
            pass
        return {mail["To"]: mail for mail in self.server.mails}

    async def token(self, email=NEW):
        assert (await self.ask(email)).status_code == 202
        return re.search(r"#(tfv-\S+)", (await self.mails())[email].get_content())[1]

    async def confirm(self, token):
        return await self.call("POST", "auth/email-verification/confirm", {"token": token}, {})


@pytest.fixture
async def ada(api, inhabited, smtp_server, secret_keys):
    made = Ada(api, Mailer(Settings(smtp_url=smtp_server.url), secret_keys), smtp_server)
    made.headers = await made.login()
    return made


def _code(response):
    return response.status_code, response.json()["code"]


async def test_the_new_address_counts_once_its_mail_was_read_and_the_old_one_is_told(ada, owner):
    other = await ada.login()
    assert (await ada.ask()).status_code == 202
    mails = await ada.mails()
    assert set(mails) == {OLD, NEW}
    assert NEW in mails[OLD].get_content()
    assert "tfv-" not in mails[OLD].get_content()
    token = re.search(r"/email#(tfv-\S+)", mails[NEW].get_content())[1]
    assert (await ada.call("GET", "auth/me")).json()["email"] == OLD, "not yet"
    assert await ada.login(NEW) is None
    answers = await asyncio.gather(*(ada.confirm(token) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 400, 400]
    assert (await ada.call("GET", "auth/me")).json()["email"] == NEW
    assert (await ada.call("GET", "auth/me", headers=other)).status_code == 401, "others have ended"
    assert await ada.login(OLD) is None
    assert await ada.login(NEW.lower()) is not None
    assert set(await ada.mails()) == {OLD}, "who is told that it was changed"
    assert await owner.fetchval("SELECT email_verified FROM users WHERE email = $1", NEW)
    rows = await owner.fetch("SELECT action, content::json #>> '{before,email}' AS before, "
                             "content::json #>> '{after,email}' AS after FROM audit_logs "
                             "WHERE action LIKE 'email.%' ORDER BY sequence")  # fmt: skip
    assert [tuple(row) for row in rows] == [("email.change-requested", None, NEW), ("email.changed", OLD, NEW)]


async def test_it_is_asked_for_by_who_showed_lately_who_they_are(ada, owner):
    await owner.execute("UPDATE user_sessions SET authenticated_at = now() - interval '301 s'")
    assert _code(await ada.ask()) == (403, "reauthentication-required")
    assert await ada.mails() == {}
    again = await ada.call("POST", "auth/reauthenticate", {"password": PASSWORD})
    ada.headers = {"authorization": f"Bearer {again.json()['access_token']}"}
    assert (await ada.ask()).status_code == 202


@pytest.mark.parametrize("path", ["auth/email", "auth/password/forgotten"])
async def test_an_address_that_no_mail_can_be_sent_to_is_none(ada, path):
    for wrong in ("a,b@x", "<x>@y", "x@<y>", "a@b@c", "a..b@x.y", ".a@x", "a@x.", "a(b)@x", 'a"b@x', "@x", "a@"):
        refused = await ada.call("POST", path, {"email": wrong})
        assert refused.status_code == 400, wrong
        assert refused.json()["detail"] == "email must look like name@example.com."
    assert await ada.mails() == {}
    for right in ("o'neil+x@x.example", "ünï.cøde@bücher.example"):
        assert (await ada.call("POST", path, {"email": right})).status_code == 202


async def test_the_last_address_asked_for_counts(ada):
    first, second = await ada.token("first@example.com"), await ada.token("second@example.com")
    assert _code(await ada.confirm(first)) == INVALID
    assert (await ada.confirm(second)).status_code == 204


@pytest.mark.parametrize("how", ["changed", "reset by an operator"])
async def test_another_password_takes_the_request_back(ada, api, how):
    token = await ada.token()
    if how == "changed":
        body = {"current_password": PASSWORD, "new_password": ANOTHER}
        assert (await ada.call("POST", "auth/password/change", body)).status_code == 204
    else:
        services = api.services
        await administration.reset_password(services.metadata, services.hasher, email=OLD, password=ANOTHER)
    assert _code(await ada.confirm(token)) == INVALID
    assert await ada.login(OLD, ANOTHER) is not None


@pytest.mark.parametrize("how", ["everywhere", "others", "that one", "of the user", "of the organization"])
async def test_who_ends_the_session_takes_back_what_was_asked_for_in_it(ada, api, owner, how):
    """Also what was asked for in the session that it followed: whoever is thrown out had all of them."""
    token = await ada.token()
    again = await ada.call("POST", "auth/reauthenticate", {"password": PASSWORD})
    assert again.status_code == 200
    other = await ada.login()
    match how:
        case "everywhere" | "others":
            path = "sessions?keep_current=true" if how == "others" else "sessions"
            assert (await ada.call("DELETE", path, headers=other)).status_code == 204
        case "that one":
            for session in (await ada.call("GET", "sessions", headers=other)).json()["items"]:
                path = f"sessions/{session['session_id']}"
                assert session["is_current"] or (await ada.call("DELETE", path, headers=other)).status_code == 204
        case _:
            code = await owner.fetchval("SELECT code FROM organizations") if how == "of the organization" else None
            email = None if code else OLD
            await session_admin.end_by_operator(api.services.metadata, operator(), email=email, organization=code)
    assert _code(await ada.confirm(token)) == INVALID
    assert await ada.login(OLD) is not None


@pytest.mark.parametrize("how", ["logs out", "shows who they are", "logs in anew", "ends the others"])
async def test_who_goes_on_elsewhere_may_follow_the_link(ada, how):
    begun = (await ada.call("POST", "auth/login", {"email": OLD, "password": PASSWORD}, {})).json()
    ada.headers = {"authorization": f"Bearer {begun['access_token']}"}
    token = await ada.token()
    match how:
        case "logs out":
            answer = await ada.call("POST", "auth/logout", {"refresh_token": begun["refresh_token"]})
        case "shows who they are":
            answer = await ada.call("POST", "auth/reauthenticate", {"password": PASSWORD})
        case "logs in anew":
            answer = await ada.call("POST", "auth/login", {"email": OLD, "password": PASSWORD})
        case _:
            answer = await ada.call("DELETE", "sessions?keep_current=true")
    assert answer.status_code in {200, 204}
    assert (await ada.confirm(token)).status_code == 204


async def test_an_old_link_takes_an_address_back_from_nobody(ada):
    """Such as one that verified the address which has been replaced since."""
    assert (await ada.call("POST", "auth/email-verification")).status_code == 202
    old = re.search(r"#(tfv-\S+)", (await ada.mails())[OLD].get_content())[1]
    assert (await ada.confirm(await ada.token())).status_code == 204
    assert _code(await ada.confirm(old)) == INVALID
    assert (await ada.call("GET", "auth/me")).json()["email"] == NEW


async def test_anothers_address_is_asked_for_like_any_and_never_taken(ada, api, inhabit, metadata_store):
    await inhabit(metadata_store, "two")
    free = await ada.ask("three@example.com")
    taken = await ada.ask("Two@example.com")
    assert (taken.status_code, taken.content) == (free.status_code, free.content)
    token = re.search(r"#(tfv-\S+)", (await ada.mails())["Two@example.com"].get_content())[1]
    assert _code(await ada.confirm(token)) == (409, "user-exists")
    assert (await ada.call("GET", "auth/me")).json()["email"] == OLD


async def test_what_is_no_other_address_is_refused_and_so_are_many(ada):
    for email, code in (
        ("nobody", "invalid-request"),
        ("a b@example.com", "invalid-request"),
        (OLD.upper(), "email-unchanged"),
    ):
        assert _code(await ada.ask(email)) == (400, code)
    codes = [(await ada.ask()).status_code for _ in range(4)]
    assert codes == [202, 202, 202, 429]
