"""Records of the log in, facts out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from trunkline.common.v1.common_pb2 import ACTOR_TYPE_BOT, Actor
from trunkline.config.v1.config_pb2 import SlaPolicy, TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, SlaEvent
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_sla import wire
from trunkline_sla.clocks import Step
from trunkline_sla.model import Conversation, Kind, Policy, SlaFact

from tests.sla.talk import SYSTEM, Talk

POLICIES = [Policy("p", "", 100, 100)]


def parse(event: ConversationEvent | bytes | None) -> object:
    """The kind of an event, read from its bytes."""
    value = event.SerializeToString() if isinstance(event, ConversationEvent) else event
    return wire.parse(Record("log", 0, 0, b"c", value, {}, 0, "tp")).kind


BOT = Actor(type=ACTOR_TYPE_BOT, id="bot")


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (Talk("acme").writes(), Kind.WROTE),
        (Talk("acme").writes(automatic=True), Kind.OTHER),
        (Talk("acme").replies("ben"), Kind.REPLIED),
        (Talk("acme").add(BOT, message_sent={}), Kind.OTHER),
        (Talk("acme").add(SYSTEM, message_sent={}), Kind.OTHER),
        (Talk("acme").add(SYSTEM, note_added={}), Kind.OTHER),
        (Talk("acme").queued("x"), Kind.QUEUED),
        (Talk("acme").add(SYSTEM, conversation_resolved={}), Kind.OTHER),
        (Talk("acme").add(SYSTEM, delivery_updated={}), Kind.OTHER),
        (Talk("acme").add(SYSTEM), Kind.OTHER),
    ],
)
def test_only_people_start_and_end_clocks(talk: Talk, kind: Kind) -> None:
    """Auto-replies start nothing; bots, notes and resolution end nothing."""
    assert parse(talk.events[0]) == kind


@pytest.mark.parametrize("name", ["event_id", "tenant", "conversation_id", "seq", "occurred_at"])
def test_events_without_what_orders_them_are_refused(name: str) -> None:
    """An event must say whose it is, which one and when."""
    event = Talk("acme").writes().events[0]
    event.ClearField(name)  # type: ignore[arg-type] # one of the fields above
    with pytest.raises(InvalidMessage, match=name):
        parse(event)


@pytest.mark.parametrize("seconds", [10**15, 230_000_000_000])
def test_times_a_target_cannot_be_added_to_are_refused(seconds: int) -> None:
    """They would stop the partition later."""
    event = Talk("acme").writes().events[0]
    event.occurred_at.seconds = seconds
    with pytest.raises(InvalidMessage, match="occurred_at"):
        parse(event)


@pytest.mark.parametrize("value", [b"\xff\xff", b"", None])
def test_bytes_that_are_no_event_are_refused(value: bytes | None) -> None:
    """Also nothing at all."""
    with pytest.raises(InvalidMessage):
        parse(value)


def test_policies_keep_their_order_and_default_warnings() -> None:
    """75 % and 90 % where a policy names none; what is no share of the target is left out."""
    config = TenantConfig(
        sla_policies=[
            SlaPolicy(id="a", team="x", first_response_s=5),
            SlaPolicy(id="b", next_response_s=6, warnings_percent=[50, 20, 100, 0]),
        ]
    )
    assert wire.policies(config) == (Policy("a", "x", 5, 0, (75, 90)), Policy("b", "", 0, 6, (20, 50)))


def facts() -> list[SlaFact]:
    """A clock that starts, warns, breaks and is fulfilled late."""
    at = datetime(2025, 3, 1, tzinfo=UTC)
    talk = Talk("acme", conversation_id="c", at=at).begin().later(130).replies("ben")
    step = Step(Conversation("acme", "c"))
    for n, event in enumerate(talk.events):
        if n == 3:
            for seconds in (80, 95, 110):
                step.look(at + timedelta(seconds=seconds))
        record = Record("log", 0, n, b"c", event.SerializeToString(), {}, 0)
        step.see(wire.parse(record), POLICIES)
    return step.facts


def test_facts_on_the_wire() -> None:
    """Timers carry the threshold's instant and how late they were; what a record caused names it."""
    now = datetime(2025, 3, 1, 0, 2, 10, 500_000, tzinfo=UTC)
    messages = [wire.to_message(fact, now, "tp") for fact in facts()]
    events = [SlaEvent.FromString(m.value or b"") for m in messages]
    assert [e.WhichOneof("payload") for e in events] == ["clock_started", "warning", "warning", "breached", "fulfilled"]
    assert [e.late_ms for e in events] == [0, 55_500, 40_500, 30_500, 0]
    assert [bool(e.cause) for e in events] == [True, False, False, False, True]
    assert [e.warning.percent for e in events[1:3]] == [75, 90]
    assert (events[4].fulfilled.met, events[4].fulfilled.elapsed_s, events[4].fulfilled.overdue_s) == (False, 130, 30)
    assert {e.metric for e in events} == {METRIC_FIRST_RESPONSE}
    assert [e.gen for e in events] == [1, 1, 1, 1, 2]
    assert {m.key for m in messages} == {b"c"}
    assert [m.headers["ce_id"].decode() for m in messages] == [e.event_id for e in events]


def test_event_ids_are_the_same_for_the_same_fact_and_no_other() -> None:
    """However often it is found (9.5)."""
    ids = [wire.event_id(f) for f in facts()]
    assert ids == [wire.event_id(f) for f in facts()]
    assert len(set(ids)) == len(ids)
