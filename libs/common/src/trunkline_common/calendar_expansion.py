"""Rules become disjoint merged half-open intervals [s, e) of UTC seconds (sla.md 10.2 to 10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import TypeAlias
from zoneinfo import ZoneInfo

from trunkline_common.calendar_rules import DAY, AllOf, AlwaysOpen, HolidayScope, Hours, Rules, Window
from trunkline_common.calendar_zones import zone

Intervals: TypeAlias = list[tuple[int, int]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall time: the zone comes when it is mapped
FIRST_DAY = date(1970, 1, 1).toordinal()
#: A window that touches an interval begins at most this many dates before it: its own length and the zone's offset.
MARGIN = 2


def expand(rules: Rules, low: int, high: int) -> Intervals:
    """When the calendar is open in [low, high). What lies inside does not depend on the bounds."""
    match rules:
        case AlwaysOpen():
            return [(low, high)]
        case AllOf(calendars):
            return reduce(intersect, (expand(c, low, high) for c in calendars))
        case Hours():
            wall, days = Wall(zone(rules.zone)), range(low // DAY - MARGIN, high // DAY + MARGIN + 1)
            opened = merge(wall.interval(*piece) for piece in _opened(rules, days))
            closed = merge(wall.interval(*piece) for piece in _closed(rules, days))
            return intersect(subtract(opened, closed), [(low, high)])


# -- which wall times are open: pieces (start, end) in local seconds since 1970


def _opened(rules: Hours, days: range) -> Iterator[tuple[int, int]]:
    """The windows of every date, without what holidays take."""
    holidays = frozenset(_number(day) for day in rules.holidays)
    annual = frozenset(rules.annual_holidays)
    overrides = {_number(o.date): o.hours for o in rules.overrides}
    shift = rules.holiday_scope is HolidayScope.SHIFT

    def holiday(day: int) -> bool:
        return day in holidays or (bool(annual) and _month_day(day) in annual)

    for day in days:
        own = overrides.get(day)
        closed = own is None and holiday(day)
        for window in rules.weekly[(day + 3) % 7] if own is None else own:
            if not (shift and closed):
                tail = shift or window.until <= DAY or not holiday(day + 1)
                yield from _pieces(day * DAY, window, head=not closed, tail=tail)


def _pieces(midnight: int, window: Window, *, head: bool, tail: bool) -> Iterator[tuple[int, int]]:
    """The part of a window on its own date and the part on the next; a whole one stays whole."""
    start, end, next_midnight = midnight + window.start, midnight + window.until, midnight + DAY
    if head:
        yield start, end if tail else min(end, next_midnight)
    elif tail and end > next_midnight:
        yield next_midnight, end


def _closed(rules: Hours, days: range) -> Iterator[tuple[int, int]]:
    for closure in rules.closures:
        if (day := _number(closure.date)) in days:
            yield day * DAY + closure.window.start, day * DAY + closure.window.until


def _number(day: date) -> int:
    return day.toordinal() - FIRST_DAY


def _month_day(day: int) -> tuple[int, int]:
    found = date.fromordinal(day + FIRST_DAY)
    return found.month, found.day


class Wall:
    """Wall times of a zone. The map is monotone, so adjacent windows tile and never overlap (10.3)."""

    def __init__(self, tz: ZoneInfo) -> None:
        self._zone = tz

    def interval(self, start: int, end: int) -> tuple[int, int]:
        """UTC seconds of a piece of wall time; empty where the clock skips all of it."""
        return self.instant(start), self.instant(end)

    def instant(self, wall: int) -> int:
        """An ambiguous time is its first occurrence; one in a gap is the transition."""
        local = (LOCAL_EPOCH + timedelta(seconds=wall)).replace(tzinfo=self._zone)
        before, after = _offset(local), _offset(local.replace(fold=1))
        if before >= after:
            return wall - before
        return self._transition(wall - after, wall - before)

    def _transition(self, low: int, high: int) -> int:
        """The first second after `low` with another offset than at `low`."""
        old = self._offset_at(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset_at(middle) == old else (low, middle)
        return high

    def _offset_at(self, instant: int) -> int:
        return _offset((EPOCH + timedelta(seconds=instant)).astimezone(self._zone))


def _offset(local: datetime) -> int:
    offset = local.utcoffset() or timedelta()
    return offset.days * DAY + offset.seconds


# -- algebra of intervals


def merge(intervals: Iterable[tuple[int, int]]) -> Intervals:
    """Sorted, not empty, and joined where they touch."""
    merged: Intervals = []
    for start, end in sorted(i for i in intervals if i[0] < i[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def intersect(left: Intervals, right: Intervals) -> Intervals:
    """What lies in both of two merged lists."""
    found: Intervals = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            found.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return found


def subtract(left: Intervals, right: Intervals) -> Intervals:
    """What lies in the first of two merged lists and not in the second."""
    if not left or not right:
        return left
    low, high = min(left[0][0], right[0][0]), max(left[-1][1], right[-1][1])
    edges = [low, *(edge for interval in right for edge in interval), high]
    return intersect(left, [gap for gap in zip(edges[::2], edges[1::2], strict=True) if gap[0] < gap[1]])
