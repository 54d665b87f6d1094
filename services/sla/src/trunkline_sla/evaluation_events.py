"""What happens in a conversation, as the SLA engine needs to know it (scenarios.md section 2).

`cause` is the id of the event in the log; it comes back in the facts and intervals that the event causes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_common.calendar import Calendar

from trunkline_sla.evaluation_model import Policy


@dataclass(frozen=True, slots=True)
class ConversationCreated:
    """Started by the customer unless `outbound`, or unless an agent is the first to write (7.15).

    `unanswered_since`: it was split off with a message that has waited since then (7.11).
    """

    at: datetime
    state: str = "open"
    priority: str = "normal"
    outbound: bool = False
    unanswered_since: datetime | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CustomerMessage:
    """The customer wrote. `seq` is its place in the conversation, which `answers_through` refers to."""

    at: datetime
    message_id: str = ""
    seq: int = 0
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CustomerMessageDeleted:
    """Nobody need answer it any more (7.6)."""

    at: datetime
    message_id: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A public message of a human agent. It answers what the customer wrote up to a seq, or all of it (7.5)."""

    at: datetime
    message_id: str = ""
    answers_through: int | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class AgentNote:
    """Internal: never a reply."""

    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class BotMessage:
    """A reply if the policy says so, of bots (7.5) or of automations (8.4)."""

    at: datetime
    message_id: str = ""
    automation: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """A reply never reached the customer: what it fulfilled is revoked (7.5)."""

    at: datetime
    message_id: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Waived:
    """Ended without the reply that is owed, for a stated reason (8.2)."""

    at: datetime
    reason: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state is free text; `pause_on` and `stop_on` refer to it."""

    at: datetime
    to: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """A policy may begin or cease to apply."""

    at: datetime
    to: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """None: no policy any more."""

    at: datetime
    policy: Policy | None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CalendarChanged:
    """Counts from here on; what was counted stays (7.10)."""

    at: datetime
    calendar: Calendar
    cause: str = ""


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """All at once, with the versions: a clock is rescheduled at most once (7.9, 7.10, 7.12 to 7.14)."""

    at: datetime
    policy: Policy | None
    calendar: Calendar
    priority: str
    policy_id: str = ""
    calendar_id: str = ""
    version: int = 0
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TeamChanged:
    """Resets nothing (7.12); another calendar comes as its own event."""

    at: datetime
    to: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """Into another conversation, where it goes on (7.11)."""

    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Absorbed:
    """Another one was merged into this: when that had begun, and since when its customer waits (None: does not)."""

    at: datetime
    started_at: datetime
    unanswered_since: datetime | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class SplitOff:
    """A part became another conversation, with what was unanswered or without (7.11)."""

    at: datetime
    unanswered: bool
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TimersLooked:
    """The timers have fired what had passed by then; an event of an earlier instant may follow (9.6)."""

    at: datetime
    cause: str = ""


Event = (
    ConversationCreated
    | CustomerMessage
    | CustomerMessageDeleted
    | AgentMessage
    | AgentNote
    | BotMessage
    | DeliveryFailed
    | Waived
    | StateChanged
    | PriorityChanged
    | PolicyChanged
    | CalendarChanged
    | SettingChanged
    | TeamChanged
    | Merged
    | Absorbed
    | SplitOff
    | TimersLooked
)
