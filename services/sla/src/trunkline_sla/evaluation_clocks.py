"""One clock of the SLA engine: what it has counted, when it is due, how it changes. Nothing here knows of events."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from trunkline_common.calendar import Calendar, CalendarFault

from trunkline_sla.evaluation_model import Clock, Interval, Phase, Terms


def elapsed(clock: Clock, now: datetime) -> int:
    """Business seconds counted by `now`."""
    if clock.phase is not Phase.RUNNING or now <= clock.since:
        return clock.consumed
    return clock.consumed + counted(clock.terms.calendar, clock.since, now)


def counted(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Business seconds, never negative; none where the calendar has no answer, which due() makes a fault."""
    try:
        return max(0, calendar.between(start, end))
    except CalendarFault:
        return 0


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


def fault(clock: Clock) -> str:
    """Why it has no deadline."""
    try:
        clock.terms.calendar.add(clock.since, max(0, clock.terms.target_s - clock.consumed))
    except CalendarFault as found:
        return str(found)
    return ""


def in_time(clock: Clock, at: datetime) -> bool | None:
    """Whether an end at that instant keeps the promise: the deadline itself does (7.3)."""
    if clock.phase is Phase.RUNNING:
        last = due(clock)
        return None if last is None else at <= last
    return clock.consumed < clock.terms.target_s + (clock.breached_at is None)


# -- changes


def turn(clock: Clock, at: datetime, phase: Phase, why: str, cause: str = "", **more: Any) -> Clock:
    """The interval it is in ends, another one begins."""
    intervals, consumed = clock.intervals, clock.consumed
    if at > clock.since:
        part = _interval(clock, clock.since, at)
        intervals, consumed = (*intervals, part), consumed + part.seconds
    return clock._replace(
        phase=phase,
        why=why,
        cause=cause,
        since=at,
        changed_at=at,
        intervals=intervals,
        consumed=consumed,
        **more,
    )


def _interval(clock: Clock, start: datetime, end: datetime) -> Interval:
    """The part of its present interval between the two."""
    running, terms = clock.phase is Phase.RUNNING, clock.terms
    seconds = counted(terms.calendar, start, end) if running else 0
    return Interval(
        start, end, running, seconds, clock.why, terms.calendar, clock.cause, terms.calendar_id, terms.version
    )


def in_state(clock: Clock, status: str, at: datetime, cause: str = "") -> Clock:
    """Paused or running, as the conversation's state demands."""
    if status in clock.terms.pause_on:
        why = f"paused in {status}"
        return clock if why == clock.why else turn(clock, at, Phase.PAUSED, why, cause)
    return turn(clock, at, Phase.RUNNING, "running", cause) if clock.phase is Phase.PAUSED else clock


def end(clock: Clock, at: datetime, phase: Phase, reason: str, cause: str = "", *, stopped: bool = False) -> Clock:
    """Fulfilled or cancelled; its deadline has become null, which is another gen."""
    met = in_time(clock, at) if phase is Phase.FULFILLED else None
    end = {"ended_at": at, "met": met, "reason": reason, "stopped": stopped, "due_at": None, "next_at": None}
    return turn(clock, at, phase, reason, cause, gen=clock.gen + 1, **end)


def reopened(clock: Clock, at: datetime, cause: str = "", *, counts: bool) -> Clock:
    """The same cycle runs again; the time it was stopped counts or does not (7.8)."""
    phase, why = (Phase.RUNNING, f"{clock.why}, which counts") if counts else (Phase.PAUSED, clock.why)
    stopped = clock._replace(phase=phase, why=why, ended_at=None, met=None, reason=None, stopped=False)
    return turn(stopped, at, Phase.RUNNING, "running", cause)


def under(clock: Clock, terms: Terms, at: datetime, cause: str = "") -> Clock:
    """The same time counted, other terms from now on (7.9, 7.10)."""
    if clock.open and not _alike(terms.calendar, clock.terms.calendar):
        return turn(clock, at, clock.phase, clock.why, cause, terms=terms)
    return clock._replace(terms=terms, changed_at=at)


def _alike(one: Calendar, other: Calendar) -> bool:
    return one is other or (one.digest, one.tzdata) == (other.digest, other.tzdata)


def counting_from(clock: Clock, start: datetime, at: datetime) -> Clock:
    """As if it had begun at another instant, with the pauses that it has had since."""
    if start < clock.started_at:
        part = _interval(clock._replace(phase=Phase.RUNNING, why="running", cause=""), start, clock.started_at)
        kept, since = (part, *clock.intervals), clock.since
    else:
        kept = tuple(_after(part, start) for part in clock.intervals if part.end > start)
        since = max(clock.since, start)
    consumed = sum(part.seconds for part in kept)
    return clock._replace(started_at=start, changed_at=at, intervals=kept, consumed=consumed, since=since)


def _after(part: Interval, start: datetime) -> Interval:
    if part.start >= start:
        return part
    return replace(part, start=start, seconds=counted(part.calendar, start, part.end) if part.counted else 0)


def rewound(clock: Clock, to: datetime) -> Clock:
    """An open clock as it was at an earlier instant."""
    if clock.since <= to:
        return clock
    kept = tuple(part for part in clock.intervals if part.start < to)
    if not kept:
        return clock
    last = kept[-1]
    phase = Phase.RUNNING if last.counted else Phase.PAUSED
    consumed = sum(part.seconds for part in kept[:-1])
    return clock._replace(phase=phase, why=last.why, since=last.start, intervals=kept[:-1], consumed=consumed)
