"""Records of the log in, facts out."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from trunkline.common.v1.common_pb2 import ACTOR_TYPE_BOT, ACTOR_TYPE_SERVICE, Actor
from trunkline.common.v1.routing_pb2 import TEXT_KIND_ACKNOWLEDGEMENT, TEXT_KIND_CLOSING
from trunkline.config.v1.config_pb2 import BusinessCalendar, SlaPolicy, SlaRule, SlaStates, Team, TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_FAILED, DELIVERY_STATUS_READ
from trunkline.sla.v1.sla_event_pb2 import METRIC_RESOLUTION, SlaEvent
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_sla import wire, wire_facts
from trunkline_sla.evaluation_facts import FactKind, fact_key, retraction_key
from trunkline_sla.evaluation_model import Hours, Metric, Policy, Reopen, Rule
from trunkline_sla.journal import Entry, Known, What
from trunkline_sla.processor import published_before
from trunkline_sla.promises import Offer, Situation
from trunkline_sla.store import ClockRow
from trunkline_sla.wire import About, Announced
from trunkline_sla.wire_config import Expanded, to_promises
from trunkline_sla.wire_log import parse

from tests.sla.live import MONDAY, Live, begun, talk
from tests.sla.talk import SYSTEM, Talk, agent

BOT = Actor(type=ACTOR_TYPE_BOT, id="bot")
#: A program that sends what an agent wrote.
DESK = Actor(type=ACTOR_TYPE_SERVICE, id="desk")


def told(event: ConversationEvent | bytes | None) -> Entry:
    """What a record tells the clocks."""
    value = event.SerializeToString() if isinstance(event, ConversationEvent) else event
    return parse(Record("log", 0, 0, b"c", value, {}, 0, "tp")).entry


def saying(actor: Actor = SYSTEM, **payload: Any) -> Entry:
    """What one event tells them, whose and when apart."""
    return told(Talk("acme").add(actor, **payload).events[0])


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (saying(message_received={}), What.WROTE),
        (saying(message_received={"automatic": True}), What.OTHER),
        (saying(agent("ben"), message_sent={}), What.REPLIED),
        (saying(DESK, message_sent={"agent_id": "ben"}), What.REPLIED),
        (saying(agent("ben"), message_sent={"bot": True}), What.BOT),
        (saying(BOT, message_sent={}), What.BOT),
        (saying(message_sent={}), What.OTHER),
        (saying(message_sent={"automatic": TEXT_KIND_ACKNOWLEDGEMENT}), What.OTHER),
        (saying(message_sent={"automatic": TEXT_KIND_CLOSING}), What.BOT),
        (saying(agent("ben"), note_added={}), What.OTHER),
        (saying(delivery_updated={"status": DELIVERY_STATUS_FAILED}), What.UNDELIVERED),
        (saying(delivery_updated={"status": DELIVERY_STATUS_READ}), What.OTHER),
        (saying(conversation_resolved={}), What.RESOLVED),
        (saying(conversation_merged={"into": "x"}), What.MERGED),
        (saying(offer_made={}), What.OTHER),
        (saying(), What.OTHER),
    ],
)
def test_only_people_start_and_end_clocks(entry: Entry, what: What) -> None:
    """Machines' messages start nothing; acknowledgements, notes and receipts end nothing (7.5, 7.6)."""
    assert entry.what is what


@pytest.mark.parametrize(
    ("payload", "state"),
    [
        ({"conversation_snoozed": {}}, "pending"),
        ({"conversation_woken": {}}, "open"),
        ({"conversation_reopened": {}}, "open"),
        ({"callback_scheduled": {}}, "callback"),
        ({"conversation_rejected": {}}, "rejected"),
    ],
)
def test_states_have_names_that_policies_refer_to(payload: dict[str, Any], state: str) -> None:
    """Snoozed is pending with a wake-up (7.16)."""
    assert (saying(**payload).what, saying(**payload).state) == (What.STATE, state)


def test_what_a_policy_is_chosen_by_is_read() -> None:
    """Team, channel, priority, tags and attributes, from wherever the log says them."""
    attributes = {"values": {"lang": "de"}, "tags": ["vip", "b2b"], "priority": "high"}
    started = saying(conversation_started={"channel": "sms", "attributes": attributes})
    assert (started.channel, started.known) == ("sms", Known("high", ("b2b", "vip"), {"lang": "de"}))
    assert saying(attributes_changed={"attributes": {}}).known == Known("normal", (), {})
    assert saying(conversation_queued={"team": "a"}).team == "a"
    assert saying(conversation_assigned={"team": "b"}).team == "b"
    assert saying(conversation_transferred={"to_team": "c"}).team == "c"


def test_a_nul_is_replaced_wherever_it_is_kept() -> None:
    """PostgreSQL has no JSON with it: an older router took it from whoever set a tag."""
    attributes = {"values": {"or\0der": "7\0"}, "tags": ["a\0b"], "priority": "hi\0gh"}
    cleaned = Known("hi\ufffdgh", ("a\ufffdb",), {"or\ufffdder": "7\ufffd"})
    assert saying(conversation_started={"attributes": attributes}).known == cleaned
    assert saying(attributes_changed={"attributes": attributes}).known == cleaned
    assert saying(conversation_resolved={"waived_reason": "sp\0am"}).reason == "sp\ufffdam"
    assert saying(message_received={"message_id": "m\0"}).message_id == "m\ufffd"
    assert saying(agent("ben"), message_sent={"message_id": "m\0"}).message_id == "m\ufffd"


def test_parts_and_mergers_bring_their_times() -> None:
    """Since when the customer waits, and when the one that ended had begun (7.11)."""
    then = datetime(2026, 1, 5, tzinfo=UTC)
    split = saying(conversation_started={"split_from": "x", "unanswered_since": wire_facts.timestamp(then)})
    assert (split.outbound, split.unanswered_since) == (True, then)
    absorbed = saying(conversation_absorbed={"started_at": wire_facts.timestamp(then)})
    assert (absorbed.started_at, absorbed.unanswered_since) == (then, None)
    assert saying(conversation_split={"unanswered_moved": True}).unanswered_moved
    assert saying(conversation_resolved={"waived_reason": "spam"}).reason == "spam"
    assert saying(agent("ben"), message_sent={"answers_through_seq": 4}).answers_through == 4


@pytest.mark.parametrize("name", ["event_id", "tenant", "conversation_id", "seq", "occurred_at"])
def test_events_without_what_orders_them_are_refused(name: str) -> None:
    """An event must say whose it is, which one and when."""
    event = Talk("acme").writes().events[0]
    event.ClearField(name)  # type: ignore[arg-type] # one of the fields above
    with pytest.raises(InvalidMessage, match=name):
        told(event)


@pytest.mark.parametrize("seconds", [10**15, 230_000_000_000])
def test_times_a_target_cannot_be_added_to_are_refused(seconds: int) -> None:
    """They would stop the partition later."""
    event = Talk("acme").writes().events[0]
    event.occurred_at.seconds = seconds
    with pytest.raises(InvalidMessage, match="occurred_at"):
        told(event)


@pytest.mark.parametrize("value", [b"\xff\xff", b"", None])
def test_bytes_that_are_no_event_are_refused(value: bytes | None) -> None:
    """Also nothing at all."""
    with pytest.raises(InvalidMessage):
        told(value)


def test_a_policy_is_read_whole() -> None:
    """With everything that it may say."""
    rule = SlaRule(
        metric="resolution", target_s=60, pause_on=SlaStates(names=["pending"]), stop_on=SlaStates(), reopen="restart"
    )
    found = SlaPolicy(
        id="p", team="a", channels=["sms"], priorities=["high"], tags=["vip"], attributes={"k": "v"}, calendar="office",
        rules=[rule, SlaRule(metric="next_response", target_s=9, counts_first_message=True, always=True)],
        warnings_percent=[50, 20, 100, 0], warnings_remaining_s=[3, 5], repeat_s=7, max_repeats=0, last_word=False,
        bot_reply_counts=True, automation_counts=True,
    )  # fmt: skip
    [offer] = to_promises(TenantConfig(sla_policies=[found]), Expanded(MONDAY)).offers
    metrics = {
        Metric.RESOLUTION: Rule(60, frozenset({"pending"}), frozenset(), Reopen.RESTART),
        Metric.NEXT_RESPONSE: Rule(9, counts_first_message=True, hours=Hours.ALWAYS),
    }
    policy = Policy(metrics, False, None, True, (20, 50), (5, 3), True, 7, 0)
    fits = frozenset({"sms"}), frozenset({"high"}), frozenset({"vip"}), (("k", "v"),)
    assert offer == Offer("p", policy, "a", *fits, "office")


def test_what_a_policy_leaves_out_has_its_default() -> None:
    """75 % and 90 %, last word on, eight repetitions; the two shorthand fields of old versions count every second."""
    short = SlaPolicy(id="p", first_response_s=5)
    [offer] = to_promises(TenantConfig(sla_policies=[short]), Expanded(MONDAY)).offers
    assert offer.policy == Policy({Metric.FIRST_RESPONSE: Rule(5, hours=Hours.ALWAYS)})
    quiet = SlaPolicy(id="p", no_warnings=True)
    assert not to_promises(TenantConfig(sla_policies=[quiet]), Expanded(MONDAY)).offers[0].policy.warnings_percent


def test_the_calendar_is_the_policy_s_else_the_team_s_else_the_tenant_s() -> None:
    """sla 7.13; one that the configuration does not have has no answer, which is announced as a fault."""
    names = ["mine", "team", "tenant"]
    document = '{"tz":"UTC","weekly":{"mon":[["09:00","17:00"]]}}'
    config = TenantConfig(
        sla_policies=[SlaPolicy(id="p", team="a", calendar="mine"), SlaPolicy(id="q")],
        teams=[Team(id="a", calendar="team"), Team(id="b", calendar="team"), Team(id="d", calendar="gone")],
        calendars=[BusinessCalendar(id=name, document=document) for name in names],
        calendar="tenant",
    )
    promises = to_promises(config, Expanded(MONDAY))
    assert [promises.of(Situation(team)).calendar_id for team in "abcd"] == ["mine", "team", "tenant", "gone"]
    with pytest.raises(Exception, match="no calendar gone"):
        promises.of(Situation("d")).business.add(MONDAY, 1)


def announced(live: Live, now: datetime) -> list[SlaEvent]:
    """The facts of a conversation as records."""
    about = About("t", "c", "support", "app", "tp")
    messages = [wire.to_message(Announced(about, fact, now, 9 if fact.cause else 0), "tp") for fact in live.facts]
    assert {m.key for m in messages} == {b"c"}
    events = [SlaEvent.FromString(m.value or b"") for m in messages]
    assert [m.headers["ce_id"].decode() for m in messages] == [e.event_id for e in events]
    return events


def test_facts_on_the_wire() -> None:
    """Timers carry the threshold's instant and how late they were; what a record caused names it and its seq."""
    live = talk()
    now = MONDAY + timedelta(hours=9)
    live.look(now)
    events = announced(live, now)
    timers = {e for e, fact in zip(map(id, events), live.facts, strict=True) if fact.kind in wire.OF_TIMERS}
    for event in events:
        late = now - event.occurred_at.ToDatetime(tzinfo=UTC)
        assert event.late_ms == (late // timedelta(milliseconds=1) if id(event) in timers else 0)
        assert (bool(event.cause), event.cause_seq) == ((False, 0) if id(event) in timers else (True, 9))
        assert event.WhichOneof("payload")
    assert {fact.kind for fact in live.facts} > {FactKind.WARNING, FactKind.BREACHED, FactKind.PAUSED, FactKind.RESUMED}
    assert METRIC_RESOLUTION in {e.metric for e in events}


def test_event_ids_are_the_same_for_the_same_fact_and_no_other() -> None:
    """However often it is found (9.5)."""
    ids = [e.event_id for e in announced(talk(), MONDAY)]
    assert ids == [e.event_id for e in announced(talk(), MONDAY + timedelta(days=1))]
    assert len(set(ids)) == len(ids) > len(begun())


@given(st.text(), st.integers(1))
def test_ids_are_those_of_the_standard(text: str, cycle: int) -> None:
    """Version 5, so that whoever has the parts has the id."""
    clock = uuid.uuid5(wire_facts.CLOCKS, f"t/{text}/{Metric.RESOLUTION}/{cycle}")
    assert wire_facts.clock_id("t", text, Metric.RESOLUTION, cycle) == str(clock)
    assert wire_facts.event_id(str(clock), text) == str(uuid.uuid5(clock, text))


@given(st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the zone comes beside it
def test_an_instant_on_the_wire_is_protobuf_s(at: datetime) -> None:
    """To the microsecond, before 1970 too."""
    expected = Timestamp()
    expected.FromDatetime(at)
    assert wire_facts.timestamp(at) == expected


def test_what_is_done_without_a_deadline_is_neither_met_nor_missed() -> None:
    """Its calendar had no answer (10.5)."""
    live = talk()
    done = next(fact for fact in live.facts if fact.kind is FactKind.FULFILLED)
    about = About("t", "c", "support", "app", "tp")
    event = wire.to_event(Announced(about, replace(done, met=None), MONDAY))
    assert (event.WhichOneof("payload"), event.cancelled.reason) == ("cancelled", "config_fault")


def test_a_breach_taken_back_is_known_after_the_log_is_read_again() -> None:
    """From what was published: the next breach of the cycle must have an id that nobody has seen (9.5, 12.5)."""
    live = talk()
    clock = live.clocks()[Metric.RESOLUTION, 1]
    row = ClockRow(About("t", "c", "support", "app", "tp"), clock)
    ids = [wire_facts.event_id(row.id, retraction_key(clock, n)) for n in range(2)]
    assert published_before(row, None) is row
    assert published_before(row, {ids[1]}) is row
    assert [published_before(row, set(ids[:n])).clock.retracted for n in (1, 2)] == [1, 2]
    taken_back = replace(live.facts[0], kind=FactKind.BREACH_RETRACTED, metric=Metric.RESOLUTION, cycle=1, retracted=1)
    assert wire_facts.event_id(row.id, fact_key(taken_back)) == ids[1]
