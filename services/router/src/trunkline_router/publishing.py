"""What a pool's owner tells others: what happened, what is to be sent, and what another pool is to decide about."""

from __future__ import annotations

from datetime import datetime

from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common import telemetry
from trunkline_common.kafka import Outgoing

from trunkline_router import handover, wire, wire_handover
from trunkline_router.state import Engine


def records_of(engine: Engine, published: ConversationEvent, traceparent: str) -> list[Outgoing]:
    """The records of one event of a conversation. What leads on to others comes last: see outbox.Relay."""
    found = [wire.conversation_record(published, traceparent)]
    if published.HasField("message_sent"):
        conversation = engine.pool.conversations[published.conversation_id]
        found.append(wire.outbound_record(published, conversation, traceparent))
    if published.HasField("conversation_handed_over"):
        telemetry.count("trunkline.handovers", 1)
        found.append(wire_handover.hand_over_record(published, traceparent))
    return found


def sent_on(engine: Engine | None, event: InboundEvent, now: datetime, traceparent: str) -> Outgoing | None:
    """What comes for a conversation that another pool has follows it; what came to a pool that is not goes back.

    None: it is decided about here.
    """
    if engine is None or not engine.pool.teams:
        nobody = event.from_pool and (event.hand_over.team or not event.HasField("hand_over"))
        return wire_handover.returned_record(event, now, traceparent) if nobody else None
    if event.HasField("hand_over"):
        return None
    elsewhere = handover.whereabouts(engine.pool, event.conversation_id, merged=event.HasField("message"))
    if elsewhere is None:
        return None
    telemetry.count("trunkline.handover.forwarded", 1)
    return wire_handover.forwarded_record(event, elsewhere, now, traceparent)
