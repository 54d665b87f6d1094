"""Events of the conversations log, as the router would write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.conversations.v1.conversation_event_pb2 import (
    ConversationAssigned,
    ConversationEvent,
    ConversationHandedOver,
    ConversationQueued,
    ConversationResolved,
    ConversationStarted,
    ConversationTakenOver,
    ConversationTransferred,
    OfferMade,
)

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
TENANT = "acme"

Payload = (
    ConversationStarted
    | ConversationQueued
    | OfferMade
    | ConversationAssigned
    | ConversationTransferred
    | ConversationResolved
    | ConversationHandedOver
    | ConversationTakenOver
)
NAMES = {
    ConversationStarted: "conversation_started",
    ConversationQueued: "conversation_queued",
    OfferMade: "offer_made",
    ConversationAssigned: "conversation_assigned",
    ConversationTransferred: "conversation_transferred",
    ConversationResolved: "conversation_resolved",
    ConversationHandedOver: "conversation_handed_over",
    ConversationTakenOver: "conversation_taken_over",
}


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def event(conversation: str, seq: int, payload: Payload, *, time: datetime = T0, tenant: str = TENANT) -> bytes:
    made = ConversationEvent(
        event_id=f"{conversation}-{seq}",
        tenant=tenant,
        conversation_id=conversation,
        seq=seq,
        occurred_at=stamp(time),
    )
    getattr(made, NAMES[type(payload)]).CopyFrom(payload)
    return made.SerializeToString()


def queued(team: str, time: datetime) -> ConversationQueued:
    return ConversationQueued(team=team, entered_at=stamp(time))
