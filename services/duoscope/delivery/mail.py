"""Mail to users: written to an outbox in the transaction of the change it reports, and sent once that has committed.

`Mailer.queue` is what a change calls. The worker calls `deliver_due`, which leases due mails, sends them, and retries
each for MAIL_AGE_MAX_S: a mail is never lost and never sent for a change that was rolled back. If a worker dies after
the server accepted a mail and before that is recorded, the mail is sent again, with the same Message-ID. Texts contain
links that open an account, so they are encrypted while they wait. A link for a forgotten password is made only when its
mail is sent (`writers`).
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
from duoscope.metadata.mail_outbox import LeasedMail
from duoscope.secrets.keys import SecretKeys
from duoscope.secrets.sealer import SealBrokenError
from duoscope.stores.postgres import MetadataStore, Transaction

SEND_TIMEOUT_S: Final = 20.0
LEASE_S: Final = 120.0
"""Longer than any conversation with the server takes: connecting, greeting, TLS, login and data have a timeout each."""
RETRY_FIRST_S: Final = 15.0
RETRY_MAX_S: Final = 3600.0
MAIL_AGE_MAX_S: Final = 3 * 24 * 3600.0
"""How long delivery of a mail is retried."""
BATCH_MAX: Final = 20
_PERMANENT_FROM: Final = 500
_PORTS: Final = {"smtps": 465, "smtp": 587, "smtp+plaintext": 25}

_SENDING = PlatformScope(reason="the outbox holds the mail of all organizations")
_SENT = Counter("duoscope_mail_total", "Mail by what became of an attempt to send it.", ["result"])
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail: its recipient, subject and text."""

    to: str
    subject: str
    text: str = field(repr=False)


Writer = Callable[[Transaction, LeasedMail], Awaitable[Letter | None]]
"""Writes a mail of its kind when it is about to be sent, in a platform transaction. Returns None if there is nothing to
send."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The mail server that DUOSCOPE_SMTP_URL names."""

    host: str
    port: int
    scheme: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse DUOSCOPE_SMTP_URL.

        Raises:
            DuoscopeError: INVALID `invalid-settings` for a URL of another form. The message does not repeat the URL,
                because it may hold a password.
        """
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
    """Writes mails to the outbox, and sends them.

    Raises:
        DuoscopeError: INVALID `invalid-settings`, when it is made from malformed settings.
    """

    def __init__(self, settings: Settings, keys: SecretKeys, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = SmtpServer.parse(settings.smtp_url) if settings.smtp_url else None
        self._from = settings.mail_from
        self._sealer = keys.sealer("mail-outbox")
        self._tls = tls

    @property
    def is_configured(self) -> bool:
        """Whether a mail server is configured."""
        return self._server is not None

    def require(self) -> None:
        """Raise CONFLICT `mail-not-configured` if no mail server is configured: for actions that need their mail."""
        if self._server is None:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "mail-not-configured",
                "This installation cannot send mail: its operator has to set DUOSCOPE_SMTP_URL first, "
                "or invites and sets passwords from the command line (duoscope admin).",
            )

    async def queue(self, tx: Transaction, *, organization_id: UUID, to: str, subject: str, text: str) -> bool:
        """Queue a mail, to be sent once `tx` commits. Returns False if no server is configured, so nothing will be
        sent.
        """
        if self._server is None:
            return False
        mail_id = new_id()
        sealed = self._sealer.seal(text.encode(), mail_id.bytes)
        await mail_outbox.add(
            tx, mail_id=mail_id, organization_id=organization_id, recipient=to, subject=subject, sealed_text=sealed
        )
        return True

    async def send(self, to: str, subject: str, text: str, *, mail_id: UUID | None = None) -> None:
        """Send a mail at once.

        Raises:
            UndeliverableError: it can never be delivered.
            DuoscopeError: UNAVAILABLE `mail-server-unavailable` for every failure that may pass; CONFLICT as `require`.
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
            # The operator corrects refused logins and senders in the settings; the mail itself is not at fault.
            raise self._failed(error, is_permanent=False) from error

    def unseal(self, waiting: LeasedMail) -> str:
        """Decrypt the text of a mail. Raises UndeliverableError if no key opens it."""
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
        # Tells automatic responders not to answer (RFC 3834).
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
            "The mail server does not accept mail now.",
            detail=detail,
            retry_after_s=RETRY_FIRST_S,
        )


async def deliver_due(
    store: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer], *, stopping: asyncio.Event | None = None
) -> int:
    """Send due mails, up to BATCH_MAX. Returns how many mails were leased. May run in several workers at once.

    When `stopping` is set, the rest waits until its lease has expired.
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
    store: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer], waiting: LeasedMail
) -> tuple[str, str | None, bool]:
    """Try to deliver one mail. Returns the outcome, for the metric; the problem, if any; whether that is final."""
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
