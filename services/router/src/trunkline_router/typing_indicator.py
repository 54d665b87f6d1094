"""That an agent types: not a fact of the log, only a record for delivery, worth nothing a few seconds later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from trunkline.outbound.v1.outbound_message_pb2 import TypingIndicator
from trunkline_common import cloudevents
from trunkline_common.kafka import Outgoing

from trunkline_router import commands, refusals
from trunkline_router.protomap import fill, timestamp
from trunkline_router.state import Engine
from trunkline_router.wire import OUTBOUND


@dataclass(frozen=True, slots=True)
class ShowTyping:
    """Asked of the pool's owner; nothing is decided, and nothing remembered."""

    pool: str
    conversation_id: str
    agent_id: str
    on: bool
    supervising: bool

    def record(self, engine: Engine, now: datetime, traceparent: str) -> Outgoing:
        """What delivery is told. Raises Refusal."""
        commands.known_agent(engine, self.agent_id)
        c = commands.known_conversation(engine, self.conversation_id)
        commands.must_be_theirs(c, self.agent_id, supervising=self.supervising)
        if not engine.channel_class(c.channel).typing:
            raise refusals.typing_off(c.channel)
        tenant = engine.pool.tenant
        shown = TypingIndicator(
            on=self.on,
            tenant=tenant,
            conversation_id=c.id,
            channel=c.channel,
            account=c.account,
            provider_message_id=c.last_message,
            created_at=timestamp(now),
        )
        fill(shown.to, c.contact)
        shown.to.address = c.reply_address or c.contact.address
        headers = cloudevents.headers(
            event_id=str(uuid4()),
            message="trunkline.outbound.v1.TypingIndicator",
            source="router",
            subject=c.id,
            time=now,
            tenant=tenant,
            traceparent=traceparent,
        )
        return Outgoing(OUTBOUND, f"{tenant}/{c.channel}/{c.account}".encode(), shown.SerializeToString(), headers)
