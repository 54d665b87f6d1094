from __future__ import annotations

import pytest
from trunkline.conversations.v1.conversation_event_pb2 import (
    ConversationAssigned,
    ConversationEvent,
    ConversationHandedOver,
    ConversationResolved,
    ConversationStarted,
    ConversationTakenOver,
    ConversationTransferred,
    OfferMade,
)
from trunkline.insights.v1.queue_pb2 import QueuePartial, QueueSnapshot
from trunkline_common.errors import InvalidMessage
from trunkline_insights import wire
from trunkline_insights.queues import Assigned, Figures, Left, Move, Partial, Queue, Snapshot, Waits

from tests.insights.events import T0, at, event, queued, stamp

QUEUE = Queue("acme", "billing")


@pytest.mark.parametrize(
    ("value", "move"),
    [
        (event("c", 1, ConversationStarted(channel="mail")), None),
        (event("c", 2, queued("billing", at(-5))), Waits(QUEUE, at(-5))),
        (event("c", 3, OfferMade(offer_id="o")), None),
        (event("c", 4, ConversationAssigned(team="billing")), Assigned(QUEUE)),
        (event("c", 5, ConversationTransferred(to_team="billing"), time=at(7)), Waits(QUEUE, at(7))),
        (event("c", 6, ConversationHandedOver(to_pool="acme/far", team="billing")), None),
        (event("c", 7, ConversationTakenOver(from_pool="acme/near", team="billing")), None),
        (event("c", 8, ConversationResolved(team="billing")), Left()),
    ],
)
def test_what_an_event_moves(value: bytes, move: Move | None) -> None:
    assert wire.parse_step(value).move == move


def test_an_event_of_an_unknown_kind_moves_nothing() -> None:
    known = ConversationEvent(tenant="acme", conversation_id="c", seq=1, occurred_at=stamp(T0)).SerializeToString()
    unknown = known + b"\x9a\x3f\x00"  # field 1011, length 0
    assert wire.parse_step(unknown).move is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "FIELD_MISSING"),
        (b"\xff\xff", "CANNOT_DECODE"),
        (event("c", 0, ConversationResolved()), "FIELD_MISSING"),
        (event("", 1, ConversationResolved()), "FIELD_MISSING"),
        (event("c", 1, ConversationAssigned()), "FIELD_MISSING"),
        (event("c", 1, ConversationResolved(), tenant=""), "FIELD_MISSING"),
    ],
)
def test_what_cannot_be_processed_is_refused_with_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        wire.parse_step(value)
    assert refused.value.reason == reason


def test_a_time_outside_the_calendar_is_refused() -> None:
    late = ConversationEvent(tenant="acme", conversation_id="c", seq=1, occurred_at=stamp(T0))
    late.conversation_queued.team = "billing"
    late.conversation_queued.entered_at.seconds = 2**60
    with pytest.raises(InvalidMessage, match="TIME_OUT_OF_RANGE"):
        wire.parse_step(late.SerializeToString())


@pytest.mark.parametrize("oldest", [None, at(-3)])
def test_a_share_comes_back_as_it_went(oldest: object) -> None:
    figures = Figures(2, 1, at(-3) if oldest else None)
    partial = Partial(QUEUE, 7, figures, T0)
    record = wire.partial_to_record(partial)
    assert (record.topic, record.key) == ("trunkline.insights.partials.v1", b"acme/billing")
    assert wire.parse_partial(record.value) == partial
    assert QueuePartial.FromString(record.value or b"").HasField("oldest_entered_at") is bool(oldest)


def test_a_snapshot_comes_back_as_it_went_and_says_until_when_it_counts() -> None:
    snapshot = Snapshot(QUEUE, Figures(2, 1, at(-3)), T0)
    record = wire.snapshot_to_record(snapshot)
    assert (record.topic, record.key) == ("trunkline.insights.v1", b"acme/billing")
    assert wire.parse_snapshot(record.value or b"") == snapshot
    assert QueueSnapshot.FromString(record.value or b"").valid_until == stamp(at(30))


def test_records_carry_cloudevents_headers_and_the_same_fact_the_same_id() -> None:
    snapshot = Snapshot(QUEUE, Figures(2, 1, None), T0)
    first, again = wire.snapshot_to_record(snapshot).headers, wire.snapshot_to_record(snapshot).headers
    assert first["ce_type"] == b"trunkline.insights.v1.QueueSnapshot"
    assert first["ce_tenant"] == b"acme"
    assert first["ce_id"] == again["ce_id"]
