"""TLS and mutual TLS on both OTLP ports: who gets in, which versions, and a certificate renewed under way."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import warnings

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from duoscope.cli import run
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.settings import Settings
from duoscope.net.tls import TlsFiles

obligation = pytest.mark.obligation
TRANSPORTS = ("grpc", "http/protobuf", "http/json")
REFUSED = (httpx.TransportError, ConnectionError, ssl.SSLError)


class Authority:
    """Signs certificates, for 127.0.0.1 or for a client."""

    def __init__(self, name):
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self._certificate(self.name, self.key.public_key(), authority=True)

    def _certificate(self, subject, public_key, *, authority=False):
        now = dt.datetime.now(dt.UTC)

        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        )
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = made.add_extension(usage, critical=True).add_extension(identifier, critical=False)
        made = made.add_extension(issuer, critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, name, password=None):
        """A certificate and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._certificate(subject, key.public_key()), pem


class Files:
    """The certificate files of a receiver, replaced as a renewal does: another file under the same name."""

    def __init__(self, folder):
        self.paths = {name: folder / f"{name}.pem" for name in ("cert", "key", "client_ca")}

    def put(self, **contents):
        for name, content in contents.items():
            new = self.paths[name].with_suffix(".new")
            new.write_bytes(content)
            new.replace(self.paths[name])

    def put_pair(self, pair):
        self.put(cert=pair[0], key=pair[1])

    def settings(self, *names):
        return Settings(**{f"otlp_tls_{name}": str(self.paths[name]) for name in names})


@pytest.fixture(scope="module")
def authority():
    return Authority("duoscope test authority")


@pytest.fixture
def files(tmp_path, authority):
    made = Files(tmp_path)
    made.put_pair(authority.issue("first"))
    made.put(client_ca=authority.pem)
    return made


def equip(send, authority, pair=None, folder=None):
    """Make a sender trust `authority`, and show `pair` where it is given."""
    certificate, key = pair or (None, None)
    send.credentials = grpc.ssl_channel_credentials(authority.pem, key, certificate)
    send.verify = ssl.create_default_context(cadata=authority.pem.decode())
    if pair:
        for name, content in (("c", certificate), ("k", key)):
            (folder / f"client-{name}.pem").write_bytes(content)
        send.verify.load_cert_chain(folder / "client-c.pem", folder / "client-k.pem")
    return send


async def serial(send, transport, **options):
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2" if transport == "grpc" else "http/1.1"])
    for name, value in options.items():
        setattr(context, name, value)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    target = send.grpc_target if transport == "grpc" else send.http_url.removeprefix("https://")
    host, port = target.split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    found = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.transport.abort()
    return found.serial_number


@obligation("60", "our own", "requests over TLS", "as over plain text")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_tls(serve, files, authority, transport):
    async with serve(tls=TlsFiles.of(files.settings("cert", "key"))) as send:
        assert (await equip(send, authority)(transport, "logs")).code == 0


@obligation("61", "our own", "plain text to a port with TLS; TLS to a receiver that is not trusted", "no connection")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_plain_text(serve, files, transport):
    async with serve(tls=TlsFiles.of(files.settings("cert", "key"))) as send:
        for prepare in (lambda: None, lambda: equip(send, Authority("another"))):
            send.http_url = send.http_url.replace("https", "http") if prepare() is None else send.http_url
            if transport == "grpc":
                assert (await send("grpc", "logs", timeout_s=5)).code == grpc.StatusCode.UNAVAILABLE.value[0]
            else:
                with pytest.raises(REFUSED):
                    await send(transport, "logs")
            send.http_url = send.http_url.replace("http:", "https:")


@obligation("62", "our own", "mutual TLS: with a certificate of the authority, of another, without", "in; out; out")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_mutual_tls(serve, files, authority, transport, tmp_path):
    other = Authority("another authority")
    async with serve(tls=TlsFiles.of(files.settings("cert", "key", "client_ca"))) as send:
        assert (await equip(send, authority, authority.issue("client"), tmp_path)(transport, "logs")).code == 0
        for pair in (other.issue("client"), None):
            equip(send, authority, pair, tmp_path)
            await _expect_no_entrance(send, transport)
        # A new authority counts from the next handshake on, for both: it comes, and the old one goes.
        files.put(client_ca=other.pem)
        assert (await equip(send, authority, other.issue("client"), tmp_path)(transport, "logs")).code == 0
        equip(send, authority, authority.issue("client"), tmp_path)
        await _expect_no_entrance(send, transport)


async def _expect_no_entrance(send, transport):
    if transport == "grpc":
        assert (await send("grpc", "logs", timeout_s=5)).code == grpc.StatusCode.UNAVAILABLE.value[0]
    else:
        with pytest.raises(REFUSED):
            await send(transport, "logs")


@obligation(
    "63", "our own", "new connections after the certificate was renewed", "the new one; open connections live on"
)
@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_renewed_certificate(serve, files, authority, transport):
    async with serve(tls=TlsFiles.of(files.settings("cert", "key"))) as send:
        equip(send, authority)
        async with send.client(headers={"x-api-key": send.key, "content-type": "application/json"}) as client:
            assert (await client.post("/v1/logs", content=b"{}")).status_code == 200
            before = await serial(send, transport)
            assert await serial(send, transport) == before
            renewed = authority.issue("second")
            files.put_pair(renewed)
            expected = x509.load_pem_x509_certificate(renewed[0]).serial_number
            assert await serial(send, transport) == expected != before
            assert (await client.post("/v1/logs", content=b"{}")).status_code == 200
        assert (await send("grpc" if transport == "grpc" else "http/json", "logs")).code == 0


@obligation(
    "64", "our own", "a renewal that is half-written, or whose key belongs elsewhere", "the last good one serves on"
)
@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_damaged_renewal(serve, files, authority, transport, caplog):
    async with serve(tls=TlsFiles.of(files.settings("cert", "key"))) as send:
        before = await serial(send, transport)
        certificate, key = authority.issue("second")
        for damage in ({"cert": certificate[:200]}, {"cert": b""}, {"cert": certificate}):
            files.put(**damage)
            assert await serial(send, transport) == before
            assert await serial(send, transport) == before
        files.paths["key"].unlink()
        assert await serial(send, transport) == before
        files.put(key=key)
        assert await serial(send, transport) == x509.load_pem_x509_certificate(certificate).serial_number
    assert "go on with their last certificate" in caplog.text
    assert key.decode()[60:100] not in caplog.text


@obligation("65", "RFC 8996", "TLS 1.0 and 1.1; 1.2 and 1.3", "an alert; a connection")
@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_weak_versions(serve, files, transport):
    async with serve(tls=TlsFiles.of(files.settings("cert", "key"))) as send:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert await serial(send, transport, minimum_version=version, maximum_version=version)
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
                    await serial(send, transport, minimum_version=version, maximum_version=version)
            # It is the server that refuses, not this client.
            assert getattr(refused.value, "reason", None) in ("TLSV1_ALERT_PROTOCOL_VERSION", None)


def test_settings_that_cannot_be_meant_are_refused(files, authority, tmp_path):
    assert TlsFiles.of(Settings()) is None
    refusals = [
        (files.settings("cert"), "needed together"),
        (files.settings("key", "client_ca"), "needed together"),
        (Settings(otlp_tls_cert=str(tmp_path / "none"), otlp_tls_key=str(tmp_path / "none")), "cannot be read"),
        (Settings(otlp_tls_cert=str(files.paths["key"]), otlp_tls_key=str(files.paths["key"])), "no PEM certificate"),
        (Settings(otlp_tls_cert=str(files.paths["cert"]), otlp_tls_key=str(files.paths["cert"])), "no PEM private key"),
    ]
    for settings, words in refusals:
        with pytest.raises(DuoscopeError, match=words):
            TlsFiles.of(settings)
    files.put(key=authority.issue("other")[1])
    with pytest.raises(DuoscopeError, match="not the key of"):
        TlsFiles.of(files.settings("cert", "key"))
    files.put_pair(authority.issue("hidden", b"password"))
    with pytest.raises(DuoscopeError, match="without a password"):
        TlsFiles.of(files.settings("cert", "key"))
    files.put_pair(authority.issue("sound"))
    files.put(client_ca=b"no certificate")
    with pytest.raises(DuoscopeError, match="CLIENT_CA"):
        TlsFiles.of(files.settings("cert", "key", "client_ca"))


async def test_a_demo_over_tls_trusts_the_authority_it_is_told(serve, authority, files, tmp_path, capfd):
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.pem)
    tls = TlsFiles.of(files.settings("cert", "key"))
    async with serve(tls=tls) as send:
        endpoint = ["--endpoint", f"https://{send.grpc_target}", "--duration", "1", "--rate", "1"]
        demo = ["demo", *endpoint, "--api-key", send.key]
        assert await asyncio.to_thread(run, demo) == 1
        assert "--ca-file" in capfd.readouterr().err
        assert await asyncio.to_thread(run, [*demo, "--ca-file", str(trusted)]) == 0
        assert "spans, " in capfd.readouterr().out
    assert await asyncio.to_thread(run, [*demo, "--ca-file", str(tmp_path / "none.pem")]) == 2


async def test_a_demo_shows_the_certificate_that_a_receiver_asks_for(serve, authority, files, tmp_path, capfd):
    paths = [tmp_path / name for name in ("authority.pem", "own.pem", "own-key.pem")]
    for path, content in zip(paths, (authority.pem, *authority.issue("a demo")), strict=True):
        path.write_bytes(content)
    trusted, certificate, key = map(str, paths)
    async with serve(tls=TlsFiles.of(files.settings("cert", "key", "client_ca"))) as send:
        endpoint = ["--endpoint", f"https://{send.grpc_target}", "--duration", "1", "--rate", "1"]
        demo = ["demo", *endpoint, "--api-key", send.key, "--ca-file", trusted]
        assert await asyncio.to_thread(run, demo) == 1
        said = capfd.readouterr().err
        assert "--cert-file" in said, said
        assert await asyncio.to_thread(run, [*demo, "--cert-file", certificate]) == 2
        assert await asyncio.to_thread(run, [*demo, "--cert-file", certificate, "--key-file", key]) == 0
        assert "spans, " in capfd.readouterr().out
