"""One clock of the SLA engine: what it has counted, when it is due, how it changes. Nothing here knows of events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from trunkline_common.calendar import Calendar, CalendarFault

from trunkline_sla.evaluation_model import (
    Answer,
    Clock,
    Cycle,
    Interval,
    Metric,
    Phase,
    Standing,
    Terms,
)


def elapsed(clock: Clock, now: datetime) -> int:
    """Business seconds counted by `now`."""
    if clock.phase is not Phase.RUNNING:
        return clock.consumed
    return clock.consumed + counted(clock.terms.calendar, clock.since, now)


def counted(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Business seconds, never negative."""
    return max(0, calendar.between(start, end))


def due(clock: Clock) -> datetime | None:
    """The last instant in time; None unless it runs, or where the calendar has no answer (10.5)."""
    return reaches(clock, clock.terms.target_s) if clock.phase is Phase.RUNNING else None


def reaches(clock: Clock, goal: int) -> datetime | None:
    """When a running clock has counted so much: ahead by the calendar in force, or back in what was counted."""
    before = clock.consumed
    try:
        if goal >= before:
            return clock.terms.calendar.add(clock.since, goal - before)
        for part in reversed(clock.intervals):
            before -= part.seconds
            if goal > before and part.counted:
                return part.calendar.add(part.start, goal - before)
    except CalendarFault:
        return None
    return clock.started_at


def threshold(clock: Clock, percent: int) -> int:
    """The seconds of a warning, rounded up (9.1)."""
    return -(-percent * clock.terms.target_s // 100)


def passed(clock: Clock, now: datetime) -> int:
    """The highest warning already reached; 0 for none."""
    spent = elapsed(clock, now)
    return max((p for p in clock.terms.warnings if threshold(clock, p) <= spent), default=0)


def in_time(clock: Clock, at: datetime) -> bool | None:
    """Whether an end at that instant keeps the promise: the deadline itself does (7.3)."""
    if clock.phase is Phase.RUNNING:
        last = due(clock)
        return None if last is None else at <= last
    return clock.consumed < clock.terms.target_s + (clock.breached_at is None)


# -- changes


def turn(clock: Clock, at: datetime, phase: Phase, why: str) -> Clock:
    """The interval it is in ends, another one begins."""
    running = clock.phase is Phase.RUNNING
    seconds = counted(clock.terms.calendar, clock.since, at) if running else 0
    part = Interval(clock.since, at, running, seconds, clock.why, clock.terms.calendar)
    intervals = (*clock.intervals, part) if at > clock.since else clock.intervals
    return replace(
        clock, phase=phase, why=why, since=at, changed_at=at, intervals=intervals, consumed=clock.consumed + seconds
    )


def end(clock: Clock, at: datetime, phase: Phase, reason: str, *, stopped: bool = False) -> Clock:
    """Fulfilled or cancelled."""
    met = in_time(clock, at) if phase is Phase.FULFILLED else None
    ended = turn(clock, at, phase, reason)
    return replace(ended, ended_at=at, met=met, reason=reason, stopped=stopped)


def reopened(clock: Clock, at: datetime, *, counts: bool) -> Clock:
    """The same cycle runs again; the time it was stopped counts or does not (7.8)."""
    stopped = replace(clock, ended_at=None, met=None, reason=None, stopped=False)
    phase, why = (Phase.RUNNING, f"{clock.why}, which counts") if counts else (Phase.PAUSED, clock.why)
    return turn(replace(stopped, phase=phase, why=why), at, Phase.RUNNING, "running")


def under(clock: Clock, terms: Terms, at: datetime) -> Clock:
    """The same time counted, other terms from now on (7.9, 7.10)."""
    if terms.calendar is not clock.terms.calendar and clock.open:
        clock = turn(clock, at, clock.phase, clock.why)
    return replace(clock, terms=terms, changed_at=at)


# -- answers


def cycle_at(clock: Clock, now: datetime) -> Cycle:
    """How a cycle stands."""
    spent, target = elapsed(clock, now), clock.terms.target_s
    return Cycle(
        cycle=clock.cycle,
        state=_standing(clock),
        started_at=clock.started_at,
        ended_at=clock.ended_at,
        target_s=target,
        due_at=due(clock),
        elapsed_s=spent,
        diff_s=target - spent,
        met=clock.met,
        breached_at=clock.breached_at,
        reason=clock.reason,
        intervals=turn(clock, now, clock.phase, clock.why).intervals if clock.open else clock.intervals,
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
