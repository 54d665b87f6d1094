"""The log's bytes and the topics' messages to the domain and back. Raises InvalidMessage."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from google.protobuf.message import DecodeError
from pydantic import TypeAdapter
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline.router.v1.pool_event_pb2 import PoolEvent
from trunkline_common import cloudevents
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing, Record

from trunkline_router import wire_handover
from trunkline_router.engine import event_id as id_of
from trunkline_router.events import ConversationPayload, Event
from trunkline_router.facts import (
    NO_PREVIEW,
    Actor,
    Contact,
    Content,
    CustomerLookup,
    DeliveryStatus,
    DuePreview,
)
from trunkline_router.handed import TakeOver
from trunkline_router.inputs import ReceiveMessage, RecordReceipt
from trunkline_router.pool import Conversation, Pool
from trunkline_router.pool_events import PoolPayload
from trunkline_router.protomap import enum_name, fill, from_timestamp, read, timestamp

CONVERSATIONS, OUTBOUND = "trunkline.conversations.v1", "trunkline.outbound.v1"
_SNAPSHOT = TypeAdapter(Pool)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_PAYLOADS = {_snake(cls.__name__): cls for cls in (*get_args(ConversationPayload), *get_args(PoolPayload))}
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
    if event.HasField("hand_over"):
        wire_handover.check(event)
    if {pool.partition("/")[0] for pool in (event.pool, event.from_pool) if pool} != {event.tenant}:
        raise InvalidMessage("POOL_OF_ANOTHER_TENANT", "pool must begin with the tenant")
    return event


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def to_input(
    event: InboundEvent, customer: CustomerLookup, due: DuePreview = NO_PREVIEW
) -> ReceiveMessage | RecordReceipt | TakeOver:
    """What the engine is asked. A message that was sent on has the id it came in with."""
    if event.HasField("hand_over"):
        return wire_handover.to_take_over(event)
    event_id = event.original_event_id or event.event_id
    if event.HasField("receipt"):
        receipt = event.receipt
        status = DeliveryStatus(enum_name(receipt, "status"))
        return RecordReceipt(event_id, event.conversation_id, receipt.message_id, status, receipt.error)
    message = event.message
    return ReceiveMessage(
        event_id=event_id,
        conversation_id=event.conversation_id,
        channel=event.channel,
        account=event.account,
        contact=read(Contact, message.contact),
        content=read(Content, message.content),
        provider_message_id=event.provider_message_id,
        provider_time=event.provider_time.ToDatetime(tzinfo=UTC) if event.HasField("provider_time") else None,
        automatic=message.automatic,
        reply_address=message.reply_address,
        references=tuple(message.references),
        customer=customer,
        language=message.language,
        tags=tuple(message.tags),
        attributes=tuple(sorted(message.attributes.items())),
        priority=message.priority,
        due=due,
    )


# -- the pool log


def to_conversation_event(event: Event, pool: str, epoch: int, recorded_at: datetime) -> ConversationEvent:
    """An event of a conversation as it is published."""
    made = ConversationEvent(
        event_id=id_of(pool, event.pool_seq),
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


def to_pool_event(event: Event, pool: str, epoch: int, recorded_at: datetime) -> PoolEvent:
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


def from_pool_event(data: bytes) -> Event:
    """A stored event."""
    stored = PoolEvent.FromString(data)
    name = stored.WhichOneof("payload")
    envelope = stored.conversation if name == "conversation" else stored
    kind = envelope.WhichOneof("payload")
    conversation = stored.conversation if name == "conversation" else ConversationEvent()
    return Event(
        pool_seq=stored.pool_seq,
        conversation_id=conversation.conversation_id,
        seq=conversation.seq,
        occurred_at=from_timestamp(stored.occurred_at),
        cause=envelope.cause,
        actor=read(Actor, envelope.actor),
        config_version=envelope.config_version,
        payload=read(_PAYLOADS[kind or ""], getattr(envelope, kind or "")),
    )


def dump_pool(pool: Pool) -> bytes:
    """A snapshot, compressed: it is written whole, in the transaction of a batch."""
    return zlib.compress(_SNAPSHOT.dump_json(pool, exclude_defaults=True), 1)


def load_pool(data: bytes) -> Pool:
    """A pool from its snapshot."""
    return _SNAPSHOT.validate_json(zlib.decompress(data))


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
        automatic=sent.HasField("automatic"),
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
