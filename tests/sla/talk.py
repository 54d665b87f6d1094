"""Conversations as the router would publish them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from trunkline.common.v1.common_pb2 import ACTOR_TYPE_AGENT, ACTOR_TYPE_CUSTOMER, ACTOR_TYPE_SYSTEM, Actor
from trunkline.config.v1.config_pb2 import SlaPolicy, TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline_common import cloudevents
from trunkline_common.kafka import Outgoing, Producer

LOG = "trunkline.conversations.v1"
CUSTOMER, SYSTEM = Actor(type=ACTOR_TYPE_CUSTOMER), Actor(type=ACTOR_TYPE_SYSTEM, id="router")


def agent(name: str) -> Actor:
    """An agent as the doer of something."""
    return Actor(type=ACTOR_TYPE_AGENT, id=name)


@dataclass(slots=True)
class Talk:
    """Writes down what happens in one conversation; `events` is its log."""

    tenant: str
    conversation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    traceparent: str = ""
    address: str = ""
    events: list[ConversationEvent] = field(default_factory=list)

    def later(self, seconds: float) -> Talk:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)
        return self

    def add(self, actor: Actor, **payload: Any) -> Talk:
        """Append an event; `payload` is one member of the union by name."""
        seq = len(self.events) + 1
        event = ConversationEvent(
            event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.conversation_id}/{seq}")),
            tenant=self.tenant,
            conversation_id=self.conversation_id,
            seq=seq,
            actor=actor,
            config_version=1,
            **payload,
        )
        event.occurred_at.FromDatetime(self.at)
        self.events.append(event)
        return self

    def begin(self, text: str = "hello", *, team: str = "support") -> Talk:
        """What the engine publishes for a new conversation."""
        contact = {"address": self.address or f"+{self.conversation_id}", "display_name": "Ada"}
        started = {"channel": "whatsapp", "account": "main", "contact": contact, "subject": "Order 7"}
        return self.add(SYSTEM, conversation_started=started).writes(text).queued(team)

    def writes(self, text: str = "hello", *, automatic: bool = False) -> Talk:
        """The customer writes."""
        received = {"message_id": str(uuid.uuid4()), "content": {"text": text}, "automatic": automatic}
        return self.add(CUSTOMER, message_received=received)

    def queued(self, team: str = "support") -> Talk:
        """The conversation waits for a team."""
        return self.add(SYSTEM, conversation_queued={"team": team})

    def assigned(self, name: str, team: str = "support") -> Talk:
        """An agent has it."""
        return self.add(agent(name), conversation_assigned={"agent_id": name, "team": team})

    def replies(self, name: str, text: str = "hi") -> Talk:
        """An agent answers."""
        sent = {"message_id": str(uuid.uuid4()), "agent_id": name, "content": {"text": text}}
        return self.add(agent(name), message_sent=sent)

    def records(self) -> list[Outgoing]:
        """The log as records."""
        return [self._record(event) for event in self.events]

    def _record(self, event: ConversationEvent) -> Outgoing:
        headers = cloudevents.headers(
            event_id=event.event_id,
            message="trunkline.conversations.v1.ConversationEvent",
            source="router",
            subject=event.conversation_id,
            time=event.occurred_at.ToDatetime(tzinfo=UTC),
            tenant=event.tenant,
            traceparent=self.traceparent,
        )
        return Outgoing(LOG, event.conversation_id.encode(), event.SerializeToString(), headers)


def configuration(tenant: str, *policies: SlaPolicy) -> Outgoing:
    """Version 1 of a tenant's configuration."""
    config = TenantConfig(tenant=tenant, version=1, sla_policies=policies)
    return Outgoing("trunkline.config.v1", f"{tenant}/1".encode(), config.SerializeToString())


async def produce(bootstrap: str, messages: Sequence[Outgoing]) -> None:
    """Write records, in order."""
    async with Producer(bootstrap, "test") as producer:
        rest = list(messages)
        while rest:
            rest = rest[await producer.send_all(rest) :]
