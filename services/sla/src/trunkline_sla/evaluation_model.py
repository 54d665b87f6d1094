"""What the SLA engine is told and what it keeps (sla.md 7 to 9): policies, clocks, messages that wait, replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from trunkline_common.calendar import Calendar

DEFAULT_WARNINGS = (75, 90)
DEFAULT_REPEATS = 8
RESOLVED = frozenset({"resolved", "closed"})


class Metric(StrEnum):
    """Which promise a clock measures (7.2)."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    PERIODIC_UPDATE = "periodic_update"
    REQUESTER_WAIT = "requester_wait"
    AGENT_WORK = "agent_work"
    RESOLUTION = "resolution"


#: They run from creation to resolution; a stop state fulfils them. The others wait for a reply; it cancels them.
LIFECYCLE = frozenset({Metric.REQUESTER_WAIT, Metric.AGENT_WORK, Metric.RESOLUTION})
PAUSES = {
    Metric.REQUESTER_WAIT: frozenset({"pending"}),
    Metric.AGENT_WORK: frozenset({"pending", "on_hold"}),
    Metric.RESOLUTION: frozenset({"pending", "on_hold"}),
}


class Reopen(StrEnum):
    """What leaving a stop state means for the clock it stopped (7.8)."""

    RESUME = "resume"
    RESTART = "restart"
    CONTINUE = "continue"


class Hours(StrEnum):
    """Which time a metric counts: the calendar's, or all of it."""

    BUSINESS = "business"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a policy says of one metric. None: what 7.2 and 8 say."""

    target_s: int
    pause_on: frozenset[str] | None = None
    stop_on: frozenset[str] | None = None
    reopen: Reopen | None = None
    counts_first_message: bool = False
    hours: Hours = Hours.BUSINESS


@dataclass(frozen=True, slots=True)
class Policy:
    """What is promised. A metric without a rule has no clock; no priorities: all of them."""

    metrics: Mapping[Metric, Rule]
    last_word: bool = True
    applies_to_priorities: frozenset[str] | None = None
    bot_reply_counts: bool = False
    warnings_percent: tuple[int, ...] = DEFAULT_WARNINGS
    #: Business seconds before the deadline.
    warnings_remaining_s: tuple[int, ...] = ()
    #: Whether an automation's answer is a reply (8.4).
    automation_counts: bool = False
    #: Business seconds from a breach to its first repetition; 0: it is not repeated (9.3).
    repeat_s: int = 0
    max_repeats: int = DEFAULT_REPEATS


# -- Clocks


class Phase(StrEnum):
    """Where a clock is; a breach is a flag beside it (7.1)."""

    RUNNING = "running"
    PAUSED = "paused"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Interval:
    """A part of a clock's life: whether it counted, how much, why, what event began it, and the calendar it is of."""

    start: datetime
    end: datetime
    counted: bool
    seconds: int
    why: str
    calendar: Calendar
    cause: str = ""
    calendar_id: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """A rule with everything it leaves open settled; not live: counted in silence, because no policy promises it."""

    live: bool
    target_s: int
    pause_on: frozenset[str]
    stop_on: frozenset[str]
    reopen: Reopen | None
    #: In the order in which they are reached: percents, and seconds that are left as negative numbers.
    warnings: tuple[int, ...]
    calendar: Calendar
    repeat_s: int = 0
    max_repeats: int = 0
    policy_id: str = ""
    #: "": every second counts.
    calendar_id: str = ""
    version: int = 0


class Clock(NamedTuple):
    """One cycle. `since` is the start of the interval it is in, `cause` what began it; `intervals` have ended.

    `due_at` and `next_at` follow from the rest (evaluation_timers.armed), kept so that nobody need work them out.
    """

    metric: Metric
    cycle: int
    started_at: datetime
    terms: Terms
    since: datetime
    changed_at: datetime
    phase: Phase = Phase.RUNNING
    why: str = "running"
    cause: str = ""
    intervals: tuple[Interval, ...] = ()
    consumed: int = 0
    breached_at: datetime | None = None
    #: Business seconds counted when it breached.
    breached_after: int = 0
    #: How often the breach was repeated, and how many breaches of this cycle were taken back.
    repeats: int = 0
    retracted: int = 0
    #: The last warning given or jumped over, as in Terms; 0: none.
    warned: int = 0
    ended_at: datetime | None = None
    met: bool | None = None
    reason: str | None = None
    #: Ended by a stop state, so that leaving it may reopen the clock.
    stopped: bool = False
    #: 1, 2, 3 ...: grows with every change of due_at (7.1).
    gen: int = 0
    #: The highest cycle number given out for this metric.
    issued: int = 0
    #: The last instant in time; None unless it runs and its calendar has an answer.
    due_at: datetime | None = None
    #: The earliest instant after which `fire` has something to say.
    next_at: datetime | None = None
    #: The instant of the last thing it has said by itself.
    said_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Neither fulfilled nor cancelled."""
        return self.phase in (Phase.RUNNING, Phase.PAUSED)


# -- Messages


@dataclass(frozen=True, slots=True)
class Message:
    """The customer's, waiting for a reply."""

    message_id: str
    at: datetime
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply did, so that it can be undone: the clocks it `ended` go on unseen, as if there had been none."""

    message_id: str
    at: datetime
    through: int
    answered: tuple[Message, ...]
    ended: tuple[Clock, ...]
    #: Whether there had been a reply before.
    replied: bool
