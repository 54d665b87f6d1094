"""What can happen in a pool that concerns no conversation. Stored like events.py: change it with care."""

from __future__ import annotations

from dataclasses import dataclass

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
    TeamConfig,
)


@dataclass(frozen=True, slots=True)
class PoolConfigured:
    """A version of the configuration, as far as it concerns the pool. `accounts` are (account, team)."""

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
)
