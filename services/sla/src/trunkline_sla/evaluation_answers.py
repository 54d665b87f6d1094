"""How the metrics of a conversation stand at an instant, for people and reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trunkline_sla import evaluation_clocks as clocks
from trunkline_sla.evaluation_facts import Fact
from trunkline_sla.evaluation_model import Clock, Interval, Metric, Phase


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


def cycle_at(clock: Clock, now: datetime) -> Cycle:
    """How a cycle stands."""
    spent, target = clocks.elapsed(clock, now), clock.terms.target_s
    return Cycle(
        cycle=clock.cycle,
        state=_standing(clock),
        started_at=clock.started_at,
        ended_at=clock.ended_at,
        target_s=target,
        due_at=clock.due_at,
        elapsed_s=spent,
        diff_s=target - spent,
        met=clock.met,
        breached_at=clock.breached_at,
        reason=clock.reason,
        intervals=clocks.turn(clock, now, clock.phase, clock.why).intervals if clock.open else clock.intervals,
    )


def _standing(clock: Clock) -> Standing:
    if clock.open:
        return Standing(clock.phase.value)
    if clock.phase is Phase.CANCELLED or clock.met is None:
        return Standing.STOPPED
    return Standing.MET if clock.met else Standing.BREACHED


def answer(metric: Metric, cycles: Iterable[Cycle]) -> Answer:
    """A metric by its cycles, in order."""
    every = tuple(cycles)
    if not every:
        return Answer(metric, Standing.NONE, None, None, None, None, None, None, ())
    finished = [c.elapsed_s for c in every if c.state in (Standing.MET, Standing.BREACHED)]
    last, worst = every[-1], max(finished, default=None)
    return Answer(
        metric, last.state, last.due_at, last.elapsed_s, last.diff_s, last.met, last.breached_at, worst, every
    )
