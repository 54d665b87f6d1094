"""Open time counted minute by minute from a calendar document: a wall clock is walked and the document is asked.

It shares no code with the product: no intervals, no map from wall times to instants, no parser.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

Document = dict[str, Any]
Windows = Sequence[Sequence[str]]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE, DAY_MINUTES = timedelta(minutes=1), 24 * 60
#: What is walked: days before and after midnight UTC of the middle, and first as long as a clock put back may lag.
BEFORE, AFTER, LAG = 3 * DAY_MINUTES, 4 * DAY_MINUTES, DAY_MINUTES
WALKED = BEFORE + AFTER
SECONDS = 60 * WALKED


@lru_cache
def zone(name: str) -> ZoneInfo:
    """From the pinned package, whatever the machine has."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def begin(middle: date) -> datetime:
    """When the walk begins."""
    return datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - MINUTE * BEFORE


@lru_cache(maxsize=2000)
def furthest(name: str, middle: date) -> Sequence[int]:
    """The latest wall time shown so far, minute by minute, in minutes since the year 1.

    A wall time has come when the clock first shows it or a later one (10.3). So one that the clock skips comes with
    the transition, and while an hour is shown again none comes.
    """
    shown, latest, where, at = array("i"), 0, zone(name), begin(middle) - MINUTE * LAG
    for _ in range(LAG + WALKED):
        wall = at.astimezone(where)
        latest = max(latest, wall.toordinal() * DAY_MINUTES + wall.hour * 60 + wall.minute)
        shown.append(latest)
        at += MINUTE
    return shown[LAG:]


def open_minutes(document: Document, middle: date) -> bytes:
    """One byte for each UTC minute of the walk: 1 where the document is open."""
    if document.get("always_open"):
        return b"\1" * WALKED
    if parts := document.get("all_of"):
        return bytes(map(all, zip(*(open_minutes(part, middle) for part in parts), strict=True)))
    reader = Reader(document)
    return bytes(reader.open(*divmod(minute, DAY_MINUTES)) for minute in furthest(document["tz"], middle))


class Reader:
    """One document with hours, asked about one minute of one local date."""

    def __init__(self, document: Document) -> None:
        self._weekly: dict[str, Windows] = document["weekly"]
        self._overrides: dict[str, Windows] = {o["date"]: o["hours"] for o in document.get("overrides", ())}
        self._closures = [(c["date"], [c["from"], c["to"]]) for c in document.get("closures", ())]
        self._holidays = {*document.get("holidays", ()), *document.get("annual_holidays", ())}
        self._by_clock = document.get("holiday_scope", "clock") == "clock"
        self._read: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}

    def open(self, day: int, minute: int) -> bool:
        """Within a window and no closure."""
        if day not in self._read:
            self._read[day] = list(self._opened(day)), list(self._closed(day))
        opened, closed = self._read[day]
        return any(a <= minute < b for a, b in opened) and not any(a <= minute < b for a, b in closed)

    def _opened(self, day: int) -> Iterator[tuple[int, int]]:
        """What begins on the date and what is left of the day before; nothing but an override on a holiday (10.4)."""
        today, yesterday = self._begins(day), self._begins(day - 1)
        if self._by_clock and self._holiday(day):
            today, yesterday = self._overrides.get(_text(day), ()), ()
        yield from map(_span, today)
        yield from ((a - DAY_MINUTES, b - DAY_MINUTES) for a, b in map(_span, yesterday))

    def _begins(self, day: int) -> Windows:
        if _text(day) in self._overrides:
            return self._overrides[_text(day)]
        if self._holiday(day) and not self._by_clock:
            return ()
        return self._weekly.get(WEEKDAYS[date.fromordinal(day).weekday()], ())

    def _holiday(self, day: int) -> bool:
        return _text(day) in self._holidays or _text(day)[5:] in self._holidays

    def _closed(self, day: int) -> Iterator[tuple[int, int]]:
        for began, ends in self._closures:
            past = (day - date.fromisoformat(began).toordinal()) * DAY_MINUTES
            yield _span(ends)[0] - past, _span(ends)[1] - past


def _text(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _span(ends: Sequence[str]) -> tuple[int, int]:
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in ends)
    return start, end if end > start else end + DAY_MINUTES


class Counted:
    """Answers by walking on or back, in seconds since the walk began; None where it ends first."""

    def __init__(self, minutes: bytes) -> None:
        self.minutes = minutes

    def between(self, a: int, b: int) -> int:
        return self._passed(b) - self._passed(a)

    def _passed(self, at: int) -> int:
        return 60 * self.minutes.count(1, 0, at // 60) + (at % 60 if self.is_open(at) else 0)

    def is_open(self, at: int) -> bool:
        return at < SECONDS and self.minutes[at // 60] == 1

    def add(self, at: int, seconds: int) -> int | None:
        while at < SECONDS:
            step = 60 - at % 60
            if self.is_open(at):
                if seconds <= step:
                    return at + seconds
                seconds -= step
            at += step
        return None

    def subtract(self, at: int, seconds: int) -> int | None:
        if seconds == 0 and self.is_open(at):
            return at
        while at > 0:
            step = (at - 1) % 60 + 1
            if self.is_open(at - 1):
                if seconds <= step:
                    return at - seconds
                seconds -= step
            at -= step
        return None

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Open from, to."""
        found = (list(group) for value, group in groupby(range(WALKED), self.minutes.__getitem__) if value)
        return [(60 * group[0], 60 * group[-1] + 60) for group in found]
