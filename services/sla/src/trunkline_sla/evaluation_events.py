"""What happens in a conversation, as the SLA engine needs to know it (scenarios.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_common.calendar import Calendar

from trunkline_sla.evaluation_model import Policy


@dataclass(frozen=True, slots=True)
class ConversationCreated:
    """Started by the customer, unless an agent is the first to write (7.15)."""

    at: datetime
    state: str = "open"
    priority: str = "normal"


@dataclass(frozen=True, slots=True)
class CustomerMessage:
    """The customer wrote."""

    at: datetime


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A public message of a human agent."""

    at: datetime


@dataclass(frozen=True, slots=True)
class AgentNote:
    """Internal: never a reply."""

    at: datetime


@dataclass(frozen=True, slots=True)
class BotMessage:
    """A reply if the policy says so."""

    at: datetime


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state is free text; `pause_on` and `stop_on` refer to it."""

    at: datetime
    to: str


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """A policy may begin or cease to apply."""

    at: datetime
    to: str


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """None: no policy any more."""

    at: datetime
    policy: Policy | None


@dataclass(frozen=True, slots=True)
class CalendarChanged:
    """Counts from here on; what was counted stays (7.10)."""

    at: datetime
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class TeamChanged:
    """Resets nothing (7.12); another calendar comes as its own event."""

    at: datetime
    to: str


Event = (
    ConversationCreated
    | CustomerMessage
    | AgentMessage
    | AgentNote
    | BotMessage
    | StateChanged
    | PriorityChanged
    | PolicyChanged
    | CalendarChanged
    | TeamChanged
)
