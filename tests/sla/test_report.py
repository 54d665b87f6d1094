"""Targets in words, the days of a zone, and that every number of a report says what it means."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common.calendar_zones import UnknownZone
from trunkline_sla.report import DEFINITIONS, Counts, days, target_text


def counts(met: int, missed: int) -> Counts:
    """A row with so many of both."""
    return Counts("resolution", "", "", "", None, met, missed, 0, 0, None, None, business=True)


@pytest.mark.parametrize(
    ("seconds", "calendar", "text"),
    [
        (1800, "", "30 min"),
        (14_400, "support", "4 h of calendar support"),
        (5430, "", "1 h 30 min 30 s"),
        (45, "night", "45 s of calendar night"),
        (86_400, "support", "24 h of calendar support"),
        (7 * 86_400, "", "168 h"),
        (0, "", "0 s"),
    ],
)
def test_a_target_in_words_names_its_calendar_and_never_days(seconds: int, calendar: str, text: str) -> None:
    """A day of business time is not a day (10.6)."""
    assert target_text(seconds, calendar) == text


def test_every_number_of_a_row_is_defined() -> None:
    """By its field's name; and nothing is defined that is not there."""
    assert set(DEFINITIONS) == set(pb.ReportRow.DESCRIPTOR.fields_by_name)
    assert all(text.endswith(".") for text in DEFINITIONS.values())


def test_the_ratio_is_of_those_that_have_a_verdict() -> None:
    """Nothing met and nothing missed is not 0."""
    assert counts(3, 1).met_ratio == 0.75
    assert counts(0, 0).met_ratio is None


def at(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_day_begins_at_local_midnight() -> None:
    """Berlin's clocks go back on 25 October 2026: that day has 25 hours."""
    found = days(at("2026-10-24T12:00:00+02:00"), at("2026-10-27T00:00:00+01:00"), "Europe/Berlin")
    assert found == [
        (date(2026, 10, 24), at("2026-10-23T22:00:00Z")),
        (date(2026, 10, 25), at("2026-10-24T22:00:00Z")),
        (date(2026, 10, 26), at("2026-10-25T23:00:00Z")),
        (date(2026, 10, 27), at("2026-10-26T23:00:00Z")),
    ]


def test_a_day_without_midnight_begins_at_the_change() -> None:
    """Sao Paulo skipped the first hour of 4 November 2018."""
    found = dict(days(at("2018-11-03T12:00:00Z"), at("2018-11-05T12:00:00Z"), "America/Sao_Paulo"))
    assert found[date(2018, 11, 4)] == at("2018-11-04T03:00:00Z")


def test_a_day_that_a_zone_skipped_is_empty() -> None:
    """Apia had no 30 December 2011: it begins where the 31st does."""
    found = dict(days(at("2011-12-28T12:00:00Z"), at("2012-01-02T00:00:00Z"), "Pacific/Apia"))
    assert found[date(2011, 12, 30)] == found[date(2011, 12, 31)] == at("2011-12-30T10:00:00Z")


def test_a_zone_that_does_not_exist_is_refused() -> None:
    """No guess, no path."""
    with pytest.raises(UnknownZone):
        days(at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"), "Europe/Atlantis")
