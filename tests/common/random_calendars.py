"""Calendar documents at random: something of everything, and most of it near a change of the zone's clocks."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import cache

from tests.common.calendar_counter import DAY_MINUTES, MINUTE, WEEKDAYS, Document, zone

ODD = (
    "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca", "Pacific/Apia", "Asia/Kathmandu", "Antarctica/Troll",
)  # fmt: skip
OTHERS = (
    "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "Asia/Tokyo", "UTC",  # ordinary
    "America/Havana", "America/Santiago", "Africa/Cairo", "Atlantic/Azores", "Asia/Gaza",  # at or over midnight
    "America/Caracas", "Asia/Pyongyang", "Pacific/Norfolk",  # by half an hour, once
    "America/Nuuk", "Antarctica/Casey",  # over a date's end, by three hours
)  # fmt: skip
SKIPPED = date(2011, 12, 30)  # in Apia
YEARS = range(2005, 2041)
DAY = timedelta(days=1)


@cache
def changes(name: str) -> list[tuple[datetime, tuple[int, ...]]]:
    """Every change of a zone's clocks: the minute, and the wall times of the day before and after it."""
    found, at = [], datetime(YEARS[0], 1, 1, tzinfo=UTC)
    while at.year in YEARS:
        low, at = at, at + DAY
        if _offset(low, name) != _offset(at, name):
            high = at
            while high - low > MINUTE:
                half = low + (high - low) // 2 // MINUTE * MINUTE
                low, high = (half, high) if _offset(half, name) == _offset(low, name) else (low, half)
            found.append((high, tuple(_minute_of(high + _offset(moment, name)) for moment in (low, high))))
    return found


def _offset(at: datetime, name: str) -> timedelta:
    return at.astimezone(zone(name)).utcoffset() or timedelta()


def _minute_of(wall: datetime) -> int:
    return wall.hour * 60 + wall.minute


class Maker:
    """Calendars with something of everything; the same for the same chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.middle = date(YEARS[0], 1, 1)
        self._walls: tuple[int, ...] = (0,)

    def calendar(self) -> Document:
        """Hours, or the common part of several; `middle` is then the date it is about."""
        name = self._zone()
        self.middle = self._around(name)
        if self.chance.random() < 0.12:
            return {"all_of": [self._hours(name), *(self._part() for _ in range(self.chance.randint(1, 2)))]}
        return self._hours(name)

    def _zone(self) -> str:
        return self.chance.choice(ODD if self.chance.random() < 0.7 else OTHERS)

    def _around(self, name: str) -> date:
        """A change of the clocks; at times a quiet date or the end of a February."""
        if name == "Pacific/Apia" and self.chance.random() < 0.5:
            return SKIPPED
        if (known := changes(name)) and self.chance.random() < 0.85:
            return self.chance.choice(known)[0].date()
        quiet = date(YEARS[0], 1, 1) + DAY * self.chance.randrange(365 * len(YEARS))
        return self.chance.choice([quiet, date(quiet.year, 3, 1) - DAY])

    def _part(self) -> Document:
        drawn = self.chance.random()
        if drawn < 0.1:
            return {"always_open": True}
        hours = self._hours(self._zone())
        return {"all_of": [hours]} if drawn < 0.2 else hours

    def _hours(self, name: str) -> Document:
        near = [walls for at, walls in changes(name) if abs(at.date() - self.middle) < 5 * DAY]
        self._walls = near[0] if near else (0, 120)
        alike, one = self._windows(3), self.chance.random() < 0.4
        weekly = {day: alike if one else self._windows(3) for day in WEEKDAYS}
        document: Document = {"tz": name, "weekly": {day: windows for day, windows in weekly.items() if windows}}
        if not document["weekly"]:
            document["weekly"] = {self.chance.choice(WEEKDAYS): [self._window()]}
        said = {
            "holidays": self._dates(2),
            "annual_holidays": [day[5:] for day in self._dates(1)],
            "overrides": [{"date": day, "hours": self._windows(2)} for day in self._dates(2)],
            "closures": [self._closure(day) for day in self._dates(2)],
            "holiday_scope": self.chance.choice(["", "clock", "shift", "shift"]),
        }
        return document | {name: value for name, value in said.items() if value}

    def _dates(self, most: int) -> list[str]:
        days = self.chance.sample(range(-4, 5), self.chance.choice([0, *range(most + 1)]))
        return [(self.middle + DAY * n).isoformat() for n in days]

    def _closure(self, day: str) -> Document:
        start, end = self._window()
        return {"date": day, "from": start, "to": end}

    def _windows(self, most: int) -> list[list[str]]:
        return [self._window() for _ in range(self.chance.randint(0, most))]

    def _window(self) -> list[str]:
        """In order, overnight, to midnight or round the clock."""
        start, end = sorted((self._minute(), self._minute()))
        ends = self.chance.choices([(start, end), (end, start), (start, DAY_MINUTES), (start, start)], [5, 3, 1, 1])[0]
        return [f"{minute // 60:02}:{minute % 60:02}" for minute in ends]

    def _minute(self) -> int:
        """Of the day, and often about when the clocks change."""
        near = self.chance.choice(self._walls) + self.chance.choice([-60, -30, -15, -1, 0, 0, 0, 0, 1, 15, 30, 60])
        step = self.chance.choice([1, 5, 15, 30, 60])
        return self.chance.choice([near % DAY_MINUTES, self.chance.randrange(DAY_MINUTES) // step * step])
