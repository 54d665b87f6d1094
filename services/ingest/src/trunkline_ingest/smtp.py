"""SMTP: 250 only when the records are durable; what is not known to be is answered 451, and the sender tries again."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session
from opentelemetry.trace import SpanKind
from trunkline_common import telemetry
from trunkline_common.clock import Clock

from trunkline_ingest.accounts import Account, Directory
from trunkline_ingest.channels import email
from trunkline_ingest.channels.adapter import Arrival, Raw
from trunkline_ingest.defects import log_defect
from trunkline_ingest.model import Fact
from trunkline_ingest.publisher import KafkaDown, Publisher, publish_facts

MAX_MAIL = 25 * 1024 * 1024
SILENCE_SECONDS = 60
ACCEPTED = "250 2.0.0 accepted"
NO_SUCH = "550 5.1.1 no such mailbox here"
AMBIGUOUS = "451 4.3.5 this mailbox is configured more than once"
LATER = "451 4.3.0 cannot be stored now, try again"


class _Protocol(SMTP):
    # Mail with overlong lines exists; the size of the whole is what is limited.
    line_length_limit = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mailroom:
    """The handler of aiosmtpd: its methods answer RCPT and DATA."""

    directory: Directory
    publisher: Publisher
    clock: Clock

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only mailboxes of a tenant's configuration."""
        found = self.directory.by_address(address)
        if len(found) != 1:
            answer = AMBIGUOUS if found else NO_SUCH
            telemetry.count("trunkline.webhook.refused", 1, channel="email", status=answer[:3])
            return answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """One mail for every account it is addressed to."""
        with telemetry.server_span("SMTP DATA", None, SpanKind.SERVER, {}):
            try:
                for account, address in self._addressed(envelope.rcpt_tos):
                    await self._take(account, address, envelope)
            except KafkaDown:
                telemetry.count("trunkline.webhook.refused", 1, channel="email", status="451")
                return LATER
        return ACCEPTED

    async def handle_exception(self, error: Exception) -> str:
        """A defect of ours must not make the sender give the mail up."""
        log_defect("mail not taken", error)
        telemetry.count("trunkline.webhook.refused", 1, channel="email", status="451")
        return LATER

    def _addressed(self, addresses: list[str]) -> list[tuple[Account, str]]:
        """Each account once; one that left the configuration since RCPT is gone."""
        found = {(a.tenant, a.config.id): (a, at) for at in addresses for a in self.directory.by_address(at)}
        return list(found.values())

    async def _take(self, account: Account, address: str, envelope: Envelope) -> None:
        headers = {email.MAIL_FROM: envelope.mail_from or "", email.RCPT_TO: address}
        content = envelope.content
        raw = Raw("DATA", "", "", headers, content if isinstance(content, bytes) else b"")
        arrival = Arrival(account.tenant, account.pool, account.config, self.clock(), account.priorities)
        # Megabytes of MIME take a while: not in the loop.
        facts = await asyncio.to_thread(_read, raw, arrival)
        await publish_facts(self.publisher, facts, arrival)


def _read(raw: Raw, arrival: Arrival) -> list[Fact]:
    email.verify(raw, arrival.account, "")
    return email.normalise(email.parse(raw), arrival)


@asynccontextmanager
async def serve(mailroom: Mailroom, listen: str) -> AsyncIterator[str]:
    """The started listener's address."""
    loop = asyncio.get_running_loop()
    sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def protocol() -> SMTP:
        session = _Protocol(
            mailroom,
            data_size_limit=MAX_MAIL,
            enable_SMTPUTF8=True,
            hostname="trunkline",
            ident="Trunkline",
            timeout=SILENCE_SECONDS,
            loop=loop,
        )
        sessions.add(session)
        return session

    host, _, port = listen.rpartition(":")
    server = await loop.create_server(protocol, host, int(port))
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname()[:2])
    finally:
        # Whoever is in the middle of a mail has had no 250 and sends it again.
        server.close()
        for session in list(sessions):
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()
