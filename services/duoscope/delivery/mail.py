"""Mail to people: written into an outbox in the transaction of the change it tells of, sent once that has committed.

`Mailer.queue` is what a change calls. The worker calls `deliver_due`, which leases what is due, sends it and tries it
for MAIL_AGE_MAX_S: a mail is never lost and never sent for a change that was rolled back. A worker that dies between
the server's yes and ours sends it again, under the same Message-ID. Texts hold links that open an account: they are
sealed while they wait, and a link for a forgotten password is made only when its mail is sent (`writers`).
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Final, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
from prometheus_client import Counter

from duoscope.kernel import clock
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.kernel.settings import Settings
from duoscope.metadata import mail_outbox
from duoscope.metadata.mail_outbox import Waiting
from duoscope.secrets.keys import SecretKeys
from duoscope.secrets.sealer import SealBrokenError
from duoscope.stores.postgres import MetadataStore, Transaction

SEND_TIMEOUT_S: Final = 20.0
LEASE_S: Final = 120.0
"""Longer than any conversation with the server takes: connecting, greeting, TLS, login and data time out one by one."""
RETRY_FIRST_S: Final = 15.0
RETRY_MAX_S: Final = 3600.0
MAIL_AGE_MAX_S: Final = 3 * 24 * 3600.0
"""How long a mail is tried."""
BATCH_MAX: Final = 20
_PERMANENT_FROM: Final = 500
_PORTS: Final = {"smtps": 465, "smtp": 587, "smtp+plaintext": 25}

_SENDING = PlatformScope(reason="the outbox holds the mail of all organizations")
_SENT = Counter("duoscope_mail_total", "Mail by what became of an attempt to send it.", ["result"])
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent to whom."""

    to: str
    subject: str
    text: str = field(repr=False)


Writer = Callable[[Transaction, Waiting], Awaitable[Letter | None]]
"""Writes a mail of its kind when it is about to be sent, in a platform transaction; None: there is nothing to send."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """What DUOSCOPE_SMTP_URL says."""

    host: str
    port: int
    scheme: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """INVALID `invalid-settings` for a URL of another form; the message does not repeat it, for its password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise DuoscopeError(
                ErrorKind.INVALID,
                "invalid-settings",
                "DUOSCOPE_SMTP_URL must look like smtps://user:password@mail.example.com:465, with smtps (TLS), smtp "
                "(STARTTLS) or smtp+plaintext (neither).",
            )
        return cls(
            parts.hostname,
            port or _PORTS[parts.scheme],
            parts.scheme,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


class UndeliverableError(Exception):
    """The server, or the form of the address, says that this mail will never arrive."""


class Mailer:
    """Writes to the outbox, and sends. Made from settings of a wrong form: INVALID `invalid-settings`."""

    def __init__(self, settings: Settings, keys: SecretKeys, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = SmtpServer.parse(settings.smtp_url) if settings.smtp_url else None
        self._from = settings.mail_from
        self._sealer = keys.sealer("mail-outbox")
        self._tls = tls

    @property
    def is_configured(self) -> bool:
        """Whether there is a server to send through."""
        return self._server is not None

    def require(self) -> None:
        """CONFLICT `mail-not-configured` unless there is: for what is of no use without its mail."""
        if self._server is None:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "mail-not-configured",
                "This installation sends no mail: its operator has to set DUOSCOPE_SMTP_URL first, "
                "or invites and sets passwords from the command line (duoscope admin).",
            )

    async def queue(self, tx: Transaction, *, organization_id: UUID, to: str, subject: str, text: str) -> bool:
        """Send when `m` commits. False: nothing will be sent, because no server is configured."""
        if self._server is None:
            return False
        mail_id = new_id()
        sealed = self._sealer.seal(text.encode(), mail_id.bytes)
        await mail_outbox.add(
            tx, mail_id=mail_id, organization_id=organization_id, recipient=to, subject=subject, sealed_text=sealed
        )
        return True

    async def send(self, to: str, subject: str, text: str, *, mail_id: UUID | None = None) -> None:
        """Send at once.

        Raises:
            UndeliverableError: it never will be.
            DuoscopeError: UNAVAILABLE `mail-server-unavailable` for everything that may pass; CONFLICT as `require`.
        """
        self.require()
        assert self._server is not None
        message = self._message(to, subject, text, mail_id or new_id())
        server = self._server
        try:
            await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.scheme == "smtps",
                start_tls=server.scheme == "smtp",
                tls_context=self._tls,
                timeout=SEND_TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusals = [refused.code for refused in error.recipients]
            raise self._failed(error, is_permanent=min(refusals) >= _PERMANENT_FROM) from error
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPRecipientRefused) as error:
            raise self._failed(error, is_permanent=error.code >= _PERMANENT_FROM) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Refused logins and senders are mended in the settings, not in the mail.
            raise self._failed(error, is_permanent=False) from error

    def unseal(self, waiting: Waiting) -> str:
        """The text of a mail; UndeliverableError if none of the keys opens it."""
        try:
            return self._sealer.open(waiting.sealed_text, waiting.mail_id.bytes).decode()
        except SealBrokenError as error:
            raise UndeliverableError("sealed under a secret that this process does not have") from error

    def _message(self, to: str, subject: str, text: str, mail_id: UUID) -> EmailMessage:
        try:
            recipient = Address(addr_spec=to)
            message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
            message["From"] = Address("duoscope", addr_spec=self._from)
            message["To"] = recipient
            message["Subject"] = subject
        except (MessageError, ValueError, IndexError) as error:
            raise UndeliverableError("not an address that mail can be sent to") from error
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{mail_id}@{self._from.rpartition('@')[2]}>"
        # Machines must not answer it (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    @staticmethod
    def _failed(error: Exception, *, is_permanent: bool) -> Exception:
        detail = f"{type(error).__name__}: {error}"
        if is_permanent:
            return UndeliverableError(detail)
        return DuoscopeError(
            ErrorKind.UNAVAILABLE,
            "mail-server-unavailable",
            "The mail server does not take mail now.",
            detail=detail,
            retry_after_s=RETRY_FIRST_S,
        )


async def deliver_due(
    store: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer], *, stopping: asyncio.Event | None = None
) -> int:
    """Send what is due, up to BATCH_MAX; answers how many mails were leased. May run in several workers at once.

    When `stopping` is set, the rest is left to whoever comes after the lease has run out.
    """
    if not mailer.is_configured:
        return 0
    async with store.open_platform(_SENDING, "mail.lease") as tx:
        leased = await mail_outbox.lease(tx, rows_max=BATCH_MAX, lease_s=LEASE_S)
    for waiting in leased:
        if stopping is not None and stopping.is_set():
            break
        result, problem, is_over = await _attempt(store, mailer, writers, waiting)
        _SENT.labels(result).inc()
        async with store.open_platform(_SENDING, "mail.settle") as tx:
            if problem is None:
                await mail_outbox.remove(tx, waiting.mail_id)
            elif is_over:
                await mail_outbox.give_up(tx, waiting.mail_id, error=problem)
            else:
                delay_s = min(RETRY_FIRST_S * 2 ** (waiting.attempts - 1), RETRY_MAX_S)
                await mail_outbox.postpone(tx, waiting.mail_id, delay_s=delay_s, error=problem)
        if problem is not None:
            _log.warning("mail not sent", extra={"mail_id": waiting.mail_id, "given_up": is_over, "detail": problem})
    return len(leased)


async def _attempt(
    store: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer], waiting: Waiting
) -> tuple[str, str | None, bool]:
    """What became of it, for the metric; the problem, if any; whether that is the end of it."""
    try:
        if waiting.kind == "text":
            letter = Letter(waiting.recipient, waiting.subject, mailer.unseal(waiting))
        else:
            async with store.open_platform(_SENDING, "mail.write") as tx:
                letter = await writers[waiting.kind](tx, waiting)
        if letter is None:
            return "needless", None, True
        await mailer.send(letter.to, letter.subject, letter.text, mail_id=waiting.mail_id)
    except UndeliverableError as error:
        return "undeliverable", str(error), True
    except DuoscopeError as error:
        is_over = waiting.age_s > MAIL_AGE_MAX_S
        return "given up" if is_over else "postponed", error.detail or error.message, is_over
    return "sent", None, True
