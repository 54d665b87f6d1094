"""Facts to records: the inbound event under the pool's key, and dead letters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1.common_pb2 import Attachment, Contact, Content
from trunkline.inbound.v1 import inbound_event_pb2 as pb
from trunkline_common import cloudevents
from trunkline_common.kafka import Outgoing

from trunkline_ingest import ids, labels, model
from trunkline_ingest.channels.adapter import Arrival
from trunkline_ingest.text import clean, clean_field, cut

INBOUND = "trunkline.inbound.v1"
DEAD_LETTERS = "trunkline.inbound.dlq.v1"
# Together they keep a record under the broker's 1 MiB.
MAX_ATTACHMENTS = 50
MAX_REFERENCES = 100
MAX_DEAD_LETTER = 512 * 1024
MAX_ATTRIBUTE = 4 * labels.MAX_VALUE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = -62135596800, 253402300799  # what a protobuf Timestamp may hold: years 1 to 9999

STATUSES = {
    "sent": pb.DELIVERY_STATUS_SENT,
    "delivered": pb.DELIVERY_STATUS_DELIVERED,
    "read": pb.DELIVERY_STATUS_READ,
    "failed": pb.DELIVERY_STATUS_FAILED,
}


def to_event(fact: model.Message | model.Receipt, arrival: Arrival) -> pb.InboundEvent:
    """The inbound event of a fact, every string of it safe to store."""
    tenant, channel, account = arrival.tenant, arrival.account.channel, arrival.account.id
    provider_message_id = clean_field(fact.provider_message_id)
    if isinstance(fact, model.Message):
        kind, message, receipt = "message", _message(fact), None
        pool = arrival.pool
        conversation_id = ids.conversation_id(tenant, channel, account, fact.thread_key)
    else:
        kind, message, receipt = f"receipt.{fact.status}", None, _receipt(fact)
        # The pool that wrote the message, not the one the account has today.
        pool, conversation_id = fact.callback.pool, fact.callback.conversation_id
    return pb.InboundEvent(  # at once: assigned one by one, the fields cost twice as much
        event_id=ids.event_id(tenant, channel, account, provider_message_id, kind),
        tenant=tenant,
        pool=pool,
        channel=channel,
        account=account,
        conversation_id=conversation_id,
        provider_message_id=provider_message_id,
        provider_time=_timestamp(fact.provider_time),
        received_time=_timestamp(arrival.received),
        message=message,
        receipt=receipt,
    )


def _message(message: model.Message) -> pb.CustomerMessage:
    made = pb.CustomerMessage(
        contact=Contact(address=clean_field(message.address), display_name=clean_field(message.display_name)),
        content=_content(message),
        automatic=message.automatic,
        reply_address=clean_field(message.reply_address),
        references=_references(message.references),
    )
    if message.labels is not labels.NONE:
        _label(made, message.labels)
    return made


def _label(made: pb.CustomerMessage, known: labels.Labels) -> None:
    made.language, made.priority = labels.language(known.language), known.priority
    made.tags.extend(clean_field(one) for one in known.tags)
    made.attributes.update({clean_field(name): clean(value, MAX_ATTRIBUTE) for name, value in known.attributes})


def _content(message: model.Message) -> Content:
    return Content(
        text=clean(message.text),
        subject=clean_field(message.subject),
        attachments=[_attachment(one) for one in message.attachments[:MAX_ATTACHMENTS]],
    )


def _attachment(found: model.Attachment) -> Attachment:
    return Attachment(
        ref=clean_field(found.ref),
        content_type=clean_field(found.content_type),
        name=clean_field(found.name),
        size_bytes=found.size_bytes,
        sha256=clean_field(found.sha256),
    )


def _references(chain: Sequence[str]) -> list[str]:
    """The root, which names the thread, and the newest."""
    kept = chain if len(chain) <= MAX_REFERENCES else [chain[0], *chain[1 - MAX_REFERENCES :]]
    return [clean_field(one) for one in kept]


def _receipt(receipt: model.Receipt) -> pb.DeliveryReceipt:
    return pb.DeliveryReceipt(
        message_id=clean_field(receipt.callback.message_id),
        status=STATUSES[receipt.status],
        error=clean_field(receipt.error),
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    """None where a provider claims something that is no time."""
    if moment is None:
        return None
    since = moment - EPOCH
    seconds = since.days * 86_400 + since.seconds
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        return None
    return Timestamp(seconds=seconds, nanos=since.microseconds * 1000)


def record(event: pb.InboundEvent, traceparent: str) -> Outgoing:
    """The record of an inbound event."""
    headers = cloudevents.headers(
        event_id=event.event_id,
        message=pb.InboundEvent.DESCRIPTOR.full_name,
        source="ingest",
        subject=event.conversation_id,
        time=event.received_time.ToDatetime(UTC),
        tenant=event.tenant,
        traceparent=traceparent,
    )
    return Outgoing(INBOUND, event.pool.encode(), event.SerializeToString(), headers)


def dead_letter(unknown: model.Unknown, arrival: Arrival, traceparent: str) -> Outgoing:
    """What was not understood, as it came (at most 512 KiB of it), with the reason and whose it is."""
    facts = {
        "ce_id": hashlib.sha256(unknown.raw).hexdigest(),
        "dlq.reason": unknown.reason,
        "dlq.detail": cut(clean_field(unknown.detail), 1024),
        "dlq.group": "ingest",
        "dlq.tenant": arrival.tenant,
        "dlq.channel": arrival.account.channel,
        "dlq.account": arrival.account.id,
        "dlq.received": arrival.received.isoformat().replace("+00:00", "Z"),
        "dlq.size": str(len(unknown.raw)),
    }
    if traceparent:
        facts[cloudevents.TRACEPARENT] = traceparent
    headers = {name: value.encode() for name, value in facts.items()}
    return Outgoing(DEAD_LETTERS, arrival.pool.encode(), unknown.raw[:MAX_DEAD_LETTER], headers)
