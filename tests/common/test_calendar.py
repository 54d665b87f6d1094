"""Business time: a table row for each rule of sla.md section 10. The figures are worked out by hand from the offsets:
Berlin is UTC+1, and UTC+2 from 29 March 2026 01:00Z to 25 October 2026 01:00Z. 20 November 2026 is a Friday."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from trunkline_common import calendar_rules as written
from trunkline_common.calendar import BARREN, REACH, Calendar, CalendarFault, Calendars
from trunkline_common.calendar_rules import AllOf, AlwaysOpen, Rules
from trunkline_common.calendar_zones import UnknownZone, names, tzdata_version, zone

WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
NINE_TO_FIVE = {day: [["09:00", "17:00"]] for day in WORKDAYS}
NIGHTS = {day: [["22:00", "06:00"]] for day in ("thu", "fri", "sat", "sun")}


def utc(text: str) -> datetime:
    """An instant written without its Z."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(weekly: dict[str, Any] | None = None, tz: str = "Europe/Berlin", **more: Any) -> Rules:
    """Mon-Fri 09-17 in Berlin unless said otherwise."""
    return written.from_dict({"tz": tz, "weekly": NINE_TO_FIVE if weekly is None else weekly, **more})


def at(rules: Rules, anchor: str = "2026-11-20T00:00") -> Calendar:
    """The calendar around an anchor."""
    return Calendar(rules, utc(anchor))


OFFICE = at(hours())


@pytest.mark.parametrize(
    ("start", "seconds", "end"),
    [
        ("2026-11-20T15:30", 1800, "2026-11-20T16:00"),  # the closing edge, not Monday's opening
        ("2026-11-20T15:30", 1801, "2026-11-23T08:00:01"),
        ("2026-11-20T15:30", 3600, "2026-11-23T08:30"),  # Friday 16:30 + 1 h
        ("2026-11-20T05:00", 60, "2026-11-20T08:01"),  # before opening
        ("2026-11-20T16:00", 60, "2026-11-23T08:01"),  # at the closing instant
        ("2026-11-21T12:00", 28800, "2026-11-23T16:00"),  # weekend, a whole day
        ("2026-11-20T16:00", 0, "2026-11-23T08:00"),  # nothing: the next open instant
        ("2026-11-20T08:00", 0, "2026-11-20T08:00"),
        ("2026-12-31T15:30", 3600, "2027-01-01T08:30"),  # the year ends on a Thursday
        ("2028-02-28T15:30", 3600, "2028-02-29T08:30"),  # leap day, a Tuesday
        ("2026-03-27T15:30", 3600, "2026-03-30T07:30"),  # over the spring change
        ("2026-10-23T14:30", 3600, "2026-10-26T08:30"),  # over the autumn change
    ],
)
def test_add_counts_open_time_to_the_closing_edge(start: str, seconds: int, end: str) -> None:
    """Mon-Fri 09-17 in Berlin."""
    assert OFFICE.add(utc(start), seconds) == utc(end)


@pytest.mark.parametrize(
    ("end", "seconds", "start"),
    [
        ("2026-11-23T09:00", 3600, "2026-11-23T08:00"),  # the opening edge, not Friday's closing
        ("2026-11-23T08:30", 3600, "2026-11-20T15:30"),
        ("2026-11-21T12:00", 60, "2026-11-20T15:59"),
        ("2026-11-21T12:00", 0, "2026-11-20T16:00"),  # nothing: since when it is closed
        ("2026-11-20T10:00", 0, "2026-11-20T10:00"),
        ("2026-11-23T08:00", 0, "2026-11-23T08:00"),
    ],
)
def test_subtract_counts_back_to_the_opening_edge(end: str, seconds: int, start: str) -> None:
    """The mirror of add."""
    assert OFFICE.subtract(utc(end), seconds) == utc(start)


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("2026-11-16T00:00", "2026-11-23T00:00", 144_000),
        ("2026-11-20T15:30", "2026-11-23T08:30", 3600),
        ("2026-11-23T08:30", "2026-11-20T15:30", -3600),
        ("2026-11-20T15:30", "2026-11-20T15:30", 0),
        ("2026-01-01T00:00", "2026-12-31T23:00", 261 * 28_800),  # 365 days from a Thursday: 52 weeks and one workday
    ],
)
def test_between_is_signed(start: str, end: str, seconds: int) -> None:
    """Open seconds, negative when the end is earlier."""
    assert OFFICE.between(utc(start), utc(end)) == seconds


def test_an_interval_is_half_open() -> None:
    """09:00 is inside, 17:00 is not."""
    assert [OFFICE.is_open(utc(f"2026-11-20T{t}")) for t in ("07:59:59", "08:00", "15:59:59", "16:00")] == [
        *(False, True, True, False)
    ]
    assert OFFICE.next_open(utc("2026-11-20T16:00")) == utc("2026-11-23T08:00")


Opened = list[tuple[str, str]]

#: What is written, the instant asked from, and the open periods that follow it.
TABLE: dict[str, tuple[Rules, Opened]] = {
    "lunch gap": (
        hours({"mon": [["09:00", "12:00"], ["13:00", "17:00"]]}),
        [("2026-11-23T08:00", "2026-11-23T11:00"), ("2026-11-23T12:00", "2026-11-23T16:00")],
    ),
    "windows that touch or overlap are one": (
        hours({"mon": [["13:00", "17:00"], ["09:00", "12:00"], ["11:00", "13:00"]]}),
        [("2026-11-23T08:00", "2026-11-23T16:00")],
    ),
    "24:00 meets 00:00": (
        hours({"sun": [["20:00", "24:00"]], "mon": [["00:00", "06:00"]]}),
        [("2026-11-22T19:00", "2026-11-23T05:00")],
    ),
    "00:00 to 24:00 is a day": (hours({"sun": [["00:00", "24:00"]]}), [("2026-11-21T23:00", "2026-11-22T23:00")]),
    "equal ends are 24 h": (hours({"sun": [["09:00", "09:00"]]}), [("2026-11-22T08:00", "2026-11-23T08:00")]),
    "00:00 to 00:00 is a day": (hours({"sun": [["00:00", "00:00"]]}), [("2026-11-21T23:00", "2026-11-22T23:00")]),
    "overnight wraps the week": (hours({"sun": [["22:00", "06:00"]]}), [("2026-11-22T21:00", "2026-11-23T05:00")]),
    "spring night has 7 h": (hours(NIGHTS), [("2026-03-28T21:00", "2026-03-29T04:00")]),
    "autumn night has 9 h": (hours(NIGHTS), [("2026-10-24T20:00", "2026-10-25T05:00")]),
    "a start in the gap": (hours({"sun": [["02:30", "05:00"]]}), [("2026-03-29T01:00", "2026-03-29T03:00")]),
    "an end in the gap": (hours({"sun": [["00:00", "02:30"]]}), [("2026-03-28T23:00", "2026-03-29T01:00")]),
    "a window in the gap is empty": (
        hours({"sun": [["02:10", "02:50"], ["10:00", "11:00"]]}),
        [("2026-03-29T08:00", "2026-03-29T09:00")],
    ),
    "windows tile over the gap": (
        hours({"sun": [["01:30", "02:30"], ["02:30", "03:30"]]}),
        [("2026-03-29T00:30", "2026-03-29T01:30")],
    ),
    "an ambiguous start is the first": (
        hours({"sun": [["02:30", "05:00"]]}),
        [("2026-10-25T00:30", "2026-10-25T04:00")],
    ),
    "an ambiguous end is the first": (hours({"sun": [["01:00", "02:30"]]}), [("2026-10-24T23:00", "2026-10-25T00:30")]),
    "windows tile over the repeated hour": (
        hours({"sun": [["01:30", "02:30"], ["02:30", "03:30"]]}),
        [("2026-10-24T23:30", "2026-10-25T02:30")],
    ),
    "a window in the repeated hour happens once": (
        hours({"sun": [["02:10", "02:50"], ["10:00", "11:00"]]}),
        [("2026-10-25T00:10", "2026-10-25T00:50"), ("2026-10-25T09:00", "2026-10-25T10:00")],
    ),
    "a holiday cuts the tail": (
        hours(NIGHTS, holidays=["2026-12-25"]),
        [("2026-12-24T21:00", "2026-12-24T23:00"), ("2026-12-25T23:00", "2026-12-26T05:00")],
    ),
    "an annual holiday cuts the tail": (
        hours(NIGHTS, annual_holidays=["12-25"]),
        [("2026-12-24T21:00", "2026-12-24T23:00"), ("2026-12-25T23:00", "2026-12-26T05:00")],
    ),
    "shift scope keeps a shift with its start": (
        hours(NIGHTS, holidays=["2026-12-25"], holiday_scope="shift"),
        [("2026-12-24T21:00", "2026-12-25T05:00"), ("2026-12-26T21:00", "2026-12-27T05:00")],
    ),
    "two holidays in a row leave nothing of the night between": (
        hours({"thu": [["22:00", "06:00"]]}, holidays=["2026-12-24", "2026-12-25"]),
        [("2026-12-31T21:00", "2027-01-01T05:00")],
    ),
    "a closure takes a part": (
        hours(closures=[{"date": "2026-12-24", "from": "11:00", "to": "12:00"}]),
        [("2026-12-24T08:00", "2026-12-24T10:00"), ("2026-12-24T11:00", "2026-12-24T16:00")],
    ),
    "a closure over midnight cuts a shift in two under either scope": (
        hours(NIGHTS, holiday_scope="shift", closures=[{"date": "2026-12-24", "from": "23:00", "to": "01:00"}]),
        [("2026-12-24T21:00", "2026-12-24T22:00"), ("2026-12-25T00:00", "2026-12-25T05:00")],
    ),
    "an override replaces the weekday's hours": (
        hours(overrides=[{"date": "2026-12-24", "hours": [["07:00", "08:00"], ["10:00", "12:00"]]}]),
        [("2026-12-24T06:00", "2026-12-24T07:00"), ("2026-12-24T09:00", "2026-12-24T11:00")],
    ),
    "an override opens on a holiday, whose tail stays cut": (
        hours(NIGHTS, holidays=["2026-12-25"], overrides=[{"date": "2026-12-25", "hours": [["10:00", "12:00"]]}]),
        [("2026-12-24T21:00", "2026-12-24T23:00"), ("2026-12-25T09:00", "2026-12-25T11:00")],
    ),
    "an override opens on a holiday under shift scope too": (
        hours(
            NIGHTS,
            holiday_scope="shift",
            holidays=["2026-12-25"],
            overrides=[{"date": "2026-12-25", "hours": [["10:00", "12:00"]]}],
        ),
        [("2026-12-24T21:00", "2026-12-25T05:00"), ("2026-12-25T09:00", "2026-12-25T11:00")],
    ),
    "no clock changes in Tokyo": (hours(tz="Asia/Tokyo"), [("2026-03-30T00:00", "2026-03-30T08:00")]),
    "half an hour off in Kolkata": (hours(tz="Asia/Kolkata"), [("2026-11-20T03:30", "2026-11-20T11:30")]),
    "a change of half an hour on Lord Howe, autumn": (
        hours(NIGHTS, tz="Australia/Lord_Howe"),
        [("2026-04-04T11:00", "2026-04-04T19:30")],
    ),
    "a change of half an hour on Lord Howe, spring": (
        hours(NIGHTS, tz="Australia/Lord_Howe"),
        [("2026-10-03T11:30", "2026-10-03T19:00")],
    ),
    "Havana repeats midnight: a date begins with its first 00:00": (
        # 2 November 2025: 01:00 CDT (05:00Z) becomes 00:00 CST
        hours({"sun": [["00:00", "02:00"]]}, tz="America/Havana"),
        [("2025-11-02T04:00", "2025-11-02T07:00")],
    ),
    "all of": (
        AllOf((hours(), hours(tz="America/New_York"))),
        [("2026-11-20T14:00", "2026-11-20T16:00"), ("2026-11-23T14:00", "2026-11-23T16:00")],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_open_periods_are_those_written(case: str) -> None:
    """Asked six hours before the first of them, where the table says nothing is open yet; the sums agree."""
    rules, expected = TABLE[case]
    calendar = at(rules)
    periods = [(utc(a), utc(b)) for a, b in expected]
    asked = periods[0][0] - timedelta(hours=6)
    assert calendar.periods(asked, len(periods)) == periods
    seconds = sum(int((b - a).total_seconds()) for a, b in periods)
    assert calendar.between(asked, periods[-1][1]) == seconds
    assert calendar.add(asked, seconds) == periods[-1][1]
    assert calendar.subtract(periods[-1][1], seconds) == periods[0][0]


def test_a_holiday_has_the_hours_of_its_date() -> None:
    """23 in spring, 25 in autumn: whatever is open at any time is closed from local midnight to midnight."""
    every = {day: [["00:00", "24:00"]] for day in written.WEEKDAYS}
    calendar = at(hours(every, holidays=["2026-03-29", "2026-10-25"]))
    assert calendar.periods(utc("2026-03-28T00:00"), 1) == [(utc("2026-03-28T00:00"), utc("2026-03-28T23:00"))]
    assert calendar.next_open(utc("2026-03-29T00:00")) == utc("2026-03-29T22:00")
    assert calendar.between(utc("2026-10-24T12:00"), utc("2026-10-26T12:00")) == 48 * 3600 - 25 * 3600


def test_a_date_the_zone_skipped_has_no_hours() -> None:
    """Apia had no 30 December 2011: Thursday's night ran straight into Saturday."""
    weekly = {"thu": [["22:00", "06:00"]], "fri": [["09:00", "17:00"]], "sat": [["08:00", "09:00"]]}
    calendar = at(hours(weekly, tz="Pacific/Apia"), "2012-01-01T00:00")
    # Thursday 22:00-10:00 is 08:00Z on the 30th; the jump to the 31st is at 10:00Z, UTC+14.
    assert calendar.periods(utc("2011-12-30T00:00"), 2) == [
        (utc("2011-12-30T08:00"), utc("2011-12-30T10:00")),
        (utc("2011-12-30T18:00"), utc("2011-12-30T19:00")),
    ]


# -- always_open and all_of need nothing from callers


def test_always_open_is_a_calendar_like_any() -> None:
    """Every operation answers; an end ten years away is none."""
    calendar, now = at(AlwaysOpen()), utc("2026-11-22T03:00")
    assert calendar.add(now, 366 * 86_400) == now + timedelta(days=366)
    assert calendar.subtract(now, 86_400) == now - timedelta(days=1)
    assert calendar.between(now, now + timedelta(days=3000)) == 3000 * 86_400
    assert calendar.is_open(now)
    assert calendar.periods(now, 3) == [(now, None)]


def test_all_of_with_nothing_in_common_never_opens() -> None:
    """Monday and Tuesday."""
    monday, tuesday = hours({"mon": [["09:00", "17:00"]]}), hours({"tue": [["09:00", "17:00"]]})
    with pytest.raises(CalendarFault, match="no open time in the 366 days after 2026-11-20T00:00:00Z"):
        at(AllOf((monday, tuesday))).next_open(utc("2026-11-20T00:00"))


# -- how far it reaches


def test_a_year_without_open_time_is_a_fault() -> None:
    """366 days are still an answer, one second more is none; what is past still counts."""
    calendar = at(hours({}, overrides=[{"date": "2026-12-24", "hours": [["09:00", "12:00"]]}]))
    opening = utc("2026-12-24T08:00")
    assert calendar.add(opening - timedelta(seconds=BARREN), 60) == opening + timedelta(seconds=60)
    for ask in (0, 60):
        with pytest.raises(CalendarFault, match="no open time"):
            calendar.add(opening - timedelta(seconds=BARREN + 1), ask)
    assert calendar.subtract(utc("2028-01-01T00:00"), 3 * 3600) == opening
    assert calendar.between(utc("2026-01-01T00:00"), utc("2028-01-01T00:00")) == 3 * 3600


def test_an_answer_over_ten_years_away_is_a_fault() -> None:
    """A minute a week: 600 of them take eleven and a half years, forwards and backwards."""
    calendar, now = at(hours({"mon": [["09:00", "09:01"]]})), utc("2026-11-23T08:00")
    assert calendar.add(now, 420 * 60) == utc("2034-12-04T08:01")
    for move in (calendar.add, calendar.subtract):
        with pytest.raises(CalendarFault, match="more than ten years away"):
            move(now, 600 * 60)
    with pytest.raises(CalendarFault, match="more than ten years apart"):
        calendar.between(utc("2020-01-01T00:00"), utc("2020-01-01T00:00:01") + timedelta(seconds=REACH))


def test_ten_years_are_ten_years_whatever_is_expanded() -> None:
    """What was asked before would hold the answer, eleven and a half years away."""
    calendar = at(hours({"mon": [["09:00", "09:01"]]}))
    calendar.between(utc("2017-01-01T00:00"), utc("2026-01-01T00:00"))
    calendar.between(utc("2027-01-01T00:00"), utc("2036-01-01T00:00"))
    with pytest.raises(CalendarFault, match="more than ten years away"):
        calendar.add(utc("2020-01-01T00:00"), 600 * 60)
    with pytest.raises(CalendarFault, match="more than ten years away"):
        calendar.subtract(utc("2033-01-01T00:00"), 600 * 60)


def test_instants_over_ten_years_from_the_anchor_are_a_fault() -> None:
    """Ten years on either side are expanded on demand."""
    for years in (9, -9):
        asked = utc("2026-11-20T00:00") + timedelta(days=years * 365)
        assert OFFICE.add(asked, 60) > asked
    with pytest.raises(CalendarFault, match="ten years from 2026-11-20"):
        OFFICE.is_open(utc("2037-11-20T00:00"))


def test_growing_changes_no_answer() -> None:
    """What was asked before does not matter."""
    grown = at(hours(NIGHTS))
    grown.between(utc("2017-01-01T00:00"), utc("2026-01-01T00:00"))
    grown.between(utc("2027-01-01T00:00"), utc("2036-01-01T00:00"))
    for anchor in ("2019-06-01T00:00", "2026-11-20T00:00", "2034-02-28T00:00"):
        fresh = at(hours(NIGHTS), anchor)
        for text in ("2025-10-25T23:30", "2027-12-31T23:30", "2028-01-31T12:00"):
            asked = utc(text)
            assert fresh.add(asked, 100_000) == grown.add(asked, 100_000)
            assert fresh.subtract(asked, 100_000) == grown.subtract(asked, 100_000)
            assert fresh.periods(asked, 5) == grown.periods(asked, 5)


def test_instants_are_aware_and_durations_are_not_negative() -> None:
    """A naive datetime would be somebody's guess."""
    with pytest.raises(TypeError):
        OFFICE.is_open(datetime(2026, 11, 20))  # noqa: DTZ001 - what is refused
    for move in (OFFICE.add, OFFICE.subtract):
        with pytest.raises(ValueError, match="-1 is not a duration"):
            move(utc("2026-11-20T10:00"), -1)


def test_fractions_of_a_second_are_dropped() -> None:
    """7.4: whole seconds."""
    asked = utc("2026-11-20T10:00:00.999999")
    assert OFFICE.add(asked, 60) == utc("2026-11-20T10:01")
    assert not OFFICE.is_open(utc("2026-11-20T07:59:59.999999"))


# -- zones and sharing


def test_zones_come_from_the_pinned_package() -> None:
    """Whatever the machine has installed; only names on the package's list are looked up."""
    assert {"Europe/Berlin", "America/New_York", "UTC"} <= names()
    assert zone("Europe/Berlin") is zone("Europe/Berlin")
    for name in ("Europe/Atlantis", "europe/berlin", "../../zones", "", "/etc/localtime"):
        with pytest.raises(UnknownZone):
            zone(name)


def test_every_zone_of_the_package_opens() -> None:
    """No name on the list is a broken promise."""
    assert all(zone(name).key == name for name in names())


def test_calendars_that_say_the_same_are_one_object() -> None:
    """Shared by content and month of the anchor; another content is another calendar."""
    calendars = Calendars()
    one = calendars.get(hours(holidays=["2026-12-25", "2026-12-26"]), utc("2026-11-02T10:00"))
    assert calendars.get(hours(holidays=["2026-12-26", "2026-12-25"]), utc("2026-11-30T10:00")) is one
    assert calendars.get(hours(holidays=["2026-12-25"]), utc("2026-11-02T10:00")) is not one
    assert calendars.get(one.rules, utc("2026-12-01T00:00")) is not one
    assert one.tzdata == tzdata_version()


def test_the_least_used_calendar_is_forgotten() -> None:
    """Memory has a limit."""
    calendars, now = Calendars(limit=2), utc("2026-11-02T10:00")
    first, second, third = (hours(holidays=[f"2026-12-2{n}"]) for n in range(3))
    kept, lost = calendars.get(first, now), calendars.get(second, now)
    assert calendars.get(first, now) is kept
    calendars.get(third, now)
    assert calendars.get(first, now) is kept
    assert calendars.get(second, now) is not lost
