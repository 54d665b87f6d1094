"""What the log says of a conversation, its reply clocks, and the facts about them. The facts are what is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

DEFAULT_WARNINGS = (75, 90)


class Metric(StrEnum):
    """Which promise a clock measures; the two never run together (7.7)."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"


class State(StrEnum):
    """A clock runs until the reply that ends it. Resolution ends none: the last word is ours (8.1)."""

    RUNNING = "running"
    FULFILLED = "fulfilled"


class Kind(StrEnum):
    """What an event of the log means for reply clocks."""

    WROTE = "wrote"
    REPLIED = "replied"
    QUEUED = "queued"
    OTHER = "other"


# -- Events: what the log says


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a conversation. `wrote`: a person, not an auto-reply; `replied`: a human agent, publicly (7.5)."""

    event_id: str
    tenant: str
    conversation_id: str
    seq: int
    at: datetime
    config_version: int
    kind: Kind
    team: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant promises the customers of a team (empty: of every team). 0 seconds: no such clock."""

    policy_id: str
    team: str
    first_response_s: int
    next_response_s: int
    warnings: tuple[int, ...] = DEFAULT_WARNINGS

    def target(self, metric: Metric) -> int:
        """The promised seconds."""
        return self.first_response_s if metric is Metric.FIRST_RESPONSE else self.next_response_s


# -- State


@dataclass(frozen=True, slots=True)
class Clock:
    """One cycle of one metric of one conversation."""

    clock_id: str
    tenant: str
    conversation_id: str
    metric: Metric
    cycle: int
    target_s: int
    started_at: datetime
    warnings: tuple[int, ...]
    policy_id: str
    #: The trace that began with the customer's message.
    traceparent: str
    config_version: int = 0
    team: str = ""
    gen: int = 1
    state: State = State.RUNNING
    breached: bool = False
    #: The highest percent warned of; 0 again once the clock has ended.
    warned: int = 0
    ended_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """The last instant that is in time (7.3)."""
        return self.started_at + timedelta(seconds=self.target_s)

    def warn_at(self, percent: int) -> datetime:
        """The instant of a warning: whole seconds, rounded up (7.4, 9.1)."""
        return self.started_at + timedelta(seconds=-(-percent * self.target_s // 100))

    def ahead(self) -> list[int]:
        """The warnings still to come; one that falls on due_at gives way to the breach (9.2)."""
        return [p for p in self.warnings if p > self.warned and self.warn_at(p) < self.due_at]


@dataclass(frozen=True, slots=True)
class Opening:
    """The oldest customer message nobody has answered."""

    at: datetime
    traceparent: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the clocks need to know of a conversation; `seq` is the last event seen."""

    tenant: str
    conversation_id: str
    seq: int = 0
    team: str = ""
    #: An agent has replied to the customer once: from now on next_response counts.
    replied: bool = False
    #: Cycles of next_response begun.
    cycles: int = 0
    opening: Opening | None = None
    #: The clock that runs, if one does.
    clock: Clock | None = None


# -- Facts: what is published. Each holds the clock as it is afterwards.


@dataclass(frozen=True, slots=True)
class Started:
    """A clock runs."""

    clock: Clock
    at: datetime
    cause: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Warned:
    """So much of the target has passed without a reply."""

    clock: Clock
    at: datetime
    percent: int


@dataclass(frozen=True, slots=True)
class Breached:
    """The target has passed without a reply; `at` is due_at, however late it was noticed."""

    clock: Clock
    at: datetime


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """The reply came. `retracts`: in time by event time, although the breach had been announced already."""

    clock: Clock
    at: datetime
    cause: str
    traceparent: str
    met: bool
    elapsed_s: int
    overdue_s: int
    retracts: bool = False


SlaFact = Started | Warned | Breached | Fulfilled
