"""The state of a pool: teams, agents, conversations. `evolve` in fold.py is the only writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from trunkline_router.facts import NOBODY_KNOWN, UNKNOWN, Attributes, Contact, CustomerLookup, Presence, Unanswered
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import (
    AgentConfig,
    ChannelClass,
    Order,
    Pairs,
    PolicyConfig,
    Strategy,
    TeamConfig,
)

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOT_CONFIGURED = PoolConfigured(0, (), (), ())


class Status(StrEnum):
    """Where a conversation stands. NEW is before its first event about routing."""

    NEW = "NEW"
    QUEUED = "QUEUED"
    OFFERED = "OFFERED"
    ASSIGNED = "ASSIGNED"
    SNOOZED = "SNOOZED"
    SCHEDULED = "SCHEDULED"
    RESOLVED = "RESOLVED"
    #: Another pool has it, or it is on its way there.
    MOVED = "MOVED"


#: Statuses in which there is nothing to do for anybody now.
ENDED = (Status.NEW, Status.RESOLVED, Status.MOVED)


@dataclass(slots=True)
class Offer:
    """A question to one agent that runs."""

    agent: str
    expires_at: datetime


@dataclass(slots=True)
class Conversation:
    """What routing needs to know of a conversation; what was said is in the log."""

    id: str
    ordinal: int
    channel: str
    account: str
    contact: Contact
    subject: str
    customer: CustomerLookup = NOBODY_KNOWN
    seq: int = 0
    status: Status = Status.NEW
    team: str = ""
    agent: str = ""
    attributes: Attributes = UNKNOWN
    # -- the visit to a queue
    policy: str = ""
    step: int = 0
    skills: Pairs = ()
    boost_s: int = 0
    tier: int = 1
    strategy: Strategy | None = None
    step_ends_at: datetime | None = None
    preferred: tuple[str, ...] = ()
    preferred_until: datetime | None = None
    by_hand: bool = False
    #: Somebody sent it there (a transfer, a callback, an overflow): no policy takes it back.
    sent: bool = False
    #: Since when it waits, or did; BEGINNING: it has waited nowhere in this cycle.
    entered_at: datetime = BEGINNING
    #: Running offers by id; all are for the same place in the queue.
    offers: dict[str, Offer] = field(default_factory=dict)
    #: Agents who declined or missed it in this visit; when to ask them again if nobody else is left.
    excluded: set[str] = field(default_factory=set)
    reoffer_at: datetime | None = None
    started_at: datetime = BEGINNING
    # -- the cycle
    cycle: int = 0
    cycle_began_at: datetime = BEGINNING
    #: How often the customer wrote in it.
    messages: int = 0
    transfers: int = 0
    resolved_at: datetime | None = None
    last_agent: str = ""
    assigned_at: datetime | None = None
    #: The offer its agent accepted: the same acceptance again is answered the same.
    accepted_offer: str = ""
    wakes_at: datetime | None = None
    callback: tuple[datetime, datetime] | None = None
    merged_into: str = ""
    #: The pool that got it from this one.
    moved_to: str = ""
    #: When the customer first wrote what nobody has answered yet, and all of that, in order of seq.
    unanswered_since: datetime | None = None
    unanswered: tuple[Unanswered, ...] = ()
    #: The last reply, by its message id, and what it answered: where it cannot be delivered, that waits again.
    last_reply: str = ""
    answered: tuple[Unanswered, ...] = ()
    #: Somebody has answered the customer some time.
    replied: bool = False
    #: By team: when the oldest unanswered message must be answered, as the SLA service said.
    dues: dict[str, datetime] = field(default_factory=dict)
    #: Kinds of automatic texts already sent in this cycle.
    told: set[str] = field(default_factory=set)
    reply_address: str = ""
    references: tuple[str, ...] = ()
    last_text: str = ""
    #: The customer's last message, by the provider's id.
    last_message: str = ""

    def place(self, order: Order, reply_target_s: int) -> tuple[int, int, int, int, str]:
        """Its place in the order of waiting work (routing 3.4); static while it waits, unless the order is edf.

        Tier, strict priority, an instant in microseconds, then what breaks ties. Whole numbers compare fast.
        """
        if order is Order.STRICT:
            return self.tier, -self.boost_s, micros(self.entered_at), self.ordinal, self.id
        if order is Order.EDF:
            due = micros(self.unanswered_since or self.entered_at) + reply_target_s * 1_000_000
            known = self.dues.get(self.team)
            return self.tier, 0, micros(known) if known else due, self.ordinal, self.id
        return self.tier, 0, micros(self.entered_at) - self.boost_s * 1_000_000, self.ordinal, self.id


def micros(at: datetime) -> int:
    """Microseconds since the epoch."""
    return (at - BEGINNING) // MICROSECOND


@dataclass(slots=True)
class Hold:
    """Units an agent has in use for a conversation: assigned, offered or in wrap-up."""

    units: int
    channel_class: str
    interruptible: bool


@dataclass(slots=True)
class Agent:
    """An agent: what is configured and what is going on."""

    config: AgentConfig
    presence: Presence = Presence.OFFLINE
    accepting: bool = True
    not_responding: bool = False
    missed: int = 0
    last_assigned_at: datetime = BEGINNING
    assigned: int = 0
    #: Assignments within the longest rate window of their teams, oldest first.
    recent: list[datetime] = field(default_factory=list)
    #: Offers that run.
    offered: int = 0
    #: When each team's rotation came to them last; their place in it.
    rotated: dict[str, int] = field(default_factory=dict)
    #: When they went offline, while their work may still be theirs.
    lost_at: datetime | None = None
    #: By conversation; a conversation in wrap-up is in `wraps` too.
    holds: dict[str, Hold] = field(default_factory=dict)
    wraps: dict[str, datetime] = field(default_factory=dict)

    @property
    def load(self) -> int:
        """Units in use."""
        return sum(h.units for h in self.holds.values())

    @property
    def has_room(self) -> bool:
        """Whether any work at all might fit: who is full need not be looked at."""
        return sum(h.units for h in self.holds.values() if not h.interruptible) < self.config.capacity

    def fits(self, wanted: ChannelClass) -> bool:
        """Whether an automatic assignment of that class stays within capacity (routing 4.1, 4.2)."""
        counted = in_class = 0
        for held in self.holds.values():
            if wanted.interruptible or not held.interruptible:
                counted += held.units
            if held.channel_class == wanted.id:
                in_class += held.units
        if counted + wanted.weight > self.config.capacity:
            return False
        cap = next((units for name, units in self.config.caps if name == wanted.id), None)
        return cap is None or in_class + wanted.weight <= cap


@dataclass(slots=True)
class Handling:
    """How long a team's conversations lately took from assignment to their end, weighted towards the last ones."""

    mean_s: float
    deviation_s: float
    as_of: datetime


@dataclass(slots=True)
class Pool:
    """All that one engine decides about, under one writer."""

    id: str
    seq: int = 0
    last_at: datetime = BEGINNING
    config: PoolConfigured = NOT_CONFIGURED
    teams: dict[str, TeamConfig] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    #: By team; what a wait is estimated from (routing 5.7).
    handling: dict[str, Handling] = field(default_factory=dict)
    #: Turns given in rotations so far.
    turns: int = 0

    @property
    def tenant(self) -> str:
        """The tenant whose pool it is; a pool id is tenant/pool."""
        return self.id.partition("/")[0]

    @property
    def config_version(self) -> int:
        """The version of the configuration in force."""
        return self.config.version

    @property
    def dropped(self) -> bool:
        """Whether the tenant's document has no team of it (any more): what is open here is to go on elsewhere."""
        return not self.teams and bool(self.config.elsewhere)

    def policy(self, name: str) -> PolicyConfig | None:
        """A policy by its id."""
        return next((p for p in self.config.policies if p.id == name), None)

    def team_of(self, account: str, team: str = "") -> str:
        """The account's team; of an account that the pool does not have (any more) that one, or the first there is."""
        return self.accounts.get(account) or (team if team in self.teams else min(self.teams))

    def surviving(self, conversation_id: str) -> Conversation | None:
        """The conversation, or the one it was merged into."""
        found = self.conversations.get(conversation_id)
        while found is not None and found.merged_into in self.conversations:
            found = self.conversations[found.merged_into]
        return found
