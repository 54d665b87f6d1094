"""Bytes and protobuf messages to the domain and back. Raises InvalidMessage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import DecodeError
from pydantic import TypeAdapter
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.pool_event_pb2 import PoolEvent
from trunkline_common import cloudevents
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing, Record

from trunkline_router import events as domain
from trunkline_router.engine import event_id
from trunkline_router.inputs import ReceiveMessage, RecordReceipt
from trunkline_router.pool import BEGINNING, Agent, Conversation, Pool
from trunkline_router.protomap import enum_name, fill, from_timestamp, read, timestamp

CONVERSATIONS, OUTBOUND, CONFIG = "trunkline.conversations.v1", "trunkline.outbound.v1", "trunkline.config.v1"
_SNAPSHOT = TypeAdapter(Pool)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_PAYLOADS = {_snake(cls.__name__): cls for cls in (*domain.ConversationPayload.__args__, *domain.PoolPayload.__args__)}
_ONEOF = {cls: name for name, cls in _PAYLOADS.items()}


# -- inbound


def parse_inbound(record: Record) -> InboundEvent:
    """An inbound record; its required fields are there."""
    try:
        event = InboundEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise InvalidMessage("NOT_AN_INBOUND_EVENT", str(error)) from error
    for field in ("event_id", "tenant", "pool", "conversation_id"):
        if not getattr(event, field):
            raise InvalidMessage("MISSING_FIELD", field)
    for field in ("event_id", "conversation_id"):
        if not _is_uuid(getattr(event, field)):
            raise InvalidMessage("NOT_A_UUID", field)
    if event.WhichOneof("payload") == "receipt" and enum_name(event.receipt, "status") == "UNSPECIFIED":
        raise InvalidMessage("MISSING_FIELD", "receipt.status")
    if event.WhichOneof("payload") is None:
        raise InvalidMessage("MISSING_FIELD", "payload: set message or receipt")
    if event.pool.partition("/")[0] != event.tenant:
        raise InvalidMessage("POOL_OF_ANOTHER_TENANT", "pool must begin with the tenant")
    return event


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def to_input(event: InboundEvent, customer: domain.CustomerLookup) -> ReceiveMessage | RecordReceipt:
    """What the engine is asked."""
    if event.WhichOneof("payload") == "receipt":
        receipt = event.receipt
        status = domain.DeliveryStatus(enum_name(receipt, "status"))
        return RecordReceipt(event.event_id, event.conversation_id, receipt.message_id, status, receipt.error)
    message = event.message
    return ReceiveMessage(
        event_id=event.event_id,
        conversation_id=event.conversation_id,
        channel=event.channel,
        account=event.account,
        contact=read(domain.Contact, message.contact),
        content=read(domain.Content, message.content),
        provider_message_id=event.provider_message_id,
        provider_time=event.provider_time.ToDatetime(tzinfo=UTC) if event.HasField("provider_time") else None,
        automatic=message.automatic,
        reply_address=message.reply_address,
        references=tuple(message.references),
        customer=customer,
    )


# -- the pool log


def to_conversation_event(event: domain.Event, pool: str, epoch: int, recorded_at: datetime) -> ConversationEvent:
    """An event of a conversation as it is published."""
    made = ConversationEvent(
        event_id=event_id(pool, event.pool_seq),
        tenant=pool.partition("/")[0],
        conversation_id=event.conversation_id,
        seq=event.seq,
        occurred_at=timestamp(event.occurred_at),
        recorded_at=timestamp(recorded_at),
        cause=event.cause,
        pool=pool,
        pool_seq=event.pool_seq,
        owner_epoch=epoch,
        config_version=event.config_version,
    )
    fill(made.actor, event.actor)
    payload = getattr(made, _ONEOF[type(event.payload)])
    payload.SetInParent()
    fill(payload, event.payload)
    return made


def to_pool_event(event: domain.Event, pool: str, epoch: int, recorded_at: datetime) -> PoolEvent:
    """An event as the pool log stores it."""
    made = PoolEvent(pool_seq=event.pool_seq, occurred_at=timestamp(event.occurred_at))
    if event.conversation_id:
        made.conversation.CopyFrom(to_conversation_event(event, pool, epoch, recorded_at))
        return made
    made.cause, made.config_version = event.cause, event.config_version
    fill(made.actor, event.actor)
    payload = getattr(made, _ONEOF[type(event.payload)])
    payload.SetInParent()
    fill(payload, event.payload)
    return made


def from_pool_event(data: bytes) -> domain.Event:
    """A stored event."""
    stored = PoolEvent.FromString(data)
    name = stored.WhichOneof("payload")
    envelope = stored.conversation if name == "conversation" else stored
    kind = envelope.WhichOneof("payload")
    conversation = stored.conversation if name == "conversation" else ConversationEvent()
    return domain.Event(
        pool_seq=stored.pool_seq,
        conversation_id=conversation.conversation_id,
        seq=conversation.seq,
        occurred_at=from_timestamp(stored.occurred_at),
        cause=envelope.cause,
        actor=read(domain.Actor, envelope.actor),
        config_version=envelope.config_version,
        payload=read(_PAYLOADS[kind or ""], getattr(envelope, kind or "")),
    )


def dump_pool(pool: Pool) -> bytes:
    """A snapshot."""
    return _SNAPSHOT.dump_json(pool)


def load_pool(data: bytes) -> Pool:
    """A pool from its snapshot."""
    return _SNAPSHOT.validate_json(data)


# -- topics


def conversation_record(event: ConversationEvent, traceparent: str) -> Outgoing:
    """The record of one event on the conversations log."""
    headers = cloudevents.headers(
        event_id=event.event_id,
        message=f"trunkline.conversations.v1.{_camel(event.WhichOneof('payload') or '')}",
        source="router",
        subject=event.conversation_id,
        time=from_timestamp(event.occurred_at),
        tenant=event.tenant,
        traceparent=traceparent,
    )
    return Outgoing(CONVERSATIONS, event.conversation_id.encode(), event.SerializeToString(), headers)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def outbound_record(event: ConversationEvent, conversation: Conversation, traceparent: str) -> Outgoing:
    """The record that has a message sent to the customer."""
    sent = event.message_sent
    message = OutboundMessage(
        message_id=sent.message_id,
        tenant=event.tenant,
        conversation_id=event.conversation_id,
        channel=sent.channel,
        account=sent.account,
        content=sent.content,
        references=conversation.references,
        created_at=event.occurred_at,
        pool=event.pool,
    )
    fill(message.to, conversation.contact)
    message.to.address = conversation.reply_address or conversation.contact.address
    message.content.subject = message.content.subject or conversation.subject
    headers = cloudevents.headers(
        event_id=sent.message_id,
        message="trunkline.outbound.v1.OutboundMessage",
        source="router",
        subject=event.conversation_id,
        time=from_timestamp(event.occurred_at),
        tenant=event.tenant,
        traceparent=traceparent,
    )
    key = f"{event.tenant}/{sent.channel}/{sent.account}"
    return Outgoing(OUTBOUND, key.encode(), message.SerializeToString(), headers)


def config_record(config: TenantConfig, traceparent: str) -> Outgoing:
    """The record of a new version of a configuration."""
    headers = cloudevents.headers(
        event_id=f"{config.tenant}/{config.version}",
        message="trunkline.config.v1.TenantConfig",
        source="router",
        subject=config.tenant,
        time=from_timestamp(config.applied_at),
        tenant=config.tenant,
        traceparent=traceparent,
    )
    return Outgoing(CONFIG, f"{config.tenant}/{config.version}".encode(), config.SerializeToString(), headers)


# -- gRPC


def to_api_conversation(conversation: Conversation, pool: str) -> api.Conversation:
    """A conversation as callers see it."""
    made = api.Conversation(
        conversation_id=conversation.id,
        assigned_agent_id=conversation.agent,
        offered_agent_id=conversation.offered_to,
        offer_id=conversation.offer_id if conversation.offered_to else "",
        entered_at=timestamp(conversation.entered_at),
        pool=pool,
        status=api.ConversationStatus.Value(f"CONVERSATION_STATUS_{conversation.status}"),
    )
    made.team, made.channel, made.account = conversation.team, conversation.channel, conversation.account
    made.seq, made.transfers = conversation.seq, conversation.transfers
    return made


def to_api_agent(agent: Agent) -> api.Agent:
    """An agent as callers see it."""
    return api.Agent(
        agent_id=agent.config.id,
        name=agent.config.name,
        teams=agent.config.teams,
        presence=api.Presence.Value(f"PRESENCE_{agent.presence}"),
        capacity=agent.config.capacity,
        load=len(agent.holds),
        not_responding=agent.not_responding,
        last_assigned_at=timestamp(agent.last_assigned_at) if agent.last_assigned_at > BEGINNING else None,
    )


def to_pool_configured(config: TenantConfig, pool: str) -> domain.PoolConfigured:
    """The part of a tenant's configuration that concerns one pool ("tenant/pool")."""
    name = pool.partition("/")[2]
    teams = tuple(domain.TeamConfig(t.id, t.offer_timeout_s) for t in config.teams if t.pool == name)
    ids = {t.id for t in teams}
    return domain.PoolConfigured(
        version=config.version,
        teams=teams,
        agents=tuple(
            domain.AgentConfig(a.id, a.name, tuple(a.teams), a.capacity) for a in config.agents if ids & set(a.teams)
        ),
        accounts=tuple(sorted((a.id, a.team) for a in config.accounts if a.team in ids)),
    )


def pools_of(config: TenantConfig) -> Sequence[str]:
    """The pool ids of a tenant."""
    return [f"{config.tenant}/{pool.id}" for pool in config.pools]
