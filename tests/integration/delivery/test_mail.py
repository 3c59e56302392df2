"""The outbox and the sending, on the real PostgreSQL and a real SMTP server."""

import asyncpg
import pytest

from duoscope.background.driver import Driver
from duoscope.delivery.mail import MAIL_AGE_MAX_S, Letter, Mailer, SmtpServer, UndeliverableError, deliver_due
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata import mail_outbox
from duoscope.secrets.keys import SecretKeys
from duoscope.worker.mail import start_mail

_PLATFORM = PlatformScope(reason="test")
_TO = "one@example.com"


@pytest.fixture
def mailer(smtp_server, secret_keys):
    return Mailer(Settings(smtp_url=smtp_server.url, mail_from="duoscope@example.org"), secret_keys)


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def queue(metadata_store, mailer, inhabited):
    async def put(subject="Hello", to=_TO, text="A link: https://example.org/#tfp-secret\n"):
        tenant = inhabited.tenant
        scope = Scope(tenant.organization_id, tenant.workspace_id, tenant.tenant_id)
        async with metadata_store.open(scope, "test.queue") as tx:
            assert await mailer.queue(tx, organization_id=tenant.organization_id, to=to, subject=subject, text=text)

    return put


async def test_a_committed_mail_arrives_once(metadata_store, mailer, smtp_server, queue, owner):
    await queue("Grüße")
    sealed = await owner.fetchval("SELECT sealed_text FROM mail_outbox")
    assert b"tfp-secret" not in sealed
    assert await deliver_due(metadata_store, mailer, {}) == 1
    [mail] = smtp_server.mails
    assert (mail["To"], mail["Subject"]) == (_TO, "Grüße")
    assert mail["From"] == "duoscope <duoscope@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "tfp-secret" in mail.get_content()
    assert await deliver_due(metadata_store, mailer, {}) == 0
    assert await owner.fetchval("SELECT count(*) FROM mail_outbox") == 0


async def test_a_rolled_back_change_sends_nothing(metadata_store, mailer, smtp_server, inhabited):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with metadata_store.open_platform(_PLATFORM, "test.fails") as tx:
            await mailer.queue(tx, organization_id=inhabited.tenant.organization_id, to=_TO, subject="No", text="never")
            raise ZeroDivisionError
    assert await deliver_due(metadata_store, mailer, {}) == 0
    assert not smtp_server.mails


async def test_a_server_that_is_away_or_busy_is_tried_again(metadata_store, mailer, smtp_server, queue, owner):
    await queue()
    smtp_server.answer = "451 4.3.0 come back later"
    assert await deliver_due(metadata_store, mailer, {}) == 1
    row = await owner.fetchrow(
        "SELECT attempts, failed_at, last_error, next_attempt_at > now() AS waits FROM mail_outbox"
    )
    assert (row["attempts"], row["failed_at"], row["waits"]) == (1, None, True)
    assert "451" in row["last_error"]
    assert await deliver_due(metadata_store, mailer, {}) == 0
    smtp_server.answer = None
    smtp_server.stop()
    await owner.execute("UPDATE mail_outbox SET next_attempt_at = now()")
    assert await deliver_due(metadata_store, mailer, {}) == 1
    smtp_server.start()
    await owner.execute("UPDATE mail_outbox SET next_attempt_at = now()")
    assert await deliver_due(metadata_store, mailer, {}) == 1
    assert len(smtp_server.mails) == 1


async def test_what_never_can_be_delivered_is_given_up(metadata_store, mailer, smtp_server, queue, owner):
    smtp_server.answer = "550 5.1.1 no such user"
    await queue()
    await deliver_due(metadata_store, mailer, {})
    await queue(to="no address at all")
    smtp_server.answer = "451 4.3.0 come back later"
    await deliver_due(metadata_store, mailer, {})
    await queue()
    await owner.execute(f"UPDATE mail_outbox SET created_at = now() - interval '{MAIL_AGE_MAX_S + 60} s'")
    await deliver_due(metadata_store, mailer, {})
    rows = await owner.fetch("SELECT last_error, length(sealed_text) AS size FROM mail_outbox WHERE failed_at < now()")
    assert len(rows) == 3
    assert all(row["size"] == 0 for row in rows)
    async with metadata_store.open_platform(_PLATFORM, "test.purge") as tx:
        assert await mail_outbox.purge_failed(tx, older_than_s=3600) == 0
        assert await mail_outbox.purge_failed(tx, older_than_s=0) == 3


async def test_a_mail_leased_by_a_worker_that_died_is_sent_by_the_next(metadata_store, mailer, smtp_server, queue):
    await queue()
    async with metadata_store.open_platform(_PLATFORM, "test.lease") as tx:
        [leased] = await mail_outbox.lease(tx, rows_max=10, lease_s=0)
    assert await deliver_due(metadata_store, mailer, {}) == 1
    [mail] = smtp_server.mails
    assert mail["Message-ID"] == f"<{leased.mail_id}@example.org>"


async def test_another_kind_is_written_when_it_is_sent(metadata_store, mailer, smtp_server):
    async def write(m, waiting):
        return Letter(_TO, "Written", waiting.context["text"]) if waiting.recipient == _TO else None

    async with metadata_store.open_platform(_PLATFORM, "test.queue") as tx:
        for to in (_TO, "nobody@example.com"):
            await mail_outbox.add(tx, mail_id=new_id(), organization_id=None, recipient=to, kind="password-forgotten",
                                  context={"text": "late"})  # fmt: skip
    assert await deliver_due(metadata_store, mailer, {"password-forgotten": write}) == 2
    assert [(mail["Subject"], mail.get_content().strip()) for mail in smtp_server.mails] == [("Written", "late")]
    assert await deliver_due(metadata_store, mailer, {}) == 0


async def test_secrets_rotate_and_a_lost_one_gives_up(metadata_store, mailer, smtp_server, queue, owner):
    settings = Settings(smtp_url=smtp_server.url)
    await queue()
    rotated = Mailer(settings, SecretKeys((b"n" * 32, b"s" * 32)))
    await deliver_due(metadata_store, rotated, {})
    assert len(smtp_server.mails) == 1
    await queue()
    await deliver_due(metadata_store, Mailer(settings, SecretKeys((b"n" * 32,))), {})
    assert "secret" in await owner.fetchval("SELECT last_error FROM mail_outbox")


async def test_the_worker_sends_by_itself(metadata_store, mailer, smtp_server, queue):
    job = start_mail(Driver(), metadata_store, mailer, {})
    try:
        await queue()
        await smtp_server.arrived()
    finally:
        await job.stop()
    assert len(smtp_server.mails) == 1


async def test_without_a_server_nothing_is_sent_and_that_is_said(metadata_store, secret_keys, inhabited):
    silent = Mailer(Settings(), secret_keys)
    with pytest.raises(DuoscopeError) as refused:
        silent.require()
    assert (refused.value.kind, refused.value.code) == (ErrorKind.CONFLICT, "mail-not-configured")
    async with metadata_store.open_platform(_PLATFORM, "test.queue") as tx:
        organization_id = inhabited.tenant.organization_id
        assert not await silent.queue(tx, organization_id=organization_id, to=_TO, subject="s", text="t")


async def test_a_header_cannot_be_smuggled_in(mailer, smtp_server):
    for to, subject in ((f"{_TO}\r\nBcc: evil@example.com", "s"), (_TO, "s\r\nBcc: evil@example.com")):
        with pytest.raises(UndeliverableError):
            await mailer.send(to, subject, "text")
    await mailer.send(_TO, "s", ".\r\nRCPT TO:<evil@example.com>\r\n.\r\n")
    assert [mail["Bcc"] for mail in smtp_server.mails] == [None]


def test_the_url_says_how_to_connect():
    server = SmtpServer.parse("smtp://me%40x:p%3Aw@mail.example.com")
    assert (server.host, server.port, server.username, server.password) == ("mail.example.com", 587, "me@x", "p:w")
    assert SmtpServer.parse("smtps://h").port == 465
    for wrong in ("mail.example.com", "http://h", "smtp://", "smtp://h:99999", "smtp://h/path", "smtp://u:pw@h?x=1"):
        with pytest.raises(DuoscopeError, match="DUOSCOPE_SMTP_URL") as refused:
            SmtpServer.parse(wrong)
        assert "pw" not in refused.value.message
