"""What can be asked of a pool: facts from outside, commands, time. Everything a decision uses is in here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_router.events import (
    Actor,
    Contact,
    Content,
    CustomerLookup,
    DeliveryStatus,
    PoolConfigured,
    Presence,
)


@dataclass(frozen=True, slots=True)
class ReceiveMessage:
    """A customer wrote. `customer` is the timeline's answer where the conversation is new."""

    event_id: str
    conversation_id: str
    channel: str
    account: str
    contact: Contact
    content: Content
    provider_message_id: str
    provider_time: datetime | None
    automatic: bool
    reply_address: str
    references: tuple[str, ...]
    customer: CustomerLookup


@dataclass(frozen=True, slots=True)
class RecordReceipt:
    """A provider tells what became of a message we sent."""

    event_id: str
    conversation_id: str
    message_id: str
    status: DeliveryStatus
    error: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Put a configuration in force."""

    configuration: PoolConfigured


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: end what is due."""


@dataclass(frozen=True, slots=True)
class SetPresence:
    agent_id: str
    presence: Presence


@dataclass(frozen=True, slots=True)
class AcceptOffer:
    conversation_id: str
    offer_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class DeclineOffer:
    conversation_id: str
    offer_id: str
    agent_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SendReply:
    conversation_id: str
    agent_id: str
    message_id: str
    content: Content


@dataclass(frozen=True, slots=True)
class AddNote:
    conversation_id: str
    agent_id: str
    note_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Transfer:
    conversation_id: str
    agent_id: str
    to_team: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolve:
    conversation_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class Reopen:
    conversation_id: str
    agent_id: str


Command = SetPresence | AcceptOffer | DeclineOffer | SendReply | AddNote | Transfer | Resolve | Reopen
Body = ReceiveMessage | RecordReceipt | Configure | Tick | Command


@dataclass(frozen=True, slots=True)
class Input:
    """A body with who asks and why. `supervising` lets the actor act on conversations of others."""

    body: Body
    cause: str
    actor: Actor
    supervising: bool = False
