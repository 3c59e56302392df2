"""A whole duoscope with a mail server: a forgotten password, from the request to the new login."""

import asyncio
import re
import subprocess
import sys

import asyncpg
import httpx
import pytest

from duoscope.worker import housekeeping


def test_a_forgotten_password_is_replaced_by_mail(smtp_server, start_up, monkeypatch):
    monkeypatch.setenv("DUOSCOPE_SMTP_URL", smtp_server.url)
    monkeypatch.setenv("DUOSCOPE_MAIL_FROM", "duoscope@example.org")
    with start_up() as up:
        email = up.known["admin_email"]
        with up.api() as old, httpx.Client(base_url=up.api_url, timeout=30) as anybody:
            answer = anybody.post("/api/v1/auth/password/forgotten", json={"email": email})
            assert answer.status_code == 202
            mail = asyncio.run(smtp_server.arrived())
            assert (mail["From"], mail["To"]) == ("duoscope <duoscope@example.org>", email)
            link = re.search(r"(http\S+/password)#(tfp-\S+)", mail.get_content())
            page = anybody.get(link[1])
            assert page.status_code == 200
            assert "script-src 'sha256-" in page.headers["content-security-policy"]
            assert "api/v1/auth/password/reset" in page.text
            body = {"token": link[2], "password": "staple of another kind"}
            assert anybody.post("/api/v1/auth/password/reset", json=body).status_code == 204
            assert old.get("/auth/me").status_code == 401
            with up.api(password="staple of another kind") as new:
                assert new.get("/auth/me").json()["email"] == email
        assert "changed" in (asyncio.run(smtp_server.arrived()))["Subject"]
        up.stop()
        assert "tfp-" not in up.log.read_text()


def test_wrong_settings_of_mail_and_proxies_are_told_at_the_start(tmp_path, monkeypatch):
    for name, value in (("DUOSCOPE_SMTP_URL", "mail.example.com"), ("DUOSCOPE_TRUSTED_PROXIES", "nonsense")):
        monkeypatch.setenv(name, value)
        command = ("duoscope", "up", "--data-dir", str(tmp_path / name), "--api-port", "0", "--otlp-grpc-port", "0",
                   "--otlp-http-port", "0")  # fmt: skip
        code = f"import sys; sys.argv = {list(command)!r}; from duoscope.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert name in done.stderr
        monkeypatch.delenv(name)


async def test_housekeeping_forgets_what_serves_nobody(metadata_store, api, inhabited, database):
    body = {"email": inhabited.user.email, "password": "correct horse battery", "trust_device": True}
    for _ in range(2):
        assert (await api.client.post("/api/v1/auth/login", json=body)).status_code == 200
    assert await housekeeping.forget_ended_tokens(metadata_store) == 0

    owner = await asyncpg.connect(database.admin_dsn)
    try:
        await owner.execute("UPDATE refresh_tokens SET expires_at = now() - interval '2 days'")
        await owner.execute("UPDATE trusted_devices SET expires_at = now() - interval '1 s'")
        await owner.execute("UPDATE user_sessions SET expires_at = now() - interval '89 days'")
        assert await housekeeping.forget_ended_tokens(metadata_store) == 4
        await owner.execute("UPDATE user_sessions SET expires_at = now() - interval '91 days'")
        assert await housekeeping.forget_ended_tokens(metadata_store) == 2
    finally:
        await owner.close()


@pytest.mark.parametrize("path", ["/password", "/email"])
async def test_pages_of_links_are_the_same_for_everybody_and_load_nothing(api, path):
    page = await api.client.get(path)
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    assert page.headers["referrer-policy"] == "no-referrer"
