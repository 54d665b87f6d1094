"""What can be asked of a pool: facts from outside, commands, time. Everything a decision uses is in here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_router.facts import (
    NO_PREVIEW,
    NOBODY_KNOWN,
    UNKNOWN,
    Actor,
    Attributes,
    Contact,
    Content,
    CustomerLookup,
    DeliveryStatus,
    DuePreview,
    Presence,
)
from trunkline_router.handed import TakeOver
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import AgentConfig


@dataclass(frozen=True, slots=True)
class ReceiveMessage:
    """A customer wrote. `customer` and `due` are answers of timeline and SLA service, where they were asked."""

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
    language: str = ""
    tags: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    priority: str = ""
    due: DuePreview = NO_PREVIEW


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


# -- agents


@dataclass(frozen=True, slots=True)
class SetPresence:
    agent_id: str
    presence: Presence


@dataclass(frozen=True, slots=True)
class SetAccepting:
    agent_id: str
    accepting: bool


@dataclass(frozen=True, slots=True)
class ClearNotResponding:
    agent_id: str


@dataclass(frozen=True, slots=True)
class PutAgent:
    """Make an agent, or replace what is configured of one."""

    agent: AgentConfig


@dataclass(frozen=True, slots=True)
class DeleteAgent:
    agent_id: str


@dataclass(frozen=True, slots=True)
class EndWrapUp:
    """`conversation_id` empty: of all conversations."""

    agent_id: str
    conversation_id: str = ""


# -- conversations


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
    #: It answers what the customer wrote up to that seq; 0: everything.
    answers_through_seq: int = 0


@dataclass(frozen=True, slots=True)
class AddNote:
    conversation_id: str
    agent_id: str
    note_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """To a team's queue, or to an agent of it."""

    conversation_id: str
    agent_id: str
    to_team: str
    reason: str
    to_agent_id: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """By hand: may exceed capacity (routing 3.8). A pull is an assignment to oneself."""

    conversation_id: str
    agent_id: str
    to_agent_id: str


@dataclass(frozen=True, slots=True)
class Release:
    """Back to the queue with its place."""

    conversation_id: str
    agent_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snooze:
    conversation_id: str
    agent_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Wake:
    conversation_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """`closing`, or the tenant's closing text, is said by the agent; `waive_reason`: why there is no answer."""

    conversation_id: str
    agent_id: str
    message_id: str = ""
    closing: Content | None = None
    closing_text: bool = False
    waive_reason: str = ""


@dataclass(frozen=True, slots=True)
class Reopen:
    conversation_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class ChangeAttributes:
    """None leaves it as it is; a value of None in `set_values` removes the name."""

    conversation_id: str
    agent_id: str
    set_values: tuple[tuple[str, str | None], ...] = ()
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    priority: str | None = None
    language: str | None = None
    allowed_agents: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """`conversation_id` ends in `into`."""

    conversation_id: str
    agent_id: str
    into: str


@dataclass(frozen=True, slots=True)
class Split:
    """A new conversation of the same contact, `new_id`, in a team's queue."""

    conversation_id: str
    agent_id: str
    new_id: str
    team: str
    subject: str = ""
    with_unanswered: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleCallback:
    conversation_id: str
    agent_id: str
    begins_at: datetime
    ends_at: datetime
    team: str


@dataclass(frozen=True, slots=True)
class StartConversation:
    """We write first. `agent_id` holds it afterwards; empty: nobody until the customer answers."""

    conversation_id: str
    agent_id: str
    channel: str
    account: str
    contact: Contact
    message_id: str
    content: Content
    customer: CustomerLookup = NOBODY_KNOWN
    attributes: Attributes = UNKNOWN


AgentCommand = SetPresence | SetAccepting | ClearNotResponding | PutAgent | DeleteAgent | EndWrapUp
ConversationCommand = (
    AcceptOffer
    | DeclineOffer
    | SendReply
    | AddNote
    | Transfer
    | Assign
    | Release
    | Snooze
    | Wake
    | Resolve
    | Reopen
    | ChangeAttributes
    | Merge
    | Split
    | ScheduleCallback
    | StartConversation
)
Command = AgentCommand | ConversationCommand
Body = ReceiveMessage | RecordReceipt | TakeOver | Configure | Tick | Command


@dataclass(frozen=True, slots=True)
class Input:
    """A body with who asks and why. `supervising` lets the actor act on conversations of others."""

    body: Body
    cause: str
    actor: Actor
    supervising: bool = False
