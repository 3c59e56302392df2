"""TLS for both OTLP ports: one certificate, one key, and for mutual TLS one file of client authorities.

The files are checked at every handshake and read again when they changed, so that a renewed certificate needs no
restart. A damaged or half-written file is logged and not used: the last valid certificate stays in use. TLS 1.2 and 1.3
only; sessions are not resumed, so that a client whose authority was removed cannot return with an old ticket.
"""

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from prometheus_client import Gauge

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings

_log = logging.getLogger(__name__)

_expires = Gauge("duoscope_otlp_tls_certificate_expires_seconds", "Unix time at which the OTLP certificate expires")

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2, the ciphers with forward secrecy and authenticated encryption; all of TLS 1.3 have both."""

_READS_MAX: Final = 3

_Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The files at one moment, checked to belong together."""

    signature: _Signature
    certificate: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext


class TlsFiles:
    """The certificate files of the OTLP ports. Safe to use from any thread."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Read the files.

        Raises:
            DuoscopeError: INVALID with the variable's name for a file that cannot be used.
        """
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._lock = threading.Lock()
        self._loaded = self._load()
        self._refused: _Signature | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The files that the settings name, or None for plain text.

        Raises:
            DuoscopeError: INVALID for a certificate without a key or the like.
        """
        certificate, key, client_ca = settings.otlp_tls_cert, settings.otlp_tls_key, settings.otlp_tls_client_ca
        if not (certificate or key or client_ca):
            return None
        if not (certificate and key):
            raise _invalid("DUOSCOPE_OTLP_TLS_CERT and DUOSCOPE_OTLP_TLS_KEY are needed together.")
        return cls(Path(certificate), Path(key), Path(client_ca) if client_ca else None)

    def http_context(self) -> ssl.SSLContext:
        """A context for a listening socket, which uses the current certificate at each handshake."""

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._current().context

        context = self._context()
        context.sni_callback = choose  # pyright: ignore[reportAttributeAccessIssue] - called without a name as well
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials for a gRPC port, which use the current certificate at each handshake."""
        served: list[_Loaded] = [self._current()]

        def changed() -> grpc.ServerCertificateConfiguration | None:
            current = self._current()
            if current is served[0]:
                return None
            served[0] = current
            return _grpc_configuration(current)

        return grpc.dynamic_ssl_server_credentials(
            _grpc_configuration(served[0]),
            cast("Any", changed),
            require_client_authentication=self._client_ca is not None,
        )

    def _current(self) -> _Loaded:
        with self._lock:
            try:
                signature = self._signature()
                if signature in (self._loaded.signature, self._refused):
                    return self._loaded
                self._refused = signature
                self._loaded = self._load()
                _log.info("the OTLP ports use the certificate that was renewed")
            except (DuoscopeError, OSError) as error:
                _log.error("the OTLP ports go on with their last certificate: %s", error)
            return self._loaded

    def _load(self) -> _Loaded:
        for _ in range(_READS_MAX):
            try:
                loaded = self._load_once()
                if loaded.signature == self._signature():
                    return loaded
            except OSError as error:
                raise _invalid(
                    f"A TLS file of the OTLP ports cannot be read: {error.filename}: {error.strerror}. They are named "
                    "by DUOSCOPE_OTLP_TLS_CERT, DUOSCOPE_OTLP_TLS_KEY and DUOSCOPE_OTLP_TLS_CLIENT_CA."
                ) from error
        raise _invalid("The TLS files of the OTLP ports were changed while duoscope read them.")

    def _load_once(self) -> _Loaded:
        signature = self._signature()
        certificate, key = self._certificate.read_bytes(), self._key.read_bytes()
        client_ca = self._client_ca.read_bytes() if self._client_ca else None
        _check(certificate, key, client_ca)
        context = self._context()
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except ssl.SSLError as error:
            raise _invalid(
                "OpenSSL does not accept the certificate in DUOSCOPE_OTLP_TLS_CERT: is it too weak?"
            ) from error
        if client_ca is not None:
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
        return _Loaded(signature, certificate, key, client_ca, context)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        context.num_tickets = 0
        if self._client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _signature(self) -> _Signature:
        paths = [path for path in (self._certificate, self._key, self._client_ca) if path is not None]
        stats = [path.stat() for path in paths]
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in stats)


def _grpc_configuration(loaded: _Loaded) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(loaded.key, loaded.certificate)], loaded.client_ca)


def _check(certificate: bytes, key: bytes, client_ca: bytes | None) -> None:
    """Check that the key belongs to the first certificate, and that the authorities are certificates."""
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError as error:
        raise _invalid("DUOSCOPE_OTLP_TLS_CERT contains no PEM certificate.") from error
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise _invalid("DUOSCOPE_OTLP_TLS_KEY contains no PEM private key without a password.") from error
    if private.public_key() != leaf.public_key():
        raise _invalid("DUOSCOPE_OTLP_TLS_KEY is not the key of the first certificate in DUOSCOPE_OTLP_TLS_CERT.")
    if client_ca is not None:
        try:
            x509.load_pem_x509_certificates(client_ca)
            client_ca.decode("ascii")
        except ValueError as error:
            raise _invalid("DUOSCOPE_OTLP_TLS_CLIENT_CA contains no PEM certificate.") from error
    expires_s = leaf.not_valid_after_utc.timestamp()
    _expires.set(expires_s)
    if expires_s * 1e9 < now_unix_nano():
        _log.warning("the certificate of the OTLP ports has expired")


def _no_password() -> str:
    """Replaces OpenSSL's question on the terminal; `_check` has refused keys with a password."""
    return ""


def _invalid(message: str) -> DuoscopeError:
    return DuoscopeError(ErrorKind.INVALID, "invalid-settings", message)
