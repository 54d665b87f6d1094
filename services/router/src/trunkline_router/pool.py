"""The state of a pool: teams, agents, conversations, who waits. `evolve` in fold.py is the only writer."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from trunkline_router.events import AgentConfig, Contact, Presence, TeamConfig

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """Where a conversation stands."""

    QUEUED = "QUEUED"
    OFFERED = "OFFERED"
    ASSIGNED = "ASSIGNED"
    RESOLVED = "RESOLVED"


@dataclass(slots=True)
class Conversation:
    """What routing needs to know of a conversation; what was said is in the log."""

    id: str
    ordinal: int
    channel: str
    account: str
    contact: Contact
    subject: str
    seq: int = 0
    status: Status = Status.RESOLVED
    team: str = ""
    agent: str = ""
    offer_id: str = ""
    offered_to: str = ""
    offer_expires_at: datetime | None = None
    entered_at: datetime = BEGINNING
    #: Agents who declined or missed it in this visit, and until when they are not asked again.
    excluded: dict[str, datetime] = field(default_factory=dict)
    transfers: int = 0
    reply_address: str = ""
    references: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[datetime, int, str]:
        """Its place in the order of waiting work: who entered first; ties by who started first."""
        return self.entered_at, self.ordinal, self.id


@dataclass(slots=True)
class Agent:
    """An agent: what is configured and what is going on."""

    config: AgentConfig
    presence: Presence = Presence.OFFLINE
    not_responding: bool = False
    missed: int = 0
    last_assigned_at: datetime = BEGINNING
    #: Ids of conversations assigned or offered: the load.
    holds: set[str] = field(default_factory=set)

    @property
    def available(self) -> bool:
        """Whether a further conversation may be offered."""
        return self.presence is Presence.ONLINE and not self.not_responding and len(self.holds) < self.config.capacity


@dataclass(slots=True)
class Pool:
    """All that one engine decides about, under one writer."""

    id: str
    seq: int = 0
    last_at: datetime = BEGINNING
    config_version: int = 0
    teams: dict[str, TeamConfig] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)

    @property
    def tenant(self) -> str:
        """The tenant whose pool it is; a pool id is tenant/pool."""
        return self.id.partition("/")[0]


class Waiting:
    """The waiting conversations of each team in order. Derived from a pool, never stored."""

    def __init__(self) -> None:
        self._teams: dict[str, list[tuple[datetime, int, str]]] = {}

    def add(self, conversation: Conversation) -> None:
        """It waits."""
        insort(self._teams.setdefault(conversation.team, []), conversation.place)

    def remove(self, conversation: Conversation) -> None:
        """It waits no longer."""
        places = self._teams[conversation.team]
        at = bisect_left(places, conversation.place)
        if places[at] != conversation.place:
            raise LookupError(conversation.id)
        del places[at]

    def of(self, team: str) -> list[tuple[datetime, int, str]]:
        """The team's waiting conversations, first to be served first: (entered at, ordinal, id)."""
        return self._teams.get(team, [])
