"""What goes from pool to pool: the events at both ends of a hand-over, and what lies between them.

Stored like events.py: change it with care.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_router.facts import Attributes, Contact, CustomerLookup, Unanswered


@dataclass(frozen=True, slots=True)
class ConversationState:
    """A conversation on its way: all that the other engine must know of it. `seq` is that of its hand-over."""

    seq: int
    channel: str
    account: str
    contact: Contact
    subject: str
    customer: CustomerLookup
    attributes: Attributes
    tier: int
    entered_at: datetime
    cycle: int
    cycle_began_at: datetime
    transfers: int
    last_agent: str
    unanswered_since: datetime | None
    told: tuple[str, ...]
    reply_address: str
    references: tuple[str, ...]
    last_text: str
    started_at: datetime
    replied: bool
    unanswered: tuple[Unanswered, ...]
    last_message: str
    last_reply: str
    answered: tuple[Unanswered, ...]
    messages: int = 0


@dataclass(frozen=True, slots=True)
class ConversationHandedOver:
    """It was transferred to a team of another pool, and is that pool's from now on."""

    to_pool: str
    team: str
    agent_id: str
    state: ConversationState


@dataclass(frozen=True, slots=True)
class ConversationTakenOver:
    """This pool goes on with it."""

    from_pool: str
    team: str
    agent_id: str
    state: ConversationState


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Another pool has handed a conversation over: go on with it. `at`: when it did, by its own clock."""

    conversation_id: str
    from_pool: str
    team: str
    agent_id: str
    at: datetime
    state: ConversationState
    #: Nobody transferred it: its pool was dropped.
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation is, or where that is known; `seq` is that of the event that says so."""

    conversation_id: str
    pool: str
    seq: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a pool knows of a conversation: up to which seq, and to which pool it has gone with that, if it has."""

    pool: str
    seq: int
    to_pool: str = ""
