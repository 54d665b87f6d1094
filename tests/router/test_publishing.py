"""What goes from pool to pool, as records of the inbound topic."""

from __future__ import annotations

from typing import Any

import pytest
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_READ, DeliveryReceipt, InboundEvent
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing, Record
from trunkline_router import wire, wire_handover
from trunkline_router.events import Event
from trunkline_router.facts import CustomerLookup
from trunkline_router.handed import ConversationHandedOver, Place, Sighting, TakeOver
from trunkline_router.handover import seen_elsewhere
from trunkline_router.inputs import Configure, Merge, ReceiveMessage, RecordReceipt, Resolve, Tick
from trunkline_router.publishing import records_of, sent_on
from trunkline_router.requests import unknown_places
from trunkline_router.state import Engine

from tests import kit
from tests.router.given import DESK, Step, after, at, message, offer_id
from tests.router.test_handover import ASSIGNED, AWAY, FAR, FAR_CONFIG, MOVED
from tests.router.test_leaving import GONE

C1, C2 = kit.new_id(), kit.new_id()


def renamed(steps: tuple[Step, ...]) -> tuple[Engine, list[Event]]:
    """The state after steps, its conversations named as on the topic."""
    return after(*(Step(s.seconds, _named(s.body), s.supervising) for s in steps))


def _named(body: Any) -> Any:
    text = repr(getattr(body, "conversation_id", ""))
    names = {"'c1'": C1, "'c2'": C2}
    if text not in names:
        return body
    found = {f: getattr(body, f) for f in body.__dataclass_fields__} | {"conversation_id": names[text]}
    if "offer_id" in found:
        found["offer_id"] = offer_id(C1, 4)
    if "into" in found:
        found["into"] = C1
    return type(body)(**found)


def read(record: Outgoing) -> InboundEvent:
    """As the owner of a partition reads it."""
    return wire.parse_inbound(Record(record.topic, 0, 0, record.key, record.value, record.headers, 0))


def handed() -> tuple[Engine, InboundEvent]:
    """The pool that gave c1 away, and the record that brings it to the other."""
    engine, events = renamed(MOVED)
    [last] = [e for e in events if isinstance(e.payload, ConversationHandedOver)]
    published = wire.to_conversation_event(last, engine.pool.id, 1, at(5))
    records = records_of(engine, published, "")
    assert [r.topic for r in records] == [wire.CONVERSATIONS, wire_handover.INBOUND]
    assert (records[1].key or b"").decode() == FAR
    return engine, read(records[1])


def test_the_record_brings_all_that_the_other_engine_is_asked() -> None:
    """Who transferred it, too; its id is the same however often it is made."""
    engine, event = handed()
    _, events = renamed(MOVED)
    [gone] = [e.payload for e in events if isinstance(e.payload, ConversationHandedOver)]
    asked = TakeOver(C1, "acme/default", "far", "", at(5), gone.state)
    assert wire.to_input(event, CustomerLookup()) == asked
    assert wire_handover.actor_of(event) == DESK
    assert event.event_id == handed()[1].event_id
    assert engine.pool.conversations[C1].seq == gone.state.seq


def test_what_arrives_where_it_was_follows_it() -> None:
    """With the id it came in with, so that the log names the same message; and once more with another of its own."""
    engine, _ = handed()
    said = kit.inbound("acme", C1, "and now?")
    onward = sent_on(engine, said, at(6), "")
    assert onward is not None
    event = read(onward)
    assert (event.pool, event.from_pool, event.original_event_id) == (FAR, "acme/default", said.event_id)
    assert event.event_id != said.event_id
    asked = wire.to_input(event, CustomerLookup())
    assert isinstance(asked, ReceiveMessage)
    assert (asked.event_id, asked.content.text) == (said.event_id, "and now?")


def test_receipts_follow_their_conversation_and_messages_the_one_it_was_merged_into() -> None:
    """What is said in a conversation that was merged is said in its survivor, wherever that is."""
    merged = Step(3, Merge("c2", "ana", "c1"), supervising=True)
    engine, _ = renamed((*ASSIGNED, Step(2, message("c2")), merged, Step(5, AWAY)))
    said, told = kit.inbound("acme", C2, "hello?"), kit.inbound("acme", C1, "")
    told.receipt.CopyFrom(DeliveryReceipt(message_id="m", status=DELIVERY_STATUS_READ))
    asked = []
    for event in (said, told):
        onward = sent_on(engine, event, at(6), "")
        assert onward is not None
        asked.append(wire.to_input(read(onward), CustomerLookup()))
    assert [(type(a), a.conversation_id) for a in asked] == [(ReceiveMessage, C1), (RecordReceipt, C1)]
    told.conversation_id = C2
    assert sent_on(engine, told, at(6), "") is None


def test_what_comes_to_a_pool_that_is_not_goes_back() -> None:
    """The conversation and what follows it; what came from outside is refused there, and so is what came back."""
    engine, event = handed()
    onward = sent_on(None, event, at(6), "")
    assert onward is not None
    back = read(onward)
    assert (back.pool, back.from_pool, back.hand_over.team) == ("acme/default", FAR, "")
    assert back.hand_over.state == event.hand_over.state
    assert back.event_id != event.event_id
    said = sent_on(engine, kit.inbound("acme", C1, "and now?"), at(6), "")
    assert said is not None
    again = sent_on(None, read(said), at(6), "")
    assert again is not None
    assert read(again).pool == "acme/default"
    assert sent_on(None, back, at(6), "") is None
    assert sent_on(None, kit.inbound("acme", C1, "hello"), at(6), "") is None


def test_what_is_new_here_goes_where_the_log_says_that_it_is() -> None:
    """A document may have given the account to this pool since; what is known here is decided here."""
    engine, _ = after(Step(0, Configure(FAR_CONFIG)))
    said, told = kit.inbound("acme", C1, "hello"), kit.inbound("acme", C1, "")
    told.receipt.CopyFrom(DeliveryReceipt(message_id="m", status=DELIVERY_STATUS_READ))
    seen = seen_elsewhere(C1, FAR, [Sighting("acme/other", 3, FAR), Sighting("acme/default", 7)])
    for event in (said, told):
        onward = sent_on(engine, event, at(6), "", seen)
        assert onward is not None
        assert (read(onward).pool, read(onward).original_event_id) == ("acme/default", event.event_id)
    assert sent_on(engine, said, at(6), "") is None
    here, _ = renamed(ASSIGNED)
    assert sent_on(here, said, at(6), "", seen) is None


@pytest.mark.parametrize(
    ("sightings", "place"),
    [
        ([], None),
        ([Sighting(FAR, 4)], None),
        ([Sighting("acme/a", 4)], Place(C1, "acme/a", 4)),
        ([Sighting("acme/a", 4, "acme/b"), Sighting("acme/b", 9)], Place(C1, "acme/b", 9)),
        ([Sighting("acme/a", 4, "acme/b")], Place(C1, "acme/b", 4)),
        ([Sighting("acme/a", 4, FAR)], Place(C1, "acme/a", 4)),
    ],
    ids=["nowhere", "here", "there", "taken over", "on its way there", "on its way here"],
)
def test_where_a_conversation_is_by_what_the_pools_know(sightings: list[Sighting], place: Place | None) -> None:
    """By the last event; what is on its way here is asked for where it comes from, behind the hand-over."""
    assert seen_elsewhere(C1, FAR, sightings) == place


def test_nothing_begins_in_a_pool_that_was_dropped() -> None:
    """It begins in the pool of its account; what has ended here is decided here, and a hand-over is passed on."""
    engine, _ = renamed((*ASSIGNED, Step(3, Resolve("c1", "ana")), Step(4, Configure(GONE))))
    onward = sent_on(engine, kit.inbound("acme", C2, "hello"), at(6), "")
    assert onward is not None
    assert read(onward).pool == FAR
    assert sent_on(engine, kit.inbound("acme", C1, "hello"), at(6), "") is None
    _, event = handed()
    assert sent_on(engine, event, at(6), "") is None


def test_nobody_transferred_what_left_a_pool_that_was_dropped() -> None:
    """So that it keeps its place."""
    engine, events = renamed((*ASSIGNED, Step(3, Configure(GONE)), Step(4, Tick())))
    [last] = [e for e in events if isinstance(e.payload, ConversationHandedOver)]
    event = read(records_of(engine, wire.to_conversation_event(last, engine.pool.id, 1, at(5)), "")[1])
    asked = wire.to_input(event, CustomerLookup())
    assert isinstance(asked, TakeOver)
    assert asked.removed
    _, transferred = handed()
    assert not wire_handover.to_take_over(transferred).removed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"from_pool": ""}, "MISSING_FIELD"),
        ({"from_pool": "other/default"}, "POOL_OF_ANOTHER_TENANT"),
        ({"received_time": None}, "MISSING_FIELD"),
        ({"state": None}, "MISSING_FIELD"),
    ],
    ids=str,
)
def test_a_hand_over_that_says_too_little_is_refused(change: dict[str, Any], reason: str) -> None:
    """Nobody could go on from it."""
    _, event = handed()
    for name, value in change.items():
        holder: Any = event.hand_over if name == "state" else event
        holder.ClearField(name)
        if value:
            setattr(holder, name, value)
    record = Record(wire_handover.INBOUND, 0, 0, b"", event.SerializeToString(), {}, 0)
    with pytest.raises(InvalidMessage) as refused:
        wire.parse_inbound(record)
    assert refused.value.reason == reason


def test_only_what_comes_for_a_name_that_is_not_known_asks_for_a_newer_configuration() -> None:
    """A team that became this pool's; not the account of another pool."""
    engine, event = handed()
    pool = after(Step(0, Configure(FAR_CONFIG)))[0].pool
    onward = sent_on(engine, kit.inbound("acme", C1, "and now?"), at(6), "")
    assert onward is not None
    assert not unknown_places(event, pool)
    assert not unknown_places(read(onward), pool)
    event.hand_over.team = "brand new"
    assert unknown_places(event, pool)
    assert unknown_places(kit.inbound("acme", C1, "hello"), pool)
