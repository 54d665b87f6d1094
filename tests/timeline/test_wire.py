"""Records of the log, good and bad."""

from __future__ import annotations

from typing import Any

import pytest
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_timeline import wire
from trunkline_timeline.history import STATUS

from tests.sla.talk import SYSTEM, Talk


def record(value: bytes | None) -> Record:
    """A record as read."""
    return Record("trunkline.conversations.v1", 0, 0, b"c", value, {}, 0)


def good() -> ConversationEvent:
    """An event that parses."""
    return Talk("acme", conversation_id="c").begin().events[0]


def test_every_payload_of_the_contract_is_read() -> None:
    """What is added to the union has an entry here."""
    names = {field.name for field in ConversationEvent.DESCRIPTOR.oneofs_by_name["payload"].fields}
    assert names - {"conversation_reopened", "attributes_changed", "exclusions_cleared"} == set(wire.READ)
    assert set(STATUS) <= names
    for name in names:
        event = Talk("acme").add(SYSTEM, **{name: {}}).events[0]
        assert wire.parse(record(event.SerializeToString())).kind == name


def test_an_event_of_a_newer_router_is_kept() -> None:
    """Its payload is unknown, its place in the order is not."""
    event = good()
    event.ClearField("conversation_started")
    assert wire.parse(record(event.SerializeToString())).kind == wire.UNKNOWN


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": ""}, "FIELD_MISSING"),
        ({"tenant": ""}, "FIELD_MISSING"),
        ({"conversation_id": ""}, "FIELD_MISSING"),
        ({"conversation_id": "a\0b"}, "FIELD_INVALID"),
        ({"seq": 0}, "FIELD_MISSING"),
        ({"seq": -1}, "FIELD_MISSING"),
    ],
)
def test_events_without_what_orders_them_are_refused(change: dict[str, Any], reason: str) -> None:
    """Each with its reason."""
    event = good()
    for name, value in change.items():
        setattr(event, name, value)
    with pytest.raises(InvalidMessage) as refused:
        wire.parse(record(event.SerializeToString()))
    assert refused.value.reason == reason


@pytest.mark.parametrize("seconds", [None, 10**15])
def test_events_without_a_time_are_refused(seconds: int | None) -> None:
    """Absent, or beyond the calendar."""
    event = good()
    event.ClearField("occurred_at")
    if seconds is not None:
        event.occurred_at.seconds = seconds
    with pytest.raises(InvalidMessage):
        wire.parse(record(event.SerializeToString()))


@pytest.mark.parametrize("value", [b"\xff\xff", b"", None])
def test_bytes_that_are_no_event_are_refused(value: bytes | None) -> None:
    """Also nothing at all."""
    with pytest.raises(InvalidMessage):
        wire.parse(record(value))


def test_a_nul_in_a_text_does_not_stop_the_partition() -> None:
    """PostgreSQL cannot hold it; it becomes the replacement character."""
    parsed = wire.parse(record(Talk("acme").writes("a\0b").events[0].SerializeToString()))
    assert parsed.content is not None
    assert parsed.content.text == "a\ufffdb"
