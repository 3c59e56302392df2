"""Mail over TLS, at once (smtps) and by STARTTLS (smtp), against a real server on loopback."""

import asyncio
import datetime as dt
import ipaddress
import ssl

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from duoscope.delivery.mail import Mailer, deliver_due
from duoscope.kernel.scope import PlatformScope
from duoscope.kernel.settings import Settings

SCHEMES = ("smtps", "smtp")


def _certificate(folder, address):
    """A certificate for an address, signed by itself; the file holds its key too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / f"{address}.pem"
    path.write_bytes(key.private_bytes(*encoded) + made.public_bytes(serialization.Encoding.PEM))
    return path


class Server:
    """Takes mail on a port of this machine; keeps whether it came encrypted, and what users log in."""

    def __init__(self) -> None:
        self.mails, self.users = [], []

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.mails.append((server.transport.get_extra_info("ssl_object") is not None, envelope.content))
        return "250 OK"

    def authenticate(self, *given):
        auth_data = given[-1]
        self.users.append((auth_data.login, auth_data.password))
        return AuthResult(success=True)


@pytest.fixture
async def listen():
    """Start a server; answers it and its port."""
    running = []

    async def start(scheme, certificate):
        server, loop = Server(), asyncio.get_running_loop()
        tls = None
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
        at_once = tls if scheme == "smtps" else None
        later = {"tls_context": tls, "require_starttls": True} if tls and scheme == "smtp" else {}

        def protocol():
            return SMTP(
                server, hostname="mail", loop=loop, authenticator=server.authenticate, auth_require_tls=bool(later),
                auth_required=False, **later,
            )  # fmt: skip

        running.append(await loop.create_server(protocol, "127.0.0.1", 0, ssl=at_once))
        return server, running[-1].sockets[0].getsockname()[1]

    yield start
    for each in running:
        each.close()
        await each.wait_closed()


@pytest.fixture
async def send(metadata_store, secret_keys, inhabited, database):
    """Queue a mail and deliver what is due; answers why it waits, or None."""

    async def run(url, trusted=None):
        tls = ssl.create_default_context(cafile=trusted) if trusted else None
        mailer = Mailer(Settings(smtp_url=url, mail_from="duoscope@example.org"), secret_keys, tls=tls)
        async with metadata_store.open_platform(PlatformScope(reason="test"), "test.queue") as tx:
            organization_id = inhabited.tenant.organization_id
            await mailer.queue(
                tx, organization_id=organization_id, to="ada@example.com", subject="Hello", text="secret"
            )
        assert await deliver_due(metadata_store, mailer, {}) == 1
        connection = await asyncpg.connect(database.admin_dsn)
        try:
            waiting = await connection.fetch("SELECT last_error, failed_at FROM mail_outbox")
        finally:
            await connection.close()
        assert all(row["failed_at"] is None for row in waiting), "it is tried again"
        return waiting[0]["last_error"] if waiting else None

    return run


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_server_whose_certificate_is_trusted_gets_the_mail_and_the_password(listen, send, tmp_path, scheme):
    certificate = _certificate(tmp_path, "127.0.0.1")
    server, port = await listen(scheme, certificate)
    assert await send(f"{scheme}://ada:hush@127.0.0.1:{port}", trusted=certificate) is None
    [(encrypted, content)] = server.mails
    assert encrypted
    assert b"secret" in content
    assert server.users == [(b"ada", b"hush")]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wrong", ["nobody trusts it", "another is trusted", "it is another machine's"])
async def test_one_whose_certificate_is_not_gets_neither(listen, send, tmp_path, scheme, wrong):
    own = _certificate(tmp_path, "192.0.2.1" if "machine" in wrong else "127.0.0.1")
    other = _certificate(tmp_path, "127.0.0.2")
    server, port = await listen(scheme, own)
    trusted = {"nobody trusts it": None, "another is trusted": other}.get(wrong, own)
    problem = await send(f"{scheme}://ada:hush@127.0.0.1:{port}", trusted=trusted)
    assert "certificate verify failed" in problem
    assert "hush" not in problem
    assert (server.mails, server.users) == ([], [])


async def test_a_server_that_speaks_no_tls_gets_neither(listen, send, tmp_path):
    """STARTTLS is insisted on: somebody on the way could take the offer out."""
    certificate = _certificate(tmp_path, "127.0.0.1")
    server, port = await listen("smtp", None)
    problem = await send(f"smtp://ada:hush@127.0.0.1:{port}", trusted=certificate)
    assert "STARTTLS" in problem
    assert (server.mails, server.users) == ([], [])
