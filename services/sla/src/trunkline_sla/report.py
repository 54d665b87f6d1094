"""What the numbers of a report mean, the days they are grouped by, and targets in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from trunkline_common.calendar_expansion import EPOCH, Wall
from trunkline_common.calendar_rules import DAY
from trunkline_common.calendar_zones import zone

LONGEST = timedelta(days=400)
#: A clock that ends for one of these is not judged: its promise was withdrawn, or goes on in another clock.
UNJUDGED = ("agent_started", "merged", "no_policy", "split")
WAIVED = "waived"

#: By the name of the field. A clock counts in the period in which it ended, by what it says now.
DEFINITIONS = {
    "met": "Clocks that were fulfilled no later than they were due; at the very instant is in time.",
    "missed": "Clocks that were fulfilled after they were due, or that were breached and then ended without what was "
    "promised, unless the promise was waived, withdrawn or carried on by another clock.",
    "waived": "Clocks that somebody ended for a stated reason without the answer they waited for, breached or not; "
    "neither met nor missed.",
    "cancelled": "Clocks that ended without a verdict: not breached, or their policy ceased to apply, or their "
    "conversation was merged or split, or their calendar had no answer; neither met nor missed.",
    "met_ratio": "met / (met + missed); absent where both are 0.",
    "elapsed_p50_s": "The counted seconds that half of the met and missed clocks did not exceed; always one that a "
    "clock really had.",
    "elapsed_p90_s": "The counted seconds that nine in ten of the met and missed clocks did not exceed; always one "
    "that a clock really had.",
    "seconds": "What the counted seconds are: business where any clock of the row was counted by a calendar of "
    "business hours, elapsed where every second counted for all of them. Paused time never counts.",
    "day": "The local date on which the clock ended, in the zone that was asked for.",
    "team": "The team of the conversation when the clock ended.",
    "channel": "The channel of the conversation.",
    "policy_id": "The policy the clock ran on when it ended.",
    "metric": "What the clock measured.",
}


@dataclass(frozen=True, slots=True)
class Grouping:
    """What rows are kept apart by, besides the metric."""

    team: bool = False
    channel: bool = False
    policy: bool = False
    day: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """One row: how clocks ended. The percentiles are None where none was met or missed."""

    metric: str
    team: str
    channel: str
    policy_id: str
    day: date | None
    met: int
    missed: int
    waived: int
    cancelled: int
    elapsed_p50_s: int | None
    elapsed_p90_s: int | None
    business: bool

    @property
    def met_ratio(self) -> float | None:
        """Of those that have a verdict."""
        judged = self.met + self.missed
        return self.met / judged if judged else None

    @property
    def seconds(self) -> str:
        """What the percentiles count."""
        return "business" if self.business else "elapsed"


def days(start: datetime, end: datetime, name: str) -> list[tuple[date, datetime]]:
    """Every local date of [start, end] with the instant it begins. Raises UnknownZone."""
    tz = zone(name)
    first, last = start.astimezone(tz).date(), end.astimezone(tz).date()
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [(day, _begins(day, Wall(tz))) for day in every]


def _begins(day: date, wall: Wall) -> datetime:
    """Local midnight: the first of two, and where there is none the instant of the change (10.3)."""
    return EPOCH + timedelta(seconds=wall.instant((day - EPOCH.date()).days * DAY))


# -- words

UNITS = (("h", 3600), ("min", 60), ("s", 1))


def target_text(seconds: int, calendar_id: str) -> str:
    """A target as people must see it (10.6): never days, and the calendar it is counted by; "" is always open."""
    words = " ".join(f"{amount} {unit}" for unit, amount in _parts(seconds) if amount) or "0 s"
    return f"{words} of calendar {calendar_id}" if calendar_id else words


def _parts(seconds: int) -> list[tuple[str, int]]:
    found = []
    for unit, size in UNITS:
        amount, seconds = divmod(seconds, size)
        found.append((unit, amount))
    return found
