"""Business time: what a calendar's rules mean in UTC (sla.md section 10). Pure: no clock, no service, no configuration.

    calendar = Calendars().get(rules, anchor=now)
    due = calendar.add(message_at, 7200)

Counts are whole elapsed seconds; instants are aware, floored to the second, and come back in UTC.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final, Self

from trunkline_common.calendar_expansion import EPOCH, Intervals, expand, merge
from trunkline_common.calendar_rules import DAY, Rules, digest
from trunkline_common.calendar_zones import tzdata_version

#: What is expanded at once around the anchor: 13 months back, 25 ahead; then whole years as they are asked for.
BACK, AHEAD, YEAR = 396 * DAY, 762 * DAY, 366 * DAY
#: Ten years: from the anchor to an instant asked about, and from there to the answer.
REACH: Final = 3653 * DAY
#: Without open time for so long, a calendar is a mistake and no deadline (10.5).
BARREN: Final = 366 * DAY
SECOND = timedelta(seconds=1)


class CalendarFault(Exception):
    """The calendar has no answer: nothing opens within 366 days, or the answer is more than ten years away.

    The caller publishes a fault; counting on by the wall clock would announce breaches that are none.
    """


@dataclass(frozen=True, slots=True)
class Expansion:
    """The open intervals in [low, high): starts, ends, and the open seconds before each with the total at the end."""

    low: int
    high: int
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    totals: tuple[int, ...]

    @classmethod
    def of(cls, low: int, high: int, intervals: Intervals) -> Self:
        starts, ends = tuple(s for s, _ in intervals), tuple(e for _, e in intervals)
        return cls(low, high, starts, ends, tuple(accumulate((e - s for s, e in intervals), initial=0)))

    def position(self, at: int) -> int:
        """Open seconds from `low` to `at`."""
        i = bisect_right(self.starts, at) - 1
        return 0 if i < 0 else self.totals[i] + min(at, self.ends[i]) - self.starts[i]

    def closing(self, position: int) -> int:
        """The earliest instant at a position, which must be inside: a closing edge rather than the opening after it."""
        i = bisect_left(self.totals, position) - 1
        return self.starts[i] + position - self.totals[i]

    def opening(self, position: int) -> int:
        """The latest instant at a position, which must be inside: an opening edge rather than the closing before it."""
        i = bisect_right(self.totals, position) - 1
        return self.starts[i] + position - self.totals[i]


class Calendar:
    """One calendar at one release of the zone data. An answer depends on the rules and the question alone.

    Every method raises CalendarFault where there is no answer, also for instants over ten years from the anchor.
    """

    def __init__(self, rules: Rules, anchor: datetime) -> None:
        self.rules, self.digest, self.tzdata = rules, digest(rules), tzdata_version()
        self._anchor = _seconds(anchor)
        low, high = self._anchor - BACK, self._anchor + AHEAD
        self._known = Expansion.of(low, high, expand(rules, low, high))

    def __repr__(self) -> str:
        return f"Calendar({self.digest[:12]}, tzdata {self.tzdata})"

    def add(self, at: datetime, seconds: int) -> datetime:
        """The instant after that much open time: a closing edge, not the next opening. 0: the next open instant."""
        start = self._asked(at)
        opens = self._next_open(start)
        if _counted(seconds) == 0:
            return _instant(opens)
        while (goal := self._known.position(start) + seconds) > self._known.totals[-1]:
            self._grow_ahead(start)
        return self._answer(start, self._known.closing(goal))

    def subtract(self, at: datetime, seconds: int) -> datetime:
        """The mirror of `add`: an opening edge. 0: `at` if it is open, else when it last closed."""
        end = self._asked(at)
        self._cover(end, end)
        if _counted(seconds) == 0:
            return self._answer(end, self._last_open(end))
        while (goal := self._known.position(end) - seconds) < 0:
            self._grow_back(end)
        return self._answer(end, self._known.opening(goal))

    def between(self, start: datetime, end: datetime) -> int:
        """Open seconds from start to end, negative if end is earlier."""
        a, b = self._asked(start), self._asked(end)
        if abs(b - a) > REACH:
            raise CalendarFault(f"{_text(a)} and {_text(b)} are more than ten years apart")
        self._cover(min(a, b), max(a, b))
        return self._known.position(b) - self._known.position(a)

    def is_open(self, at: datetime) -> bool:
        """Half-open: the opening instant is inside, the closing instant is not."""
        asked = self._asked(at)
        self._cover(asked, asked)
        i = bisect_right(self._known.ends, asked)
        return i < len(self._known.starts) and self._known.starts[i] <= asked

    def next_open(self, at: datetime) -> datetime:
        """`at` if it is open, else when it opens next."""
        return _instant(self._next_open(self._asked(at)))

    def periods(self, at: datetime, count: int) -> list[tuple[datetime, datetime | None]]:
        """The next open periods from `at` on; an open one begins at `at`.

        None for an end over ten years away; fewer than `count` where ten years hold no more.
        """
        start = self._asked(at)
        self._cover(start, start)
        while not self._settled(start, count) and self._known.high <= start + REACH:
            self._grow_ahead(start)
        first, last = bisect_right(self._known.ends, start), bisect_right(self._known.starts, start + REACH)
        return [self._period(i, start) for i in range(first, min(last, first + count))]

    def _settled(self, start: int, count: int) -> bool:
        """Whether that many periods end before the expansion does: the last one may go on."""
        return bisect_left(self._known.ends, self._known.high) - bisect_right(self._known.ends, start) >= count

    def _period(self, i: int, start: int) -> tuple[datetime, datetime | None]:
        opens, closes = max(start, self._known.starts[i]), self._known.ends[i]
        return _instant(opens), _instant(closes) if closes <= start + REACH else None

    def _next_open(self, at: int) -> int:
        self._cover(at, at + BARREN)
        i = bisect_right(self._known.ends, at)
        if i == len(self._known.starts) or self._known.starts[i] > at + BARREN:
            raise CalendarFault(f"no open time in the 366 days after {_text(at)}")
        return max(at, self._known.starts[i])

    def _last_open(self, at: int) -> int:
        while (i := bisect_right(self._known.starts, at) - 1) < 0:
            self._grow_back(at)
        return min(at, self._known.ends[i])

    def _answer(self, asked: int, found: int) -> datetime:
        if abs(found - asked) > REACH:
            raise _too_far(asked)
        return _instant(found)

    # -- what is expanded

    def _asked(self, at: datetime) -> int:
        asked = _seconds(at)
        if abs(asked - self._anchor) > REACH:
            raise CalendarFault(f"{_text(asked)} is more than ten years from {_text(self._anchor)}")
        return asked

    def _cover(self, low: int, high: int) -> None:
        while high >= self._known.high:
            self._ahead()
        while low < self._known.low:
            self._back()

    def _grow_ahead(self, asked: int) -> None:
        if self._known.high > asked + REACH:
            raise _too_far(asked)
        self._ahead()

    def _grow_back(self, asked: int) -> None:
        if self._known.low < asked - REACH:
            raise _too_far(asked)
        self._back()

    def _ahead(self) -> None:
        known = self._known
        high = known.high + YEAR
        self._known = Expansion.of(known.low, high, merge([*_pairs(known), *expand(self.rules, known.high, high)]))

    def _back(self) -> None:
        known = self._known
        low = known.low - YEAR
        self._known = Expansion.of(low, known.high, merge([*expand(self.rules, low, known.low), *_pairs(known)]))


class Calendars:
    """Expanded calendars, shared by content, release of the zone data and month of the anchor; the least used go."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._shared: OrderedDict[tuple[str, str, int, int], Calendar] = OrderedDict()

    def get(self, rules: Rules, anchor: datetime) -> Calendar:
        """The calendar of these rules around that time: the same object for all who say the same."""
        month = _instant(_seconds(anchor)).replace(day=1, hour=0, minute=0, second=0)
        key = (digest(rules), tzdata_version(), month.year, month.month)
        if (found := self._shared.get(key)) is None:
            found = self._shared[key] = Calendar(rules, month)
        self._shared.move_to_end(key)
        if len(self._shared) > self._limit:
            self._shared.popitem(last=False)
        return found


def _pairs(known: Expansion) -> Intervals:
    return list(zip(known.starts, known.ends, strict=True))


def _counted(seconds: int) -> int:
    if seconds < 0:
        raise ValueError(f"{seconds} is not a duration; add and subtract take 0 or more")
    return seconds


def _seconds(at: datetime) -> int:
    """Whole seconds since 1970; a naive datetime is a TypeError."""
    return (at - EPOCH) // SECOND


def _instant(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _text(seconds: int) -> str:
    return _instant(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _too_far(asked: int) -> CalendarFault:
    return CalendarFault(f"the answer for {_text(asked)} is more than ten years away")
