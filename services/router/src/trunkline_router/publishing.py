"""What a pool's owner tells others: what happened, what is to be sent, and what another pool is to decide about."""

from __future__ import annotations

from datetime import datetime

from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common import telemetry
from trunkline_common.kafka import Outgoing

from trunkline_router import handover, leaving, wire, wire_handover
from trunkline_router.handed import Place
from trunkline_router.pool import Pool
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


def decides(engine: Engine | None) -> bool:
    """Whether there is a pool: one with a configuration, also one that the newest has dropped."""
    return engine is not None and (bool(engine.pool.teams) or engine.pool.dropped)


def sent_on(
    engine: Engine | None, event: InboundEvent, now: datetime, traceparent: str, seen: Place | None = None
) -> Outgoing | None:
    """What comes for a conversation that another pool has follows it; what came to a pool that is not goes back.

    `seen`: where one is that is new here. None: it is decided about here.
    """
    if engine is None or not decides(engine):
        nobody = event.from_pool and (event.hand_over.team or not event.HasField("hand_over"))
        return wire_handover.returned_record(event, now, traceparent) if nobody else None
    place = None if event.HasField("hand_over") else _place(engine.pool, event, seen)
    if place is None:
        return None
    telemetry.count("trunkline.handover.forwarded", 1)
    return wire_handover.forwarded_record(event, place, now, traceparent)


def _place(pool: Pool, event: InboundEvent, seen: Place | None) -> Place | None:
    """Where it is decided about; None: here."""
    gone = handover.whereabouts(pool, event.conversation_id, merged=event.HasField("message"))
    if gone is not None:
        return handover.place_of(gone)
    if event.conversation_id in pool.conversations:
        return None
    if seen is None and pool.dropped and event.HasField("message"):  # nothing begins here any more
        return Place(event.conversation_id, leaving.destination(pool, event.account)[0], 0)
    return seen
