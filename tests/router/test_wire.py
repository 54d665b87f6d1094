"""Bytes to the domain and back: nothing is lost on the way, and what is wrong is refused by name."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from google.protobuf.message import Message
from trunkline.common.v1.routing_pb2 import TextKind
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.pool_event_pb2 import PoolEvent
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_router import wire, wire_api, wire_config
from trunkline_router.events import ConversationPayload, Event
from trunkline_router.facts import Actor, ActorType, Attributes, Contact, CustomerLookup, DeliveryStatus, Presence
from trunkline_router.inputs import AcceptOffer, Configure, RecordReceipt, SetPresence
from trunkline_router.pool import Agent, Hold, Offer, Status
from trunkline_router.pool_events import AgentStoppedResponding, PoolPayload
from trunkline_router.routing import AgentConfig, PolicyConfig, StepConfig, TeamConfig

from tests.contract.examples import FOLDER, newest
from tests.router.given import POOL, START, Step, after, at, configured, message, offer_id


def snake(name: str) -> str:
    """A payload's field name."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")


CONVERSATION_KINDS = {snake(cls.__name__): cls for cls in get_args(ConversationPayload)}
POOL_KINDS = {snake(cls.__name__): cls for cls in get_args(PoolPayload)}
KINDS = {**CONVERSATION_KINDS, **POOL_KINDS}
EVERY = [(name, age) for name in KINDS for age in ("oldest", "newest")]


def example(kind: type[Message], name: str) -> Any:
    """A published message, with every field set."""
    return kind.FromString((FOLDER / f"{name}.binpb").read_bytes())


def stored(name: str, age: str = "newest") -> PoolEvent:
    """A pool log entry with the payload of that name, as it was first written or as it is now."""
    if name in POOL_KINDS:
        name = f"pool_event_{name}"
        return example(PoolEvent, newest(name) if age == "newest" else name)  # type: ignore[no-any-return]
    conversation = example(ConversationEvent, newest(name) if age == "newest" else name)
    return PoolEvent(pool_seq=conversation.pool_seq, occurred_at=conversation.occurred_at, conversation=conversation)


@pytest.mark.parametrize(("name", "age"), EVERY)
def test_every_published_event_survives_the_log(name: str, age: str) -> None:
    """The published examples, also from before a field was added: to the domain, to bytes, and back."""
    event = wire.from_pool_event(stored(name, age).SerializeToString())
    assert type(event.payload) is KINDS[name]
    again = wire.to_pool_event(event, POOL, epoch=2, recorded_at=at(20.25))
    assert wire.from_pool_event(again.SerializeToString()) == event


@pytest.mark.parametrize("name", CONVERSATION_KINDS)
def test_what_is_published_is_the_contracts_example_again(name: str) -> None:
    """No field of the contract is forgotten by the domain: only the id is made anew."""
    entry = stored(name)
    published, event = entry.conversation, wire.from_pool_event(entry.SerializeToString())
    recorded_at = published.recorded_at.ToDatetime(tzinfo=UTC)
    made = wire.to_conversation_event(event, "acme/default", published.owner_epoch, recorded_at)
    made.event_id = published.event_id
    assert made == published


@pytest.mark.parametrize("name", KINDS)
def test_the_domain_has_every_field_of_its_message(name: str) -> None:
    """A field that is added to the contract is added here, or this says so."""
    entry = stored(name)
    envelope: Any = entry.conversation if name in CONVERSATION_KINDS else entry
    cls = KINDS[name]
    assert is_dataclass(cls)
    assert {field.name for field in fields(cls)} == set(getattr(envelope, name).DESCRIPTOR.fields_by_name)


def test_an_event_id_is_the_same_however_often_it_is_published() -> None:
    """Made of the pool and the place in its log."""
    event = wire.from_pool_event(stored("offer_made").SerializeToString())
    first, second = (wire.to_conversation_event(event, POOL, epoch, at(epoch)) for epoch in (1, 2))
    assert first.event_id == second.event_id
    assert first.event_id != wire.to_conversation_event(event, "globex/default", 1, at(1)).event_id
    assert first.event_id != wire.to_conversation_event(replace(event, pool_seq=18), POOL, 1, at(1)).event_id


def test_a_snapshot_gives_the_pool_back() -> None:
    """Whatever has happened in it."""
    engine, _ = after(
        Step(0, Configure(configured())),
        *(Step(0, SetPresence(a, Presence.ONLINE)) for a in ("ana", "ben")),
        *(Step(1, message(c)) for c in ("c1", "c2", "c3", "c4")),
        Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")),
    )
    assert wire.load_pool(wire.dump_pool(engine.pool)) == engine.pool


# -- inbound


def inbound(**changed: object) -> Record:
    """An inbound record, changed."""
    event = example(InboundEvent, "inbound_message")
    for name, value in changed.items():
        setattr(event, name, value)
    return record(event.SerializeToString())


def record(value: bytes | None) -> Record:
    """A record with that value."""
    return Record("trunkline.inbound.v1", 0, 0, b"k", value, {}, 0)


def test_an_inbound_message_becomes_an_input_with_everything_in_it() -> None:
    """No field is dropped between the topic and the decision."""
    event = wire.parse_inbound(record(example(InboundEvent, newest("inbound_message")).SerializeToString()))
    lookup = CustomerLookup("customer-1")
    asked: Any = wire.to_input(event, lookup)
    assert asked.customer is lookup
    assert asked.contact == Contact("+15550100", "Sample Customer")
    assert asked.content.text == "Where is my parcel?"
    assert [a.name for a in asked.content.attachments] == ["label.png"]
    assert (asked.automatic, asked.reply_address) == (True, "reply@customer.example")
    assert asked.references == ("<1@mail.example>", "<2@mail.example>")
    assert asked.provider_time == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert (asked.language, asked.tags, asked.priority) == ("de", ("vip",), "urgent")
    assert asked.attributes == (("order", "A-1001"),)


def test_a_message_without_a_providers_time_has_none() -> None:
    """Not the beginning of the epoch."""
    event = example(InboundEvent, "inbound_message")
    event.ClearField("provider_time")
    asked: Any = wire.to_input(event, CustomerLookup())
    assert asked.provider_time is None


def test_a_receipt_becomes_an_input() -> None:
    """With its status by name."""
    event = wire.parse_inbound(record(example(InboundEvent, "inbound_receipt").SerializeToString()))
    asked = wire.to_input(event, CustomerLookup())
    assert isinstance(asked, RecordReceipt)
    assert (asked.status, asked.error) == (DeliveryStatus.FAILED, "30003: unreachable")


def without_payload() -> Record:
    """Neither message nor receipt."""
    event = example(InboundEvent, "inbound_message")
    event.ClearField("message")
    return record(event.SerializeToString())


def with_status(status: int) -> Record:
    """A receipt of that status."""
    event = example(InboundEvent, "inbound_receipt")
    event.receipt.status = status
    return record(event.SerializeToString())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(b"\xff\xff"), "NOT_AN_INBOUND_EVENT"),
        (record(None), "MISSING_FIELD"),
        (inbound(event_id=""), "MISSING_FIELD"),
        (inbound(tenant=""), "MISSING_FIELD"),
        (inbound(pool=""), "MISSING_FIELD"),
        (inbound(conversation_id=""), "MISSING_FIELD"),
        (inbound(event_id="42"), "NOT_A_UUID"),
        (inbound(conversation_id="conversation"), "NOT_A_UUID"),
        (inbound(pool="globex/default"), "POOL_OF_ANOTHER_TENANT"),
        (inbound(pool="acmex/default"), "POOL_OF_ANOTHER_TENANT"),
        (without_payload(), "MISSING_FIELD"),
        (with_status(0), "MISSING_FIELD"),
        (with_status(99), "MISSING_FIELD"),
    ],
)
def test_a_record_that_is_not_an_inbound_event_is_refused_by_name(bad: Record, reason: str) -> None:
    """It goes to the dead letters with this reason."""
    with pytest.raises(InvalidMessage) as refused:
        wire.parse_inbound(bad)
    assert refused.value.reason == reason


# -- records


def test_a_conversation_record_is_keyed_and_named_for_consumers() -> None:
    """Key, id, type, subject and trace are in the headers; the value is the event."""
    event = example(ConversationEvent, "message_received")
    made = wire.conversation_record(event, "00-aa-bb-01")
    assert (made.topic, made.key) == ("trunkline.conversations.v1", event.conversation_id.encode())
    assert ConversationEvent.FromString(made.value or b"") == event
    facts = {
        name: made.headers[name].decode() for name in ("ce_id", "ce_type", "ce_subject", "ce_tenant", "traceparent")
    }
    assert facts == {
        "ce_id": event.event_id,
        "ce_type": "trunkline.conversations.v1.MessageReceived",
        "ce_subject": event.conversation_id,
        "ce_tenant": "acme",
        "traceparent": "00-aa-bb-01",
    }


def test_no_header_holds_what_a_customer_is_or_wrote() -> None:
    """P10: keys and headers are seen by everyone who runs the broker."""
    for name in CONVERSATION_KINDS:
        made = wire.conversation_record(example(ConversationEvent, newest(name)), "")
        outside = b"".join([made.key or b"", *made.headers.values()])
        assert b"+1555" not in outside
        assert b"parcel" not in outside.lower()


def test_an_outbound_message_goes_to_the_reply_address_under_the_conversations_subject() -> None:
    """Where the customer asked to be answered; with the chain that the mail belongs to."""
    sent = example(ConversationEvent, "message_sent")
    sent.message_sent.content.subject = ""
    engine, _ = after(Step(0, Configure(configured())), Step(1, message("c1")))
    conversation = engine.pool.conversations["c1"]
    conversation.reply_address, conversation.references = "reply@customer.example", ("<1@mail.example>",)
    made = wire.outbound_record(sent, conversation, "")
    found = OutboundMessage.FromString(made.value or b"")
    assert made.key == b"acme/sms/support-number"
    assert made.headers["ce_id"].decode() == found.message_id == sent.message_sent.message_id
    assert (found.to.address, found.content.subject) == ("reply@customer.example", "Parcel")
    assert (list(found.references), found.pool) == (["<1@mail.example>"], sent.pool)
    sent.message_sent.automatic = TextKind.Value("TEXT_KIND_CLOSING")
    conversation.reply_address = ""
    again = OutboundMessage.FromString(wire.outbound_record(sent, conversation, "").value or b"")
    assert again.to.address == "contact-1"
    assert (found.automatic, again.automatic) == (False, True)


# -- configuration and answers


def test_a_pool_gets_its_part_of_a_configuration() -> None:
    """Teams of the pool, agents with one of them, accounts of them."""
    config = TenantConfig(tenant="acme", version=4)
    for pool, team in (("default", "billing"), ("sales", "deals")):
        config.pools.add(id=pool)
        config.teams.add(id=team, pool=pool, offer_timeout_s=20)
        config.agents.add(id=f"agent-{team}", name=team, teams=[team], capacity=2)
        config.accounts.add(id=f"account-{team}", channel="sms", team=team)
    found = wire_config.to_pool_configured(config, "acme/sales")
    assert (found.version, found.teams) == (4, (TeamConfig("deals", 20),))
    assert found.agents == (AgentConfig("agent-deals", "deals", ("deals",), 2),)
    assert found.accounts == (("account-deals", "deals"),)
    assert wire_config.pools_of(config) == ["acme/default", "acme/sales"]


def test_a_policy_is_for_the_pool_of_its_steps() -> None:
    """An engine is told of no team that it does not have."""
    config = TenantConfig(tenant="acme", version=1)
    for pool, team in (("default", "billing"), ("sales", "deals")):
        config.teams.add(id=team, pool=pool, offer_timeout_s=20)
        config.policies.add(id=f"to-{team}").steps.add(team=team)
    found = wire_config.to_pool_configured(config, "acme/sales")
    assert found.policies == (PolicyConfig("to-deals", steps=(StepConfig("deals"),)),)
    assert wire_config.to_pool_configured(TenantConfig(tenant="acme"), "acme/sales").policies == ()


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_name_for_callers(status: Status) -> None:
    """The API's enum and the domain's are the same."""
    engine, _ = after(Step(0, Configure(configured())), Step(1, message("c1")))
    conversation = engine.pool.conversations["c1"]
    conversation.status = status
    made = wire_api.to_api_conversation(conversation, POOL)
    assert api.ConversationStatus.Name(made.status) == f"CONVERSATION_STATUS_{status}"
    assert {f"CONVERSATION_STATUS_{s}" for s in Status} == set(api.ConversationStatus.keys()[1:])


def test_a_conversation_is_shown_with_all_its_offers() -> None:
    """Where several agents are asked at once; and with what is known of it."""
    engine, _ = after(Step(0, Configure(configured())), Step(1, message("c1")))
    conversation = engine.pool.conversations["c1"]
    conversation.offers = {"o1": Offer("ana", at(20)), "o2": Offer("ben", at(20))}
    conversation.attributes, conversation.wakes_at = Attributes(tags=("vip",), allowed_agents=("ana",)), at(60)
    made = wire_api.to_api_conversation(conversation, POOL)
    assert [(o.offer_id, o.agent_id) for o in made.offers] == [("o1", "ana"), ("o2", "ben")]
    assert (made.offer_id, made.offered_agent_id) == ("o1", "ana")
    assert made.offers[0].expires_at.ToDatetime(tzinfo=UTC) == at(20)
    assert (list(made.attributes.tags), list(made.attributes.allowed_agents)) == (["vip"], ["ana"])
    assert (made.attributes.priority, made.wakes_at.ToDatetime(tzinfo=UTC)) == ("normal", at(60))


def test_an_agent_is_shown_with_its_load() -> None:
    """Units of what is assigned and offered."""
    config = AgentConfig("ana", "Ana", ("billing",), 4, skills=(("de", 3),), bot=True)
    holds = {c: Hold(units, "", interruptible=False) for c, units in (("c1", 1), ("c2", 2))}
    agent = Agent(config, Presence.AWAY, accepting=False, holds=holds)
    agent.last_assigned_at = START
    made = wire_api.to_api_agent(agent)
    assert (made.agent_id, made.load, made.capacity, list(made.teams)) == ("ana", 3, 4, ["billing"])
    assert (api.Presence.Name(made.presence), made.last_assigned_at.seconds) == ("PRESENCE_AWAY", START.timestamp())
    assert (made.accepting, dict(made.skills), made.bot) == (False, {"de": 3}, True)


def test_a_pool_event_that_concerns_no_conversation_has_no_seq() -> None:
    """Presence and configuration are the pool's."""
    event = Event(3, "", 0, START, "cause", Actor(ActorType.AGENT, "ana"), 1, AgentStoppedResponding("ana"))
    assert wire.from_pool_event(wire.to_pool_event(event, POOL, 1, START).SerializeToString()) == event
