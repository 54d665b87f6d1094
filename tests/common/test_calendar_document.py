"""What strangers write, and what they are told."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import BaseModel
from trunkline_common import calendar_rules as written
from trunkline_common.calendar_document import CalendarModel, InvalidCalendar, parse
from trunkline_common.calendar_rules import AllOf, AlwaysOpen, Hours, Window

MONDAY = {"mon": [["09:00", "17:00"]]}
FULL = {
    "tz": "Europe/Berlin",
    "weekly": {"mon": [["09:00", "12:00"], ["13:00", "17:00"]], "fri": [["22:00", "06:00"]]},
    "holidays": ["2026-12-25", "2026-12-26"],
    "annual_holidays": ["02-29", "05-01"],
    "closures": [{"date": "2026-12-24", "from": "13:00", "to": "24:00"}],
    "overrides": [{"date": "2026-12-20", "hours": [["10:00", "14:00:30"]]}, {"date": "2026-12-31", "hours": []}],
    "holiday_scope": "shift",
}


def problems(document: Any, at: datetime | None = None) -> dict[str, str]:
    """What is wrong, by path."""
    with pytest.raises(InvalidCalendar) as refused:
        parse(document, at)
    return {v.field: v.description for v in refused.value.violations}


def test_a_document_becomes_rules() -> None:
    """Field by field."""
    rules = parse(FULL)
    assert isinstance(rules, Hours)
    assert rules.weekly[0] == (Window(9 * 3600, 12 * 3600), Window(13 * 3600, 17 * 3600))
    assert rules.weekly[4] == (Window(22 * 3600, 6 * 3600),)
    assert rules.weekly[1:4] == ((), (), ())
    assert rules.holidays == (date(2026, 12, 25), date(2026, 12, 26))
    assert rules.annual_holidays == ((2, 29), (5, 1))
    assert rules.closures[0].window == Window(13 * 3600, 86_400)
    assert [len(o.hours) for o in rules.overrides] == [1, 0]
    assert rules.holiday_scope is written.HolidayScope.SHIFT


def test_the_three_kinds() -> None:
    """always_open: false says nothing."""
    assert parse({"always_open": True}) == AlwaysOpen()
    assert parse({"all_of": [{"always_open": True}, {"tz": "UTC", "weekly": MONDAY}]}) == AllOf(
        (AlwaysOpen(), parse({"always_open": False, "tz": "UTC", "weekly": MONDAY}))
    )


def test_rules_survive_storage() -> None:
    """Written as JSON and read without pydantic, they are the same, in the form they were written."""
    for document in (FULL, {"always_open": True}, {"all_of": [FULL, {"tz": "UTC", "weekly": MONDAY}]}):
        rules = parse(document)
        stored = json.loads(json.dumps(written.to_dict(rules)))
        assert stored == document
        assert written.from_dict(stored) == parse(stored) == rules


def test_the_digest_is_of_the_content() -> None:
    """Order and repetition are no content; a minute is."""
    one = {"tz": "UTC", "weekly": MONDAY, "holidays": ["2026-12-25", "2026-12-26"]}
    same = {"holidays": ["2026-12-26", "2026-12-25", "2026-12-25"], "weekly": {**MONDAY, "tue": []}, "tz": "UTC"}
    other = {**one, "weekly": {"mon": [["09:00", "17:01"]]}}
    assert written.digest(parse(one)) == written.digest(parse(same))
    assert written.digest(parse(one)) != written.digest(parse(other))
    both = [one, {"always_open": True}]
    assert written.digest(parse({"all_of": both})) == written.digest(parse({"all_of": both[::-1]}))


def test_every_error_is_told_at_once_with_its_path() -> None:
    """A stranger corrects a file once."""
    assert problems(
        {
            "tz": "Europe/Atlantis",
            "weekly": {
                "mon": [["9:00", "25:00"], ["24:00", "01:00"], ["09:00"]],
                "tue": [[540, "10:60"]],
                "someday": [],
            },
            "holidays": ["2026-02-30", 20261225, "20261225"],
            "annual_holidays": ["02-30", "2026-05-01"],
            "closures": [{"date": "2026-12-24", "from": "13:00"}],
            "overrides": [{"date": "2026-12-2", "hours": [["09:00", "12"]]}],
            "holiday_scope": "day",
            "timezone": "UTC",
        }
    ).keys() == {
        "tz",
        *("weekly.mon[0][0]", "weekly.mon[0][1]", "weekly.mon[1][0]", "weekly.mon[2][1]"),
        *("weekly.tue[0][0]", "weekly.tue[0][1]", "weekly.someday"),
        *("holidays[0]", "holidays[1]", "holidays[2]", "annual_holidays[0]", "annual_holidays[1]"),
        *("closures[0].to", "overrides[0].date", "overrides[0].hours[0][1]", "holiday_scope", "timezone"),
    }


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({"tz": "Mars/Base", "weekly": MONDAY}, "tz", '"Mars/Base" is not a zone of tzdata'),
        ({"weekly": MONDAY}, "tz", "is missing"),
        (
            {"tz": "UTC", "weekly": {"mon": [["9:00", "17:00"]]}},
            "weekly.mon[0][0]",
            '"9:00" is not a time of day "HH:MM"',
        ),
        ({"tz": "UTC", "weekly": {"mon": [[540, "17:00"]]}}, "weekly.mon[0][0]", "540 is not a time of day"),
        ({"tz": "UTC", "weekly": {"mon": [["24:00", "06:00"]]}}, "weekly.mon[0][0]", 'nothing begins at "24:00"'),
        ({"tz": "UTC", "weekly": MONDAY, "holidays": ["25.12.2026"]}, "holidays[0]", "is not a date"),
        (
            {"tz": "UTC", "weekly": MONDAY, "annual_holidays": ["13-01"]},
            "annual_holidays[0]",
            "is not a day of the year",
        ),
        ({"tz": "UTC"}, "calendar", "is never open"),
        ({"tz": "UTC", "overrides": [{"date": "2026-12-24", "hours": []}]}, "calendar", "is never open"),
        ({}, "tz", "is missing"),
        ({"always_open": True, "tz": "UTC"}, "calendar", "always_open stands alone, without tz"),
        ({"always_open": True, "all_of": [{"always_open": True}]}, "calendar", "always_open stands alone"),
        ({"all_of": [{"always_open": True}], "weekly": MONDAY}, "calendar", "all_of stands alone, without weekly"),
        ({"all_of": [{"tz": "UTC"}]}, "all_of[0]", "is never open"),
        ({"all_of": []}, "tz", "is missing"),
        (
            {"tz": "UTC", "overrides": [{"date": "2026-12-24", "hours": [["09:00", "10:00"]]}] * 2},
            "overrides",
            "2026-12-24 has more than one entry",
        ),
        ([], "calendar", "valid dictionary"),
    ],
)
def test_an_error_says_what_is_wrong(document: Any, path: str, words: str) -> None:
    """One error per row."""
    found = problems(document)
    assert found.keys() == {path}
    assert words in found[path]


def test_a_calendar_that_stays_closed_for_a_year_is_refused() -> None:
    """10.5; only somebody who knows the time can tell."""
    document = {"tz": "UTC", "overrides": [{"date": "2026-12-24", "hours": [["09:00", "12:00"]]}]}
    assert parse(document, datetime(2026, 11, 20, tzinfo=UTC)) == parse(document)
    late = problems(document, datetime(2026, 12, 24, 12, tzinfo=UTC))
    assert late == {"calendar": "has no open time in the 366 days after 2026-12-24T12:00:00Z"}
    apart = {"all_of": [{"tz": "UTC", "weekly": MONDAY}, {"tz": "UTC", "weekly": {"tue": [["09:00", "17:00"]]}}]}
    assert problems(apart, datetime(2026, 11, 20, tzinfo=UTC)).keys() == {"calendar"}


def test_dates_without_quotes_are_dates() -> None:
    """YAML has read them already."""
    document = {"tz": "UTC", "weekly": MONDAY, "holidays": [date(2026, 12, 25)]}
    assert written.to_dict(parse(document))["holidays"] == ["2026-12-25"]
    assert problems({**document, "holidays": [datetime(2026, 12, 25, tzinfo=UTC)]}).keys() == {"holidays[0]"}


class Named(CalendarModel):
    """A calendar with a name, as a tenant's configuration lists them."""

    id: str


class Config(BaseModel):
    """A larger document."""

    calendars: list[Named]


def test_the_model_serves_inside_another_document() -> None:
    """With more fields and with its own JSON Schema."""
    config = Config.model_validate({"calendars": [{"id": "office", **FULL}]})
    assert config.calendars[0].rules() == parse(FULL)
    schema = json.dumps(Config.model_json_schema())
    assert '"from"' in schema
    assert "24:00" in schema
