"""What an iCal text becomes: a list of dates, or nothing at all."""

from __future__ import annotations

from datetime import date
from itertools import count

import pytest
from trunkline_sla import import_ical
from trunkline_sla.import_days import InvalidImport, SourceFailed, Years

YEAR, YEARS = Years(2026, 2026), Years(2026, 2028)


def text(*events: str, head: str = "") -> bytes:
    """An iCal text; the lines of an event are separated by a bar."""
    inside = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n".replace("|", "\n") for event in events)
    whole = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test\n{head}{inside}END:VCALENDAR\n"
    return whole.replace("\n", "\r\n").encode()


def dates(*events: str, years: Years = YEAR) -> list[str]:
    """The dates found, as month and day within one year."""
    found = import_ical.find(text(*events), "feed", years).days
    return [day.isoformat().removeprefix("2026-") for day in found]


YEARLY = "UID:1|DTSTART;VALUE=DATE:20200501|RRULE:FREQ=YEARLY"
OTHER = "UID:2|DTSTART;VALUE=DATE:20261224"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(["DTSTART;VALUE=DATE:20260501"], ["05-01"], id="without an end one day"),
        pytest.param(["DTSTART:20260501"], ["05-01"], id="a date that is not called one"),
        pytest.param(["DTSTART;VALUE=DATE:20260501|DTEND;VALUE=DATE:20260503"], ["05-01", "05-02"], id="exclusive end"),
        pytest.param(["DTSTART;VALUE=DATE:20260501|DTEND;VALUE=DATE:20260501"], ["05-01"], id="no length is one day"),
        pytest.param(["DTSTART;VALUE=DATE:20260501|DURATION:P2D"], ["05-01", "05-02"], id="duration"),
        pytest.param(
            ["DTSTART;VALUE=DATE:20251230|DTEND;VALUE=DATE:20260103"], ["01-01", "01-02"], id="from last year"
        ),
        pytest.param(["DTSTART;VALUE=DATE:20261231|DTEND;VALUE=DATE:20270103"], ["12-31"], id="into the next year"),
        pytest.param(["DTSTART;VALUE=DATE:20260329|DTEND;VALUE=DATE:20260331"], ["03-29", "03-30"], id="clock change"),
        pytest.param([YEARLY], ["05-01"], id="rule"),
        pytest.param(
            ["UID:1|DTSTART;VALUE=DATE:20201126|RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"], ["11-26"], id="nth weekday"
        ),
        pytest.param([f"{YEARLY};UNTIL=20260501"], ["05-01"], id="until is inclusive"),
        pytest.param([f"{YEARLY}|EXDATE;VALUE=DATE:20260501", OTHER], ["12-24"], id="exception"),
        pytest.param([f"{YEARLY}|RDATE;VALUE=DATE:20260502"], ["05-01", "05-02"], id="further date"),
        pytest.param(
            [YEARLY, "UID:1|RECURRENCE-ID;VALUE=DATE:20260501|DTSTART;VALUE=DATE:20260504"], ["05-04"], id="moved"
        ),
        pytest.param(
            [YEARLY, "UID:1|RECURRENCE-ID;VALUE=DATE:20260501|DTSTART;VALUE=DATE:20260501|STATUS:CANCELLED", OTHER],
            ["12-24"],
            id="one occurrence cancelled",
        ),
        pytest.param(
            [YEARLY, "UID:1|RECURRENCE-ID;VALUE=DATE:20260501|DTSTART:20260501T100000Z", OTHER],
            ["12-24"],
            id="one occurrence became an appointment",
        ),
        pytest.param([f"{YEARLY}|STATUS:CANCELLED", OTHER], ["12-24"], id="all cancelled"),
        pytest.param(
            ["UID:1|SEQUENCE:1|DTSTART;VALUE=DATE:20260501", "UID:1|SEQUENCE:2|DTSTART;VALUE=DATE:20260502"],
            ["05-02"],
            id="the latest version",
        ),
        pytest.param(["DTSTART;VALUE=DATE:20260501", "DTSTART;VALUE=DATE:20260502"], ["05-01", "05-02"], id="no UID"),
        pytest.param(["DTSTART:20260501T090000Z", OTHER], ["12-24"], id="timed"),
        pytest.param([f"{OTHER}|LAST-MODIFIED:yesterday"], ["12-24"], id="a broken property that decides nothing"),
    ],
)
def test_an_all_day_event_is_its_dates(events: list[str], expected: list[str]) -> None:
    """In the years asked for."""
    assert dates(*events) == expected


def test_a_rule_is_expanded_over_the_years_asked_for() -> None:
    """Not before, not behind."""
    assert dates(YEARLY, years=YEARS) == ["05-01", "2027-05-01", "2028-05-01"]


def test_a_mark_of_the_encoding_is_no_part_of_the_text() -> None:
    """Some programs begin a file with it."""
    assert import_ical.find(b"\xef\xbb\xbf" + text(OTHER), "feed", YEAR).days


def test_appointments_harm_nothing_however_odd() -> None:
    """They are not even expanded."""
    weekly = "UID:9|DTSTART:20260501T090000Z|RRULE:FREQ=WEEKLY"
    change = "UID:9|RECURRENCE-ID:20260508T090000Z|DTSTART:20260508T090000Z|DURATION:P4000000D"
    assert dates(weekly, change, OTHER) == ["12-24"]


def test_what_is_left_out_is_counted() -> None:
    """Names are one printable line."""
    events = [
        f"{OTHER}|SUMMARY:Holy\\nnight",
        "UID:3|DTSTART:20260501T090000Z",
        "UID:4|DTSTART;VALUE=DATE:20260502|STATUS:CANCELLED",
    ]
    found = import_ical.find(text(*events), "feed", YEAR)
    assert (dict(found.days), found.timed, found.cancelled) == ({date(2026, 12, 24): "Holy night"}, 1, 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not iCal"),
        (b"<html></html>", "not iCal"),
        (b"\xff\xfe", "not iCal"),
        (b"BEGIN:VEVENT\r\nDTSTART:20260501\r\nEND:VEVENT\r\n", "not iCal: no VCALENDAR"),
        (text(OTHER) * 2, "not iCal"),
        (text(OTHER)[:-20], "not iCal"),
        (text(OTHER, head="CALSCALE:HEBREW\n"), "counts by the calendar HEBREW"),
        (text(), "no all-day event in 2026"),
        (text("DTSTART;VALUE=DATE:20250501"), "no all-day event in 2026"),
        (text("DTSTART:20260501T090000Z"), "1 timed"),
        (text("SUMMARY:Easter", OTHER), "Easter: DTSTART is missing"),
        (text("DTSTART;VALUE=DATE:20261301", OTHER), "DTSTART"),
        (text("DTSTART;VALUE=DATE:20260501|DTSTART;VALUE=DATE:20260502", OTHER), "DTSTART is there twice"),
        (text("DTSTART;VALUE=DATE:20260501|DTEND;VALUE=DATE:20260401", OTHER), "DTEND"),
        (text("DTSTART;VALUE=DATE:20260501|DTEND:20260502T000000Z", OTHER), "DTEND"),
        (text("DTSTART;VALUE=DATE:20260501|DTEND;VALUE=DATE:99990101", OTHER), "cannot be expanded"),
        (text("DTSTART;VALUE=DATE:20260501|RRULE:FREQ=SOMETIMES", OTHER), "RRULE"),
        (text("DTSTART;VALUE=DATE:20260501|RRULE:BYDAY=MO", OTHER), "does not go by days"),
        (text("DTSTART;VALUE=DATE:20260501|RRULE:FREQ=SECONDLY", OTHER), "does not go by days"),
        (text("DTSTART;VALUE=DATE:20260501|EXDATE;VALUE=DATE:soon", OTHER), "EXDATE"),
    ],
)
def test_a_text_that_cannot_be_understood_gives_no_list(content: bytes, why: str) -> None:
    """Half a list would open on a holiday."""
    with pytest.raises(SourceFailed, match=why):
        import_ical.find(content, "feed", YEAR)


def test_rules_have_a_time_limit_together() -> None:
    """A text within the size limit can have rules that take hours. The clock here goes on by 40 s per look."""
    clock = count(0.0, 40.0)
    with pytest.raises(SourceFailed, match="60 s to expand"):
        import_ical.find(text(YEARLY, OTHER), "feed", YEAR, monotonic=lambda: next(clock))


@pytest.mark.parametrize("years", ["", "26", "2026-", "2028-2026", "2026-2036", "1900", "2026-2027-2028"])
def test_years_are_one_or_a_short_range(years: str) -> None:
    """At most ten."""
    with pytest.raises(InvalidImport, match="write years like"):
        Years.of(years)
    assert (Years.of("2026-2028"), Years.of("2026")) == (YEARS, YEAR)
