"""What can happen to a conversation, and the envelope of everything that happens in a pool.

These types are the storage format of the pool log: change them with care.

Each is the payload of one log entry and bears the name of its protobuf message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_router.facts import (
    UNKNOWN,
    Actor,
    Attributes,
    Contact,
    Content,
    CustomerLookup,
    DeliveryStatus,
    QueueReason,
    ReopenReason,
    RescindReason,
    WakeReason,
)
from trunkline_router.handed import ConversationHandedOver, ConversationTakenOver
from trunkline_router.pool_events import PoolPayload
from trunkline_router.routing import Pairs, Strategy, TextKind


@dataclass(frozen=True, slots=True)
class ConversationStarted:
    channel: str
    account: str
    contact: Contact
    subject: str
    customer: CustomerLookup
    attributes: Attributes = UNKNOWN
    #: Begun by us, not by the customer.
    outbound: bool = False
    #: The conversation it was a part of, and since when its customer waits, where that came along.
    split_from: str = ""
    unanswered_since: datetime | None = None


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
    #: Written by the engine from a template: never counts as a reply.
    automatic: TextKind | None = None
    #: It answers what the customer wrote up to that seq; 0: everything.
    answers_through_seq: int = 0
    bot: bool = False


@dataclass(frozen=True, slots=True)
class NoteAdded:
    note_id: str
    agent_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ConversationQueued:
    """It waits in a team's queue; all that matching needs to know of it is here."""

    team: str
    reason: QueueReason
    entered_at: datetime
    policy: str = ""
    step: int = 0
    skills: Pairs = ()
    boost_s: int = 0
    tier: int = 1
    strategy: Strategy | None = None
    step_ends_at: datetime | None = None
    #: Considered first; until that instant nobody else is.
    preferred: tuple[str, ...] = ()
    preferred_until: datetime | None = None
    #: Given out by itself, or only taken by hand.
    assigned_by_hand: bool = False
    #: When its customer must be answered, or why the SLA service did not say.
    due_at: datetime | None = None
    due_fallback: str = ""


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
class ExclusionsCleared:
    """Everybody who could take it had declined or missed it: they are asked again."""


@dataclass(frozen=True, slots=True)
class ConversationAssigned:
    """`offer_id` is that of the accepted offer; empty where nobody was asked or somebody took it."""

    agent_id: str
    team: str
    offer_id: str
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class ConversationTransferred:
    from_team: str
    from_agent_id: str
    to_team: str
    reason: str
    to_agent_id: str = ""
    #: Where it was to go before it had been transferred too often.
    asked_team: str = ""


@dataclass(frozen=True, slots=True)
class ConversationReleased:
    """An agent gave it back, or lost it."""

    agent_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConversationRejected:
    """It is not accepted; `reason` is no_agent_online."""

    team: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConversationSnoozed:
    agent_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ConversationWoken:
    """Awake again: with its agent, whatever they have in hand, where there is one."""

    reason: WakeReason
    agent_id: str


@dataclass(frozen=True, slots=True)
class AttributesChanged:
    """All that is known now, not only what is new."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ConversationMerged:
    """It ends in another one; what its customer writes from now on is written there."""

    into: str


@dataclass(frozen=True, slots=True)
class ConversationAbsorbed:
    """Another one ended in it; the earlier of the two places in the queue counts. `started_at`: of what was open."""

    conversation_id: str
    entered_at: datetime
    started_at: datetime | None = None
    unanswered_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConversationSplit:
    """A part of it is a conversation of its own."""

    conversation_id: str
    unanswered_moved: bool = False


@dataclass(frozen=True, slots=True)
class CallbackScheduled:
    """To be called in that window; it waits outside every queue until then."""

    begins_at: datetime
    ends_at: datetime
    team: str


@dataclass(frozen=True, slots=True)
class ConversationResolved:
    """`wrap_until`: how long its units stay with the agent. `waived_reason`: why its customer gets no answer."""

    agent_id: str
    team: str
    wrap_until: datetime | None = None
    waived_reason: str = ""


@dataclass(frozen=True, slots=True)
class ConversationReopened:
    """`same_cycle`: so soon after the end that it goes on: transfers and texts are counted on."""

    reason: ReopenReason
    same_cycle: bool = False


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
    | ExclusionsCleared
    | ConversationAssigned
    | ConversationTransferred
    | ConversationReleased
    | ConversationRejected
    | ConversationSnoozed
    | ConversationWoken
    | AttributesChanged
    | ConversationMerged
    | ConversationAbsorbed
    | ConversationSplit
    | CallbackScheduled
    | ConversationResolved
    | ConversationReopened
    | DeliveryUpdated
    | ConversationHandedOver
    | ConversationTakenOver
)


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
