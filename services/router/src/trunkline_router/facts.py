"""The values that events and inputs are made of."""

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
    RELAXED = "RELAXED"
    PREFERRED_WAITED = "PREFERRED_WAITED"
    OVERFLOW = "OVERFLOW"
    ESCALATED = "ESCALATED"
    RELEASED = "RELEASED"
    WOKEN = "WOKEN"
    CHANGED = "CHANGED"
    CALLBACK_DUE = "CALLBACK_DUE"
    SPLIT = "SPLIT"
    STARTED = "STARTED"


class RescindReason(StrEnum):
    """Why an offer was taken back."""

    AGENT_OFFLINE = "AGENT_OFFLINE"
    RESOLVED = "RESOLVED"
    TRANSFERRED = "TRANSFERRED"
    AGENT_REMOVED = "AGENT_REMOVED"
    ACCEPTED_BY_ANOTHER = "ACCEPTED_BY_ANOTHER"
    TAKEN = "TAKEN"
    MERGED = "MERGED"
    SNOOZED = "SNOOZED"
    CHANGED = "CHANGED"


class ReopenReason(StrEnum):
    """Why a resolved conversation is open again."""

    CUSTOMER_MESSAGE = "CUSTOMER_MESSAGE"
    AGENT = "AGENT"


class WakeReason(StrEnum):
    """Why a snoozed conversation is awake."""

    DUE = "DUE"
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
class Unanswered:
    """A message of the customer that nobody has answered: its seq in the conversation, and when it came."""

    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DuePreview:
    """When an answer would be due, as the SLA service says, by team; or why it did not say."""

    first_response: tuple[tuple[str, datetime], ...] = ()
    next_response: tuple[tuple[str, datetime], ...] = ()
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is known of a conversation for routing; a later value of a name replaces the earlier one."""

    values: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    priority: str = "normal"
    language: str = "und"
    allowed_agents: tuple[str, ...] = ()

    @property
    def public(self) -> bool:
        """Whether it is written where others can read it."""
        return "public" in self.tags


#: Nothing is known.
UNKNOWN = Attributes()
NOBODY_KNOWN = CustomerLookup()
NO_PREVIEW = DuePreview()
