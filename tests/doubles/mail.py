"""A mail server that keeps what it gets: the relay of delivery, without the internet behind it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.doubles.faults import Faults


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was taken."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    message: EmailMessage


class MailDouble(Faults):
    """`received` are the mails taken, in order; `address` is host:port. Faults are SMTP codes: fail(2, 451)."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Mail] = []
        self.attempts = 0
        self.address = ""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take the mail, or do what was asked instead."""
        self.attempts += 1
        await self.open.wait()
        fault = self.take(envelope.mail_from or "")
        if fault is not None:
            return f"{fault.status} asked to"
        content = envelope.content
        message = message_from_bytes(content if isinstance(content, bytes) else b"", policy=policy.default)
        self.received.append(Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message))
        return "250 OK"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="sink", loop=loop), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.set()
        self._server.close()
