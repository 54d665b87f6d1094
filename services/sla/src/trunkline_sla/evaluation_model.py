"""What the SLA engine is told and what it says (sla.md 7 to 9): policies, facts, clocks, answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trunkline_common.calendar import Calendar

DEFAULT_WARNINGS = (75, 90)
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


# -- Facts and clocks


class FactKind(StrEnum):
    """What production publishes (9.5)."""

    STARTED = "sla.clock.started.v1"
    PAUSED = "sla.clock.paused.v1"
    RESUMED = "sla.clock.resumed.v1"
    RESCHEDULED = "sla.clock.rescheduled.v1"
    CANCELLED = "sla.clock.cancelled.v1"
    WARNING = "sla.warning.v1"
    BREACHED = "sla.breached.v1"
    FULFILLED = "sla.fulfilled.v1"
    RECOVERED = "sla.recovered.v1"
    CONFIG_FAULT = "sla.config_fault.v1"


@dataclass(frozen=True, slots=True)
class Fact:
    """One published event; `at` is the instant it speaks of. What does not belong to its kind is None."""

    kind: FactKind
    at: datetime
    metric: Metric
    cycle: int
    due_at: datetime | None = None
    percent: int | None = None
    met: bool | None = None
    elapsed_s: int | None = None
    overdue_s: int | None = None
    reason: str | None = None


class Phase(StrEnum):
    """Where a clock is; a breach is a flag beside it (7.1)."""

    RUNNING = "running"
    PAUSED = "paused"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Interval:
    """A part of a clock's life: whether it counted, how much, and why."""

    start: datetime
    end: datetime
    counted: bool
    seconds: int
    why: str
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Terms:
    """A rule with everything it leaves open settled; not live: counted in silence, because no policy promises it."""

    live: bool
    target_s: int
    pause_on: frozenset[str]
    stop_on: frozenset[str]
    reopen: Reopen | None
    warnings: tuple[int, ...]
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Clock:
    """One cycle. `since` is the start of the interval it is in; `intervals` are those that ended."""

    metric: Metric
    cycle: int
    started_at: datetime
    terms: Terms
    since: datetime
    changed_at: datetime
    phase: Phase = Phase.RUNNING
    why: str = "running"
    intervals: tuple[Interval, ...] = ()
    consumed: int = 0
    breached_at: datetime | None = None
    #: The highest percent warned of.
    warned: int = 0
    ended_at: datetime | None = None
    met: bool | None = None
    reason: str | None = None
    #: Ended by a stop state, so that leaving it may reopen the clock.
    stopped: bool = False

    @property
    def open(self) -> bool:
        """Neither fulfilled nor cancelled."""
        return self.phase in (Phase.RUNNING, Phase.PAUSED)


# -- Answers


class Standing(StrEnum):
    """A cycle at a glance. `met` and `breached`: fulfilled, in time or late; `stopped`: cancelled without a verdict."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    MET = "met"
    BREACHED = "breached"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle as it stands. `met` is decided when it is fulfilled; `due_at` is None unless it runs."""

    cycle: int
    state: Standing
    started_at: datetime
    ended_at: datetime | None
    target_s: int
    due_at: datetime | None
    elapsed_s: int
    diff_s: int
    met: bool | None
    breached_at: datetime | None
    reason: str | None
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A metric: its last cycle's values, the longest fulfilled cycle, and every cycle."""

    metric: Metric
    state: Standing
    due_at: datetime | None
    elapsed_s: int | None
    diff_s: int | None
    met: bool | None
    breached_at: datetime | None
    worst_elapsed_s: int | None
    cycles: tuple[Cycle, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every metric at `at`, and what production had published by then, in order."""

    at: datetime
    metrics: Mapping[Metric, Answer]
    facts: tuple[Fact, ...]
