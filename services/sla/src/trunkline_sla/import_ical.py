"""The all-day events of an iCal text as dates. The home of icalendar and recurring_ical_events.

A date is a date: it has no zone and no clock change. A text that cannot be read to its end gives no list at all, since
half a list would open on a holiday.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

from trunkline_sla.import_days import Found, SourceFailed, Years, plain

#: What decides on the dates of an event; an error in another property harms nothing.
DECIDING = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS", "UID")
#: Of rules that go by days; by the hour a rule only costs time.
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
#: For all rules together: the text of a stranger must not keep a nightly job for hours.
EXPAND_SECONDS = 60.0
DAY = timedelta(days=1)

Event = Any
Monotonic = Callable[[], float]


def find(content: bytes, source: str, years: Years, monotonic: Monotonic = time.monotonic) -> Found:
    """The dates of all-day events in the years; recurring ones expanded. Raises SourceFailed."""
    events = _events(content)
    deadline, days = monotonic() + EXPAND_SECONDS, dict[date, str]()
    for series in _series(events):
        if monotonic() > deadline:
            raise SourceFailed(f"its rules take longer than {EXPAND_SECONDS:.0f} s to expand")
        for event in _expanded(series, years):
            _add(days, event, years)
    timed, cancelled = sum(map(_is_timed, events)), sum(map(_is_cancelled, events))
    if not days:
        raise SourceFailed(f"no all-day event in {years} ({timed} timed and {cancelled} cancelled do not count)")
    return Found(source, dict(sorted(days.items())), timed, cancelled)


# -- reading


def _events(content: bytes) -> list[Event]:
    try:
        calendar = icalendar.Calendar.from_ical(content.decode("utf-8-sig"))
    except ValueError as error:
        raise SourceFailed(f"not iCal: {plain(str(error))}") from error
    if calendar.name != "VCALENDAR":
        raise SourceFailed("not iCal: no VCALENDAR")
    if (scale := str(calendar.get("CALSCALE", "GREGORIAN")).upper()) != "GREGORIAN":
        raise SourceFailed(f"counts by the calendar {plain(scale)}")
    events: list[Event] = calendar.walk("VEVENT")
    for event in events:
        if problem := _problem(event):
            raise SourceFailed(f"{_name(event)}: {plain(problem)}")
    return events


def _problem(event: Event) -> str | None:
    """Why the dates of an event cannot be known."""
    if wrong := [f"{name}: {why}" for name, why in event.errors if name in DECIDING]:
        return "; ".join(wrong)
    if twice := [
        n for n in ("DTSTART", "DTEND", "DURATION", "RRULE", "STATUS", "UID") if isinstance(event.get(n), list)
    ]:
        return f"{twice[0]} is there twice"
    if "DTSTART" not in event:
        return "DTSTART is missing"
    return None if _is_timed(event) else _whole_days(event)


def _whole_days(event: Event) -> str | None:
    end, rule = event.get("DTEND"), event.get("RRULE")
    if end is not None and (isinstance(end.dt, datetime) or end.dt < event["DTSTART"].dt):
        return "DTEND is no date after DTSTART"
    if rule is not None and rule.get("FREQ", [""])[0] not in FREQUENCIES:
        return f"RRULE does not go by days: {rule.to_ical().decode()}"
    return None


def _is_timed(event: Event) -> bool:
    return isinstance(event["DTSTART"].dt, datetime)


def _is_cancelled(event: Event) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _name(event: Event) -> str:
    return plain(str(event.get("SUMMARY") or event.get("UID") or "an event without a name"))


# -- expanding


def _series(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Events of one UID: one that recurs and what became of single occurrences. Series that are timed throughout
    stay out; a changed occurrence stays in whatever it became, for it replaces a day."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(str(event.get("UID", "")), []).append(event)
    for group in groups.values():
        if not all(map(_is_timed, group)):
            yield [e for e in group if "RECURRENCE-ID" in e or not _is_timed(e)]


def _expanded(series: list[Event], years: Years) -> list[Event]:
    calendar = icalendar.Calendar()
    for event in series:
        calendar.add_component(event)
    low, high = date(years.first, 1, 1), date(years.last + 1, 1, 1)
    try:
        found: list[Event] = recurring_ical_events.of(calendar).between(low, high)
    except Exception as error:  # it raises whatever a strange event leads to; none of it is ours
        raise SourceFailed(f"{_name(series[0])}: cannot be expanded: {plain(repr(error))}") from error
    return found


def _add(days: dict[date, str], event: Event, years: Years) -> None:
    if _is_timed(event) or _is_cancelled(event):
        return
    first = event["DTSTART"].dt
    last = max(first, event["DTEND"].dt - DAY)  # the end is exclusive; no length at all is one day
    day = max(first, date(years.first, 1, 1))
    while day <= last and day in years:
        days.setdefault(day, _name(event))
        day += DAY
