"""What can happen in a pool. These types are the storage format of the pool log: change them with care.

Each is the payload of one log entry and bears the name of its protobuf message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ActorType(StrEnum):
    """Kinds of actors."""

    CUSTOMER = "CUSTOMER"
    AGENT = "AGENT"
    BOT = "BOT"
    SYSTEM = "SYSTEM"
    SERVICE = "SERVICE"


class Presence(StrEnum):
    """What an agent is ready for."""

    ONLINE = "ONLINE"
    AWAY = "AWAY"
    OFFLINE = "OFFLINE"


class QueueReason(StrEnum):
    """Why a conversation waits."""

    NEW = "NEW"
    REOPENED = "REOPENED"
    TRANSFERRED = "TRANSFERRED"
    OFFER_ENDED = "OFFER_ENDED"
    AGENT_LOST = "AGENT_LOST"
    TEAM_REMOVED = "TEAM_REMOVED"


class RescindReason(StrEnum):
    """Why an offer was taken back."""

    AGENT_OFFLINE = "AGENT_OFFLINE"
    RESOLVED = "RESOLVED"
    TRANSFERRED = "TRANSFERRED"
    AGENT_REMOVED = "AGENT_REMOVED"


class ReopenReason(StrEnum):
    """Why a resolved conversation is open again."""

    CUSTOMER_MESSAGE = "CUSTOMER_MESSAGE"
    AGENT = "AGENT"


class DeliveryStatus(StrEnum):
    """What became of a message we sent."""

    SENT = "SENT"
    DELIVERED = "DELIVERED"
    READ = "READ"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    type: ActorType
    id: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person as the channel knows them."""

    address: str
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    ref: str
    content_type: str = ""
    name: str = ""
    size_bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says."""

    text: str = ""
    subject: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomerLookup:
    """What the timeline knew, or why it did not answer."""

    customer_id: str = ""
    last_agent_id: str = ""
    earlier_conversations: int = 0
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class ConversationStarted:
    channel: str
    account: str
    contact: Contact
    subject: str
    customer: CustomerLookup


@dataclass(frozen=True, slots=True)
class MessageReceived:
    message_id: str
    contact: Contact
    content: Content
    provider_message_id: str
    provider_time: datetime | None
    automatic: bool
    reply_address: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageSent:
    message_id: str
    agent_id: str
    content: Content
    channel: str
    account: str


@dataclass(frozen=True, slots=True)
class NoteAdded:
    note_id: str
    agent_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ConversationQueued:
    team: str
    reason: QueueReason
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class OfferMade:
    offer_id: str
    agent_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OfferDeclined:
    offer_id: str
    agent_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OfferTimedOut:
    offer_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class OfferRescinded:
    offer_id: str
    agent_id: str
    reason: RescindReason


@dataclass(frozen=True, slots=True)
class ConversationAssigned:
    agent_id: str
    team: str
    offer_id: str


@dataclass(frozen=True, slots=True)
class ConversationTransferred:
    from_team: str
    from_agent_id: str
    to_team: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConversationResolved:
    agent_id: str
    team: str


@dataclass(frozen=True, slots=True)
class ConversationReopened:
    reason: ReopenReason


@dataclass(frozen=True, slots=True)
class DeliveryUpdated:
    message_id: str
    status: DeliveryStatus
    error: str


ConversationPayload = (
    ConversationStarted
    | MessageReceived
    | MessageSent
    | NoteAdded
    | ConversationQueued
    | OfferMade
    | OfferDeclined
    | OfferTimedOut
    | OfferRescinded
    | ConversationAssigned
    | ConversationTransferred
    | ConversationResolved
    | ConversationReopened
    | DeliveryUpdated
)


@dataclass(frozen=True, slots=True)
class TeamConfig:
    """A team as configured."""

    id: str
    offer_timeout_s: int = 20


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent as configured. `capacity` is conversations at once."""

    id: str
    name: str
    teams: tuple[str, ...]
    capacity: int


@dataclass(frozen=True, slots=True)
class PoolConfigured:
    """A version of the configuration, as far as it concerns the pool. `accounts` are (account, team)."""

    version: int
    teams: tuple[TeamConfig, ...]
    agents: tuple[AgentConfig, ...]
    accounts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AgentPresenceChanged:
    agent_id: str
    presence: Presence


@dataclass(frozen=True, slots=True)
class AgentStoppedResponding:
    agent_id: str


PoolPayload = PoolConfigured | AgentPresenceChanged | AgentStoppedResponding
Payload = ConversationPayload | PoolPayload


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a pool's log. `conversation_id` is empty and `seq` 0 where it concerns no conversation."""

    pool_seq: int
    conversation_id: str
    seq: int
    occurred_at: datetime
    cause: str
    actor: Actor
    config_version: int
    payload: Payload
