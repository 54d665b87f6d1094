"""What a clock says by itself as time passes: warnings, the breach, its repetitions (sla.md 9.1 to 9.3).

clock, facts = fire(clock, now)
"""

from __future__ import annotations

from datetime import datetime

from trunkline_sla import evaluation_clocks as clocks
from trunkline_sla.evaluation_facts import Fact, FactKind, fact
from trunkline_sla.evaluation_model import Clock


def next_at(clock: Clock) -> datetime | None:
    """The earliest instant after which `fire` has something to say; None: nothing, unless an event changes it."""
    return clock.next_at


def fire(clock: Clock, now: datetime, *, inclusive: bool = False) -> tuple[Clock, tuple[Fact, ...]]:
    """What has passed before `now`, in order, and the clock that has said it.

    Inclusive: also at that very instant, where no event can precede it any more; never a breach, which is later (7.3).
    """
    found: list[Fact] = []
    while (at := clock.next_at) is not None and (at < now or (inclusive and at == now)):
        if at == now and clock.breached_at is None and at == clock.due_at:
            break
        clock, said = _fired(clock, max(at, clock.changed_at))  # nothing was late before a change made it so
        found.append(said)
    return clock, tuple(found)


def _fired(clock: Clock, at: datetime) -> tuple[Clock, Fact]:
    if clock.breached_at is not None:
        told = clock.repeats + 1
        clock = clock._replace(said_at=at, repeats=told, next_at=_repeats_at(clock, clock.breached_after, told))
        return clock, overdue(clock, at)
    if clock.next_at != clock.due_at:  # warnings are before the deadline
        code = _following(clock, clock.warned)
        clock = clock._replace(said_at=at, warned=code, next_at=_warns_at(clock, clock.due_at, code))
        return clock, warned(clock, at)
    spent = clocks.elapsed(clock, at)
    soon = _repeats_at(clock, spent, clock.repeats)
    clock = clock._replace(said_at=at, breached_at=at, breached_after=spent, next_at=soon)
    return clock, fact(clock, FactKind.BREACHED, at)


def warned(clock: Clock, at: datetime, cause: str = "") -> Fact:
    """The warning it has come to."""
    percent, left = (clock.warned, None) if clock.warned > 0 else (None, -clock.warned)
    return fact(clock, FactKind.WARNING, at, cause, percent=percent, remaining_s=left)


def overdue(clock: Clock, at: datetime, cause: str = "") -> Fact:
    """The repetition it has come to."""
    spent = max(0, clocks.elapsed(clock, at) - clock.terms.target_s)
    wall = int((at - clock.due_at).total_seconds()) if clock.due_at else 0
    return fact(clock, FactKind.OVERDUE, at, cause, ordinal=clock.repeats, overdue_s=spent, overdue_wall_s=wall)


# -- when


def armed(clock: Clock, at: datetime | None = None, gen: int | None = None, *, anew: bool = False) -> Clock:
    """With the instants that follow from the rest of it.

    At a change: with what the change jumped over as said, for of that only the highest is, once (9.2). Anew: what it
    has said and has not yet reached again will be said again.
    """
    gen = clock.gen if gen is None else gen
    last = clocks.due(clock) if clock.terms.live else None
    if last is None:
        return clock._replace(due_at=None, next_at=None, gen=gen)
    if clock.breached_at is not None:
        told = clock.repeats if at is None else max(clock.repeats, repeated(clock, at))
        return clock._replace(
            due_at=last, next_at=_repeats_at(clock, clock.breached_after, told), repeats=told, gen=gen
        )
    code = clock.warned if at is None or last < at else passed(clock, at)
    if not anew and _order(clock, code) < _order(clock, clock.warned):
        code = clock.warned
    return clock._replace(due_at=last, next_at=_warns_at(clock, last, code), warned=code, gen=gen)


def _warns_at(clock: Clock, last: datetime | None, told: int) -> datetime | None:
    """When it says the next thing after a warning: another one, or at its deadline the breach."""
    code = _following(clock, told)
    reached = clocks.reaches(clock, threshold(clock, code)) if code else None
    return last if reached is None or last is None or max(reached, clock.changed_at) >= last else reached


def _repeats_at(clock: Clock, breached_after: int, told: int) -> datetime | None:
    """When it says again that it has breached."""
    if not clock.terms.repeat_s or told >= clock.terms.max_repeats:
        return None
    return clocks.reaches(clock, _repetition(clock, breached_after, told + 1))


def _repetition(clock: Clock, breached_after: int, ordinal: int) -> int:
    """Counted seconds at which a breach is said again. The gaps are 1, 1, 2, 4, 8 ... x repeat_s, so that the n-th
    repetition comes 2^(n-1) x repeat_s after the breach; nothing is overdue before a target that was raised since."""
    return max(breached_after, clock.terms.target_s) + (clock.terms.repeat_s << (ordinal - 1))


def repeated(clock: Clock, now: datetime) -> int:
    """The number of the last repetition already reached."""
    spent, terms, reached = clocks.elapsed(clock, now), clock.terms, 0
    while (
        terms.repeat_s
        and reached < terms.max_repeats
        and _repetition(clock, clock.breached_after, reached + 1) <= spent
    ):
        reached += 1
    return reached


# -- warnings


def threshold(clock: Clock, code: int) -> int:
    """The counted seconds of a warning: percents are rounded up, negative codes are seconds left (9.1)."""
    return goal(clock.terms.target_s, code)


def goal(target_s: int, code: int) -> int:
    """See threshold."""
    return (code * target_s + 99) // 100 if code >= 0 else target_s + code


def _following(clock: Clock, code: int) -> int:
    """The warning after that one; 0: none."""
    return next((c for c in clock.terms.warnings if _order(clock, c) > _order(clock, code)), 0)


def _order(clock: Clock, code: int) -> tuple[int, int]:
    return threshold(clock, code), code


def jumped(clock: Clock, before: Clock, at: datetime, cause: str) -> Fact | None:
    """What is said of a jump from the clock as it was (9.2)."""
    if clock.repeats > before.repeats:
        return overdue(clock, at, cause)
    return warned(clock, at, cause) if _order(clock, clock.warned) > _order(clock, before.warned) else None


def passed(clock: Clock, now: datetime) -> int:
    """The highest warning already reached; 0 for none."""
    spent = clocks.elapsed(clock, now)
    return next((code for code in reversed(clock.terms.warnings) if threshold(clock, code) <= spent), 0)
