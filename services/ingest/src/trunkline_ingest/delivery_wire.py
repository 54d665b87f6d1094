"""Delivery's records: an OutboundMessage in, a receipt out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import DecodeError
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline_common import cloudevents
from trunkline_common.errors import InvalidMessage
from trunkline_common.faultpoints import sabotaged
from trunkline_common.kafka import Outgoing, Record

from trunkline_ingest import wire
from trunkline_ingest.channels.adapter import Arrival
from trunkline_ingest.delivery_store import Finished, New
from trunkline_ingest.delivery_typing import Typing
from trunkline_ingest.model import Callback, Receipt

T = TypeVar("T", OutboundMessage, TypingIndicator)

NEEDED = ("message_id", "tenant", "conversation_id", "channel", "account", "pool")
TYPING, TYPING_NEEDED = "trunkline.outbound.v1.TypingIndicator", ("tenant", "channel", "account")


def parse(record: Record) -> New | Typing:
    """What is in an outbound record. Raises InvalidMessage."""
    if cloudevents.text(record.headers, "ce_type") == TYPING:
        return Typing(_decoded(TypingIndicator, record, TYPING_NEEDED), record.traceparent)
    message = _decoded(OutboundMessage, record, NEEDED)
    account = f"{message.tenant}/{message.channel}/{message.account}"
    if sabotaged("no_dedupe"):
        message.message_id += f"#{record.offset}"
    return New(message.message_id, record.offset, account, message.SerializeToString(), record.traceparent)


def _decoded(kind: type[T], record: Record, needed: Sequence[str]) -> T:
    try:
        found = kind.FromString(record.value or b"")
    except DecodeError:
        raise InvalidMessage("BAD_PROTOBUF", f"not an {kind.__name__}") from None
    missing = [name for name in needed if not getattr(found, name)]
    if missing:
        raise InvalidMessage("MISSING_FIELD", f"missing: {', '.join(missing)}")
    return found


def receipt(finished: Finished, now: datetime) -> Outgoing:
    """What became of a message, for the pool that wrote it.

    Its id is made of the provider's message id, so that the provider's own "sent" is the same fact.
    """
    message = finished.message
    fact = Receipt(
        provider_message_id=finished.provider_message_id or message.message_id,
        status="failed" if finished.error else "sent",
        callback=Callback(message.message_id, message.conversation_id, message.pool),
        error=finished.error,
    )
    account = ChannelAccount(id=message.account, channel=message.channel)
    return wire.record(wire.to_event(fact, Arrival(message.tenant, message.pool, account, now)), finished.traceparent)
