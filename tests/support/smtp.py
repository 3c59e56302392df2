"""A mail server in loopback, which keeps what it gets."""

import asyncio
import socket
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class SmtpServer:
    """A mail server on a free port of this machine that keeps the mails it receives.

    Attributes:
        mails: in the order of their arrival.
        answer: its answer to a mail instead of accepting it, such as `451 busy`.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer: str | None = None
        self._arrived = threading.Event()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"smtp+plaintext://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._controller = Controller(self, "127.0.0.1", self._port)
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        del server, session
        if self.answer:
            return self.answer
        mail = message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)
        self.mails.append(mail)
        self._arrived.set()
        return "250 OK"

    async def arrived(self, timeout_s: float = 20) -> EmailMessage:
        """The latest mail, as soon as there is one that this has not returned yet."""
        assert await asyncio.to_thread(self._arrived.wait, timeout_s), "no mail came"
        self._arrived.clear()
        return self.mails[-1]
