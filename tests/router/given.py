"""A pool to ask things of: given inputs, when one more, then events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

from trunkline_router.engine import OFFERS, SYSTEM, handle
from trunkline_router.events import ConversationQueued, ConversationStarted, Event, MessageReceived, OfferMade, Payload
from trunkline_router.facts import Actor, ActorType, Contact, Content, CustomerLookup, QueueReason
from trunkline_router.inputs import Body, Configure, Input, ReceiveMessage, RecordReceipt, Tick
from trunkline_router.pool import Pool
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import AgentConfig, TeamConfig
from trunkline_router.state import Engine

POOL = "acme/default"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CUSTOMER, DESK = Actor(ActorType.CUSTOMER), Actor(ActorType.AGENT, "desk")
CONTACT = Contact("contact-1", "Sample Customer")
BILLING, RETURNS = TeamConfig("billing", 20), TeamConfig("returns", 30)
ANA = AgentConfig("ana", "Ana", ("billing",), 1)
BEN = AgentConfig("ben", "Ben", ("billing", "returns"), 2)


def at(seconds: float) -> datetime:
    """An instant, by seconds from the start."""
    return START + timedelta(seconds=seconds)


def configured(
    version: int = 1,
    teams: Sequence[TeamConfig] = (BILLING, RETURNS),
    agents: Sequence[AgentConfig] = (ANA, BEN),
    account: str = "billing",
) -> PoolConfigured:
    """A configuration; what comes to the account "app" is the given team's."""
    return PoolConfigured(version, tuple(teams), tuple(agents), (("app", account),))


def message(conversation: str, text: str = "hello") -> ReceiveMessage:
    """A customer wrote."""
    return ReceiveMessage(
        event_id=f"event-{conversation}-{text}",
        conversation_id=conversation,
        channel="app",
        account="app",
        contact=CONTACT,
        content=Content(text, "Parcel"),
        provider_message_id="p1",
        provider_time=START,
        automatic=False,
        reply_address="",
        references=(),
        customer=CustomerLookup("customer-1"),
    )


def received(conversation: str, text: str = "hello") -> MessageReceived:
    """What `message` leads to in any case."""
    m = message(conversation, text)
    return MessageReceived(m.event_id, CONTACT, m.content, "p1", START, False, "", ())


def waits(team: str, reason: QueueReason, entered_at: datetime, **more: Any) -> ConversationQueued:
    """It waits, of normal priority."""
    return ConversationQueued(team, reason, entered_at, boost_s=300, **more)


def started(conversation: str, seconds: float, team: str = "billing") -> list[tuple[str, Payload]]:
    """What the first message of a conversation leads to."""
    begun = ConversationStarted("app", "app", CONTACT, "Parcel", CustomerLookup("customer-1"))
    queued = waits(team, QueueReason.NEW, at(seconds))
    return [(conversation, p) for p in (begun, received(conversation), queued)]


def offer_id(conversation: str, seq: int) -> str:
    """The id of the offer that is the conversation's event of that seq."""
    return str(uuid5(OFFERS, f"{conversation}/{seq}"))


def offer(conversation: str, seq: int, agent: str, until: float) -> tuple[str, Payload]:
    """An offer with its conversation."""
    return conversation, OfferMade(offer_id(conversation, seq), agent, at(until))


@dataclass(frozen=True)
class Step:
    """An input at an instant, by an agent or by somebody who may act on conversations of others."""

    seconds: float
    body: Body
    supervising: bool = False


def ask(engine: Engine, step: Step) -> list[Event]:
    """Let the engine handle a step."""
    actor = DESK
    if isinstance(step.body, ReceiveMessage | RecordReceipt):
        actor = CUSTOMER
    elif isinstance(step.body, Configure | Tick):
        actor = SYSTEM
    return handle(engine, Input(step.body, "cause", actor, step.supervising), at(step.seconds))


def after(*steps: Step) -> tuple[Engine, list[Event]]:
    """A pool in which all that has happened, and what followed."""
    engine, log = Engine(Pool(POOL)), list[Event]()
    for step in steps:
        log += ask(engine, step)
    return engine, log
