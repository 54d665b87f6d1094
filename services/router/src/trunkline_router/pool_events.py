"""What can happen in a pool that concerns no conversation. Stored like events.py: change it with care."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_router.facts import Presence
from trunkline_router.routing import (
    NO_LIMITS,
    PRIORITIES,
    AgentConfig,
    AutoText,
    ChannelClass,
    Limits,
    Pairs,
    PolicyConfig,
    Promise,
    PublicAddress,
    TeamConfig,
)


@dataclass(frozen=True, slots=True)
class PoolConfigured:
    """A version of the configuration, as far as it concerns the pool. `accounts` are (account, team).

    Without teams the document has dropped the pool; then `accounts` are the tenant's, for what is to go on elsewhere.
    """

    version: int
    teams: tuple[TeamConfig, ...]
    agents: tuple[AgentConfig, ...]
    accounts: tuple[tuple[str, str], ...]
    policies: tuple[PolicyConfig, ...] = ()
    channel_classes: tuple[ChannelClass, ...] = ()
    priorities: Pairs = PRIORITIES
    texts: tuple[AutoText, ...] = ()
    #: Business hours by name, as canonical JSON.
    calendars: tuple[tuple[str, str], ...] = ()
    limits: Limits = NO_LIMITS
    #: Where else customers can write, in the order of the document's accounts.
    addresses: tuple[PublicAddress, ...] = ()
    #: The tenant's other teams, and the pool id of each.
    elsewhere: tuple[tuple[str, str], ...] = ()
    #: What is promised to customers, in order; the first that fits applies.
    promises: tuple[Promise, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentPresenceChanged:
    agent_id: str
    presence: Presence


@dataclass(frozen=True, slots=True)
class AgentStoppedResponding:
    agent_id: str


@dataclass(frozen=True, slots=True)
class AgentRespondsAgain:
    """The agent says so; offers may come again."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class AgentAcceptingChanged:
    """Whether an agent who is there takes new work."""

    agent_id: str
    accepting: bool


@dataclass(frozen=True, slots=True)
class AgentConfigured:
    """An agent made or changed by a command."""

    agent: AgentConfig


@dataclass(frozen=True, slots=True)
class AgentRemoved:
    agent_id: str


@dataclass(frozen=True, slots=True)
class AgentLost:
    """Offline for longer than the grace: their work follows its channel's rule."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class WrapUpEnded:
    """The agent's units for a conversation that has ended are free again."""

    agent_id: str
    conversation_id: str


@dataclass(frozen=True, slots=True)
class ReofferPostponed:
    """Somebody who has not declined the conversation can still take it: looked at again then."""

    conversation_id: str
    until: datetime


PoolPayload = (
    PoolConfigured
    | AgentPresenceChanged
    | AgentStoppedResponding
    | AgentRespondsAgain
    | AgentAcceptingChanged
    | AgentConfigured
    | AgentRemoved
    | AgentLost
    | WrapUpEnded
    | ReofferPostponed
)
