"""A pool's routing configuration as the engine uses it: part of the log, so that a decision can be re-run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Pairs = tuple[tuple[str, int], ...]


class Strategy(StrEnum):
    """How an agent is chosen among those who may take a conversation (routing 3.5)."""

    LONGEST_IDLE = "LONGEST_IDLE"
    LEAST_LOADED = "LEAST_LOADED"
    BEST_SKILL = "BEST_SKILL"
    ROTATION = "ROTATION"
    LEAST_ASSIGNED = "LEAST_ASSIGNED"
    MANUAL = "MANUAL"


class Order(StrEnum):
    """How waiting work is ordered (routing 3.4). Strict priority starves; that is why it must be asked for."""

    BOOST = "BOOST"
    STRICT = "STRICT"
    EDF = "EDF"


class Mode(StrEnum):
    """Whether an agent is asked first."""

    OFFER = "OFFER"
    AUTO_ASSIGN = "AUTO_ASSIGN"


class TextKind(StrEnum):
    """Automatic texts to customers, each sent once a cycle at most."""

    ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT"
    OFFLINE = "OFFLINE"
    DEFLECTION = "DEFLECTION"
    CLOSING = "CLOSING"
    PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True)
class ChannelClass:
    """Channels that weigh the same (routing 4.1). `broadcast` agents are asked at once; the first to accept has it."""

    id: str
    channels: tuple[str, ...] = ()
    weight: int = 1
    interruptible: bool = False
    mode: Mode = Mode.OFFER
    broadcast: int = 1
    wrap_s: int = 0
    requeue_when_lost: bool = False
    #: Its units stay with the agent while it sleeps.
    snoozed_counts: bool = False
    #: Customers are shown that an agent types.
    typing: bool = False


#: What a channel that no class names is.
ANY_CHANNEL = ChannelClass("")


@dataclass(frozen=True, slots=True)
class TeamConfig:
    """A team. `never_auto_assign` is a condition; times are seconds; a rate_max of 0 is no limit."""

    id: str
    offer_timeout_s: int = 20
    strategy: Strategy = Strategy.LONGEST_IDLE
    order: Order = Order.BOOST
    max_missed: int = 3
    reoffer_after_s: int = 60
    assign_bots: bool = False
    accept_without_agents: bool = True
    away_is_available: bool = False
    auto_assign: bool = True
    never_auto_assign: str = ""
    rate_max: int = 0
    rate_window_s: int = 3600
    #: edf: how long after the customer wrote an answer is due.
    reply_target_s: int = 3600
    reopen_sticky_s: int = 86_400
    calendar: str = ""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent. `capacity` is units in all, `caps` units by channel class, `skills` levels 1 to 5."""

    id: str
    name: str
    teams: tuple[str, ...]
    capacity: int
    skills: Pairs = ()
    caps: Pairs = ()
    bot: bool = False
    #: Made by a command, not by the document: a new document does not remove it.
    by_api: bool = False


@dataclass(frozen=True, slots=True)
class StepConfig:
    """One step of a policy (routing 3.2). `wait_s` 0: until the end. `preferred`: agent ids, "previous", "manager"."""

    team: str
    skills: Pairs = ()
    drop: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    sticky_wait_s: int = 0
    strategy: Strategy | None = None
    priority_boost_s: int = 0
    wait_s: int = 0
    skip_if: str = ""


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """Steps for the conversations that a condition holds for; an empty condition holds for all."""

    id: str
    when: str = ""
    steps: tuple[StepConfig, ...] = ()
    tier: int = 1
    overflow_team: str = ""
    overflow_agent: str = ""
    #: Whoever writes in public and waits is asked to go on in private.
    invite_private: bool = False


@dataclass(frozen=True, slots=True)
class AutoText:
    """A text in Liquid for a kind, a channel and a language; "" means any."""

    kind: TextKind
    text: str
    channel: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Where else customers can write."""

    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Promise:
    """An SLA policy as far as the engine keeps it: whom it is for, and whether everybody is answered (sla 8)."""

    id: str
    team: str = ""
    #: Any of them; none: every one.
    channels: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    #: All of them.
    tags: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    #: What a customer wrote is answered before the end.
    last_word: bool = False
    bot_reply_counts: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for the whole pool. `max_transfers` 0 is no limit; times are seconds."""

    max_transfers: int = 0
    escalation_team: str = ""
    agent_grace_s: int = 30
    deflect_after_s: int = 0
    #: Later messages of a resolved conversation begin a new cycle by policy; earlier ones reopen the old one.
    reopen_within_s: int = 0


NO_LIMITS = Limits()

#: Seconds by which a priority is served earlier (sla 13.6).
PRIORITIES: Pairs = (("high", 1800), ("low", 0), ("normal", 300), ("urgent", 7200))
