"""How people come in: by an invitation, with a second factor, and after they forgot their password."""

import re
import time

import pytest
from pyotp.totp import TOTP

from support.oidc_provider import CLIENT_ID, CLIENT_SECRET, providing
from support.smtp import SmtpServer
from support.up import Up

playwright = pytest.importorskip("playwright.sync_api")
browsing = pytest.importorskip("web.browser")
expect = playwright.expect

PASSWORD = "correct horse battery"
TOTP_LEFT_MIN_S = 5


@pytest.fixture(scope="module")
def mails():
    server = SmtpServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mailing(tmp_path_factory, mails):
    """A duoscope that sends mail."""
    up = Up(tmp_path_factory.mktemp("mailing") / "data")
    up.environment |= {"DUOSCOPE_SMTP_URL": mails.url, "DUOSCOPE_OUTBOUND_NETWORKS": "127.0.0.0/8"}
    try:
        up.start()
        yield up
        up.stop()
    finally:
        up.kill()


def link_of(mails: SmtpServer, page: str) -> str:
    """The link to this page in the newest mail that has one."""
    link = re.compile(rf"http\S+/{page}#\S+")
    found = browsing.wait_for(lambda: [each[0] for mail in mails.mails if (each := link.search(mail.get_content()))])
    return found[-1]


def test_an_invitation_leads_to_a_viewer_who_can_come_back_with_a_forgotten_password(mailing, mails, visit):
    with mailing.api() as client:
        role = client.get("/roles", params={"name": "viewer"}).json()["items"][0]["role_id"]
        tenant_id = mailing.known["tenant_id"]
        invited = {"email": "ada@example.com", "role_ids": [role], "tenant_id": tenant_id}
        answer = client.post("/invitations", json=invited)
        assert answer.status_code == 201, answer.text
    link = link_of(mails, "invitation")
    visitor = visit(mailing)
    page = visitor.page
    page.goto(link)
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("Last name").fill("Lovelace")
    page.get_by_label("Password").fill("password1234")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("tried first")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("heading", name="Services")).to_be_visible()
    # A viewer sees what there is to see, and does not make keys.
    expect(page.get_by_role("button", name="Make a key")).to_be_disabled()
    assert "tfi-" not in page.url
    page.get_by_role("button", name="ada@example.com").click()
    page.get_by_role("menuitem", name="Log out", exact=True).click()
    page.goto(link)
    page.get_by_label("First name").fill("Eve")
    page.get_by_label("Last name").fill("L.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("invitation")
    page.goto(mailing.api_url)
    page.get_by_role("button", name="I have forgotten my password").click()
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("status")).to_contain_text("If ada@example.com has an account")
    page.goto(link_of(mails, "password"))
    page.get_by_label("Password").fill("another horse battery")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("heading", name="Your password is set")).to_be_visible()
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password").fill("another horse battery")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="ada@example.com")).to_be_visible()
    visitor.was_refused()


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    with providing() as made:
        yield made


def test_a_provider_brings_people_back_to_the_page_that_they_opened(mailing, provider, visit):
    with mailing.api() as client:
        role = client.get("/roles", params={"name": "viewer"}).json()["items"][0]["role_id"]
        code = client.get(f"/organizations/{mailing.known['organization_id']}").json()["code"]
        mailing.admin("verify-domain", "example.com", "--organization", code)
        body = {
            "name": "Acme login",
            "issuer": provider.url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "allowed_email_domains": ["example.com"],
            "group_roles": [{"group": "*", "role_id": role, "tenant_id": mailing.known["tenant_id"]}],
        }
        made = client.post("/identity-providers", json=body)
        assert made.status_code == 201, made.text
    slug = made.json()["slug"]
    provider.client.redirect_uris = (made.json()["redirect_uri"],)
    visitor = visit(mailing)
    page = visitor.page
    visitor.open("logs?q=hello")
    page.get_by_role("button", name="Use my organization's login").click()
    page.get_by_label("Short name").fill("nobodys")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("identity provider")
    provider.add("eve", email_verified=False)
    page.get_by_label("Short name").fill(slug)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Your admin can see why")
    provider.add("grace")
    visitor.open("logs?q=hello")
    page.get_by_role("button", name=f"Continue with {slug}").click()
    expect(page.get_by_label("Query")).to_have_value("hello")
    expect(page.get_by_role("button", name="grace@example.com")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Query")).to_have_value("hello")
    # Whoever comes again when a second factor is asked for enrols it without a password, and shows it the next time.
    _ask_for_second_factor(mailing)
    _come_again(page, slug)
    code = _enrol(page)
    _come_again(page, slug)
    page.get_by_label("Code").fill("not it")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("not the current one")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="grace@example.com")).to_be_visible()
    visitor.was_refused()


def _come_again(page, slug):
    page.get_by_role("button", name="grace@example.com").click()
    page.get_by_role("menuitem", name="Log out", exact=True).click()
    page.get_by_role("button", name=f"Continue with {slug}").click()


def _ask_for_second_factor(mailing):
    """From here on the admin needs one as well, and has not the API any more."""
    with mailing.api() as client:
        organization = f"/organizations/{mailing.known['organization_id']}"
        answer = client.patch(organization, json={"settings": {"mfa_required": True}})
        assert answer.status_code == 200, answer.text


def _enrol(page):
    """Add a second factor right after a login without a password. Returns a backup code."""
    page.get_by_role("heading", name="Add a second factor").wait_for()
    expect(page.get_by_label("Password")).to_have_count(0)
    page.get_by_role("button", name="Continue").click()
    return _confirm(page)


def _confirm(page):
    """Type the code of the secret that is shown. Returns a backup code."""
    secret = page.locator("code").inner_text()
    left_s = 30 - time.time() % 30
    if left_s < TOTP_LEFT_MIN_S:
        page.wait_for_timeout(left_s * 1000)
    page.get_by_label("Code").fill(TOTP(secret).now())
    page.get_by_role("button", name="Continue").click()
    code = page.get_by_role("listitem").first.inner_text()
    page.get_by_role("button", name="I have kept them").click()
    return code


def test_a_second_factor_is_enrolled_lost_and_taken_away(running, visit):
    made = running.admin("create-tenant", "Third", "--organization", "Other")
    user = running.admin("create-user", "mona@example.com", "--tenant", made["tenant_id"], "--generate")
    visitor = visit(running)
    page = visitor.page

    def begin():
        page.goto(running.api_url)
        page.get_by_label("Email").fill("mona@example.com")
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Log in").click()

    def enrol():
        page.get_by_role("heading", name="Add a second factor").wait_for()
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("img", name="QR code of the secret below")).to_be_visible()
        return _confirm(page)

    begin()
    codes = enrol()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("button", name="mona@example.com")).to_be_visible()
    page.get_by_role("button", name="mona@example.com").click()
    page.get_by_role("menuitem", name="Log out", exact=True).click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    # The telephone is lost: a code that was kept does it once.
    begin()
    page.get_by_label("Code").fill(codes)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("button", name="mona@example.com")).to_be_visible()
    # And then the codes are, too.
    running.run("admin", "reset-mfa", "mona@example.com")
    begin()
    enrol()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("button", name="mona@example.com")).to_be_visible()
    visitor.was_refused()


def test_a_link_says_what_is_wrong_with_it(mailing, visit):
    visitor = visit(mailing)
    page = visitor.page
    page.goto(f"{mailing.api_url}/password")
    expect(page.get_by_role("heading", name="This link is not complete")).to_be_visible()
    page.goto(f"{mailing.api_url}/email#tfv-{'x' * 43}")
    page.get_by_role("button", name="Yes, it is mine").click()
    expect(page.get_by_role("alert")).to_contain_text("link")
    visitor.was_refused()


def test_without_a_mail_server_the_forgotten_password_says_so(running, visit):
    visitor = visit(running)
    page = visitor.page
    page.goto(running.api_url)
    page.get_by_role("button", name="I have forgotten my password").click()
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("alert")).to_contain_text("mail")
    page.get_by_role("button", name="Back to the login").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    visitor.was_refused()
