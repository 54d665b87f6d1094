"""What the SLA engine publishes (sla.md 9.5), and the key by which a fact is known again whoever finds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from trunkline_sla.evaluation_model import Clock, Metric


class FactKind(StrEnum):
    """What production publishes (9.5)."""

    STARTED = "sla.clock.started.v1"
    PAUSED = "sla.clock.paused.v1"
    RESUMED = "sla.clock.resumed.v1"
    RESCHEDULED = "sla.clock.rescheduled.v1"
    CANCELLED = "sla.clock.cancelled.v1"
    WARNING = "sla.warning.v1"
    BREACHED = "sla.breached.v1"
    OVERDUE = "sla.overdue.v1"
    FULFILLED = "sla.fulfilled.v1"
    RECOVERED = "sla.recovered.v1"
    BREACH_RETRACTED = "sla.breach_retracted.v1"
    WAIVED = "sla.waived.v1"
    CONFIG_FAULT = "sla.config_fault.v1"


#: Of these a cycle has one per breach of its own, whatever its deadline has become since.
OF_A_BREACH = frozenset({FactKind.BREACHED, FactKind.BREACH_RETRACTED, FactKind.OVERDUE})


@dataclass(frozen=True, slots=True)
class Fact:
    """One published event; `at` is the instant it speaks of. What does not belong to its kind is None."""

    kind: FactKind
    at: datetime
    metric: Metric
    cycle: int
    gen: int
    target_s: int
    due_at: datetime | None = None
    #: The event that caused it; "" for timers.
    cause: str = ""
    policy_id: str = ""
    calendar_id: str = ""
    version: int = 0
    #: How many breaches of the cycle were taken back before it.
    retracted: int = 0
    #: A warning has one of the two.
    percent: int | None = None
    remaining_s: int | None = None
    #: The number of a repetition: 1, 2, 3 ...
    ordinal: int | None = None
    met: bool | None = None
    elapsed_s: int | None = None
    overdue_s: int | None = None
    overdue_wall_s: int | None = None
    reason: str | None = None
    #: The conversation's state that pauses it.
    state: str | None = None
    #: Fulfilled by an automation (8.4).
    automation: bool | None = None

    @property
    def threshold(self) -> int | None:
        """Percent, or seconds in the remaining form."""
        return self.remaining_s if self.percent is None else self.percent


def fact(clock: Clock, kind: FactKind, at: datetime, cause: str = "", **more: Any) -> Fact:
    """What is said of a clock as it is now."""
    terms = clock.terms
    return Fact(
        kind, at, clock.metric, clock.cycle, clock.gen, terms.target_s, clock.due_at, cause,
        terms.policy_id, terms.calendar_id, terms.version, clock.retracted, **more,
    )  # fmt: skip


def fact_key(fact: Fact) -> str:
    """Unique within a conversation, the same however often and by whomever the fact is found (9.5)."""
    which = str(fact.retracted) if fact.kind in OF_A_BREACH else str(fact.gen)
    if fact.kind is FactKind.OVERDUE:
        which = f"{which}/{fact.ordinal}"
    if fact.kind is FactKind.WARNING:
        which = f"{which}/{f'{fact.percent}%' if fact.remaining_s is None else f'{fact.remaining_s}s'}"
    return f"{fact.metric}/{fact.cycle}/{fact.kind}/{which}"


def breach_key(retraction: Fact) -> str:
    """The key of the breach that a retraction takes back."""
    return f"{retraction.metric}/{retraction.cycle}/{FactKind.BREACHED}/{retraction.retracted}"


def retraction_key(clock: Clock, number: int) -> str:
    """The key by which the taking back of a breach of the cycle is known: 0 is that of the first."""
    return f"{clock.metric}/{clock.cycle}/{FactKind.BREACH_RETRACTED}/{number}"
