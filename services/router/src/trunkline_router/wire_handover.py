"""What goes from pool to pool, as records of the inbound topic and back."""

from __future__ import annotations

from datetime import datetime

from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import HandOver, InboundEvent
from trunkline_common import cloudevents
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing

from trunkline_router.facts import Actor, ActorType
from trunkline_router.handed import ConversationState, Place, TakeOver
from trunkline_router.handover import forwarded_id, hand_over_id
from trunkline_router.protomap import from_timestamp, read

INBOUND = "trunkline.inbound.v1"


def check(event: InboundEvent) -> None:
    """What a hand-over must say. Raises InvalidMessage."""
    if not event.from_pool:
        raise InvalidMessage("MISSING_FIELD", "from_pool")
    if not (event.hand_over.HasField("state") and event.HasField("received_time")):
        raise InvalidMessage("MISSING_FIELD", "hand_over.state and received_time")


def to_take_over(event: InboundEvent) -> TakeOver:
    """What the engine is asked."""
    handed = event.hand_over
    at, state = from_timestamp(event.received_time), read(ConversationState, handed.state)
    removed = actor_of(event).type is ActorType.SYSTEM
    return TakeOver(event.conversation_id, event.from_pool, handed.team, handed.agent_id, at, state, removed)


def actor_of(event: InboundEvent) -> Actor:
    """Who transferred it."""
    return read(Actor, event.hand_over.actor)


def hand_over_record(published: ConversationEvent, traceparent: str) -> Outgoing:
    """The record that brings a conversation to its new pool."""
    handed = published.conversation_handed_over
    state = handed.state
    made = InboundEvent(
        event_id=hand_over_id(published.conversation_id, state.seq, handed.to_pool),
        tenant=published.tenant,
        pool=handed.to_pool,
        from_pool=published.pool,
        channel=state.channel,
        account=state.account,
        conversation_id=published.conversation_id,
        received_time=published.occurred_at,
        hand_over=HandOver(team=handed.team, agent_id=handed.agent_id, actor=published.actor, state=state),
    )
    return _record(made, from_timestamp(published.occurred_at), traceparent)


def forwarded_record(event: InboundEvent, place: Place, now: datetime, traceparent: str) -> Outgoing:
    """The record that follows a conversation to the pool that has it now."""
    made = _onward(event, place.pool, forwarded_id(event.event_id, place))
    made.conversation_id = place.conversation_id
    return _record(made, now, traceparent)


def returned_record(event: InboundEvent, now: datetime, traceparent: str) -> Outgoing:
    """Back to the pool it came from, as there is nobody here."""
    made = _onward(event, event.from_pool, hand_over_id(event.event_id, 0, event.from_pool))
    if made.HasField("hand_over"):
        made.hand_over.team = made.hand_over.agent_id = ""
    return _record(made, now, traceparent)


def _onward(event: InboundEvent, to_pool: str, event_id: str) -> InboundEvent:
    made = InboundEvent()
    made.CopyFrom(event)
    made.event_id, made.pool, made.from_pool = event_id, to_pool, event.pool
    made.original_event_id = event.original_event_id or event.event_id
    return made


def _record(made: InboundEvent, at: datetime, traceparent: str) -> Outgoing:
    headers = cloudevents.headers(
        event_id=made.event_id,
        message=InboundEvent.DESCRIPTOR.full_name,
        source="router",
        subject=made.conversation_id,
        time=at,
        tenant=made.tenant,
        traceparent=traceparent,
    )
    return Outgoing(INBOUND, made.pool.encode(), made.SerializeToString(), headers)
