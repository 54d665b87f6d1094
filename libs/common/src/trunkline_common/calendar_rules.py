"""A business calendar as it is written: frozen rules, their plain canonical form and its digest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Any

DAY = 86_400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


class HolidayScope(StrEnum):
    """What a holiday closes: its local date by the clock, or the shifts that begin on it (sla.md 10.4)."""

    CLOCK = "clock"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Local wall times in seconds of the day. `end` may be 24:00; end <= start ends on the next day, equal is 24 h."""

    start: int
    end: int

    @property
    def until(self) -> int:
        """The end, counted from the start's midnight."""
        return self.end if self.end > self.start else self.end + DAY


@dataclass(frozen=True, slots=True)
class Override:
    """The hours of one date in place of its weekday's, whatever holiday it is; none: nothing begins on it."""

    date: date
    hours: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """Closed from one wall time to another, by the clock, over everything else."""

    date: date
    window: Window


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours in a zone. `weekly` has seven entries, Monday first; `annual_holidays` are (month, day)."""

    zone: str
    weekly: tuple[tuple[Window, ...], ...]
    holidays: tuple[date, ...] = ()
    annual_holidays: tuple[tuple[int, int], ...] = ()
    overrides: tuple[Override, ...] = ()
    closures: tuple[Closure, ...] = ()
    holiday_scope: HolidayScope = HolidayScope.CLOCK


@dataclass(frozen=True, slots=True)
class AlwaysOpen:
    """Every second counts."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Open where all are open."""

    calendars: tuple[Rules, ...]


Rules = Hours | AlwaysOpen | AllOf


# -- wall times and days of the year as text


def seconds_of(text: str) -> int:
    """Seconds of the day of "HH:MM" or "HH:MM:SS"; "24:00" is the end of the day. Raises ValueError."""
    if text in ("24:00", "24:00:00"):
        return DAY
    if (found := TIME.fullmatch(text)) is None:
        raise ValueError(f'"{text}" is not a time of day "HH:MM" from 00:00 to 24:00')
    hours, minutes, seconds = found.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def time_of(seconds: int) -> str:
    """The text of a wall time, with seconds only where there are some."""
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def annual(text: str) -> tuple[int, int]:
    """Month and day of "MM-DD"; 02-29 falls in leap years only. Raises ValueError."""
    try:
        day = date.fromisoformat(f"2000-{text}") if len(text) == len("MM-DD") else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f'"{text}" is not a day of the year "MM-DD"')
    return day.month, day.day


# -- the canonical form: what a document says, in one way only


def to_dict(rules: Rules) -> dict[str, Any]:
    """The rules as a JSON-able document; the same for any order in which they were written."""
    match rules:
        case AlwaysOpen():
            return {"always_open": True}
        case AllOf(calendars):
            return {"all_of": sorted((to_dict(c) for c in calendars), key=canonical)}
        case Hours():
            return _hours_to_dict(rules)


def _hours_to_dict(rules: Hours) -> dict[str, Any]:
    said = {
        "holidays": sorted({d.isoformat() for d in rules.holidays}),
        "annual_holidays": sorted({f"{month:02}-{day:02}" for month, day in rules.annual_holidays}),
        "overrides": [
            {"date": o.date.isoformat(), "hours": _texts(o.hours)} for o in sorted(rules.overrides, key=_date)
        ],
        "closures": sorted(
            ({"date": c.date.isoformat(), **_ends(c.window)} for c in set(rules.closures)), key=canonical
        ),
        "weekly": {name: _texts(day) for name, day in zip(WEEKDAYS, rules.weekly, strict=True) if day},
    }
    scope = {"holiday_scope": rules.holiday_scope.value} if rules.holiday_scope is not HolidayScope.CLOCK else {}
    return {"tz": rules.zone, **{name: value for name, value in said.items() if value}, **scope}


def _date(item: Override) -> date:
    return item.date


def _texts(windows: Iterable[Window]) -> list[list[str]]:
    return [[time_of(w.start), time_of(w.end)] for w in sorted(set(windows))]


def _ends(window: Window) -> dict[str, str]:
    return {"from": time_of(window.start), "to": time_of(window.end)}


def from_dict(document: Mapping[str, Any]) -> Rules:
    """The rules of a document that was checked before; what strangers write goes through calendar_document."""
    if document.get("always_open"):
        return AlwaysOpen()
    if "all_of" in document:
        return AllOf(tuple(from_dict(c) for c in document["all_of"]))
    weekly = document.get("weekly", {})
    return Hours(
        zone=document["tz"],
        weekly=tuple(_windows(weekly.get(name, ())) for name in WEEKDAYS),
        holidays=tuple(date.fromisoformat(d) for d in document.get("holidays", ())),
        annual_holidays=tuple(annual(d) for d in document.get("annual_holidays", ())),
        overrides=tuple(
            Override(date.fromisoformat(o["date"]), _windows(o["hours"])) for o in document.get("overrides", ())
        ),
        closures=tuple(
            Closure(date.fromisoformat(c["date"]), _window([c["from"], c["to"]])) for c in document.get("closures", ())
        ),
        holiday_scope=HolidayScope(document.get("holiday_scope", HolidayScope.CLOCK)),
    )


def _windows(texts: Iterable[Sequence[str]]) -> tuple[Window, ...]:
    return tuple(map(_window, texts))


def _window(ends: Sequence[str]) -> Window:
    return Window(seconds_of(ends[0]), seconds_of(ends[1]))


def canonical(document: Mapping[str, Any]) -> str:
    """One text per document, whatever the order of its keys."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def digest(rules: Rules) -> str:
    """The content hash: equal for calendars that say the same."""
    return sha256(canonical(to_dict(rules)).encode()).hexdigest()
