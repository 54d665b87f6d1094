"""The tenant's document with another list: what changes in the text and what does not."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from trunkline_sla import import_document as documents
from trunkline_sla.import_days import InvalidImport, Years
from trunkline_sla.import_document import Change

NOW, YEARS = datetime(2026, 1, 1, tzinfo=UTC), Years(2026, 2027)
HOURS = 'tz: Europe/Berlin, weekly: {mon: [["09:00", "17:00"]]}'
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 4)


def changed(text: str, *days: date, calendar: str = "support") -> Change:
    """The change that these dates make."""
    return documents.change(documents.load(text, calendar), dict.fromkeys(days, "a day"), YEARS, NOW)


def in_lines(holidays: str) -> str:
    """A document that people write, with something before and behind the list."""
    return f"""\
# Ours. Ask Ana before you change it.
teams:   [{{id: a,   calendar: support}}]
calendars:
  - {{id: other, always_open: true}}
  - id: support   # the main one
{holidays}    # how we work
    tz: 'Europe/Berlin'
    weekly: {{mon: [["09:00", "17:00"]]}}
    annual_holidays: ["12-24"]

limits: {{max_transfers: 3}}  # the end
"""


NEW = '    holidays:\n      - "2026-05-01"\n      - "2026-06-04"\n'


@pytest.mark.parametrize(
    "holidays",
    [
        pytest.param("", id="no list yet"),
        pytest.param("    holidays:\n      - 2026-01-06  # Epiphany\n      - 2026-05-01  # May\n", id="list in lines"),
        pytest.param("    holidays:\n    - '2026-01-06'\n", id="list not indented"),
    ],
)
def test_only_the_list_changes(holidays: str) -> None:
    """Every other byte, comments and odd spaces too, is as it was."""
    assert changed(in_lines(holidays), MAY, JUNE).text == in_lines(NEW)


def test_a_list_in_brackets_stays_in_brackets() -> None:
    """Its comment behind stays too."""
    text = in_lines("    holidays: [2026-01-06,\n      2026-05-01]  # fetched\n")
    assert changed(text, MAY, JUNE).text == in_lines('    holidays: ["2026-05-01", "2026-06-04"]  # fetched\n')


@pytest.mark.parametrize("holidays", ["", ', holidays: ["2026-01-06"]', ", holidays: []"])
def test_a_calendar_in_braces_stays_in_braces(holidays: str) -> None:
    """With or without a list before."""
    text = f"calendars: [{{id: support{holidays}, {HOURS}}}]  # all\n"
    assert changed(text, MAY).text == f'calendars: [{{id: support, "holidays": ["2026-05-01"], {HOURS}}}]  # all\n'


def test_a_json_document_stays_one() -> None:
    """Keys in quotes."""
    calendar = {"id": "support", "tz": "Europe/Berlin", "weekly": {"mon": [["09:00", "17:00"]]}}
    after = json.loads(changed(json.dumps({"calendars": [calendar]}, indent=2), MAY).text)
    assert after == {"calendars": [{**calendar, "holidays": ["2026-05-01"]}]}


@pytest.mark.parametrize("tail", ["\n", ""])
def test_line_ends_stay(tail: str) -> None:
    """Those of other systems, and a missing last one."""
    before = f'calendars:\n  - tz: Europe/Berlin\n    weekly: {{mon: [["09:00", "17:00"]]}}\n    id: support{tail}'
    after = f'{before.rstrip()}\n    holidays:\n      - "2026-05-01"{tail}'
    assert changed(before, MAY).text == after
    assert changed(before.replace("\n", "\r\n"), MAY).text == after.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        f"base: &it {{id: support, {HOURS}}}\ncalendars: [*it]\n",
        f"calendars: [{{holidays: &l [2026-01-06], id: other, {HOURS}}}, {{holidays: *l, id: support, {HOURS}}}]\n",
        f"calendars: [{{holidays: &l [2026-01-06], id: support, {HOURS}}}, {{holidays: *l, id: other, {HOURS}}}]\n",
        f"base: &it {{id: support, {HOURS}}}\ncalendars: [{{<<: *it}}]\n",
    ],
)
def test_a_list_that_other_places_share_is_not_touched(text: str) -> None:
    """The new text, read again, would say more than what is meant."""
    with pytest.raises(InvalidImport, match="cannot be changed in place"):
        changed(text, MAY)


def test_an_unchanged_list_leaves_the_text_as_it_is() -> None:
    """However it is written."""
    text = in_lines("    holidays: [2026-06-04, '2026-05-01', 2026-05-01]\n")
    change = changed(text, MAY, JUNE)
    assert change.is_none
    assert (change.text, list(change.kept)) == (text, [MAY, JUNE])


def test_the_years_asked_for_are_replaced_and_other_years_stay() -> None:
    """So do annual holidays."""
    change = changed(in_lines("    holidays: [2025-12-25, 2026-01-06, 2026-05-01, 2028-01-01]\n"), MAY, JUNE)
    assert (list(change.added), list(change.removed)) == ([JUNE], [date(2026, 1, 6)])
    assert list(change.kept) == [date(2025, 12, 25), MAY, date(2028, 1, 1)]
    assert change.calendar["annual_holidays"] == ["12-24"]
    calendar = yaml.safe_load(change.text)["calendars"][1]
    assert calendar["holidays"] == ["2025-12-25", "2026-05-01", "2026-06-04", "2028-01-01"]


def test_a_calendar_that_would_not_open_for_a_year_is_refused() -> None:
    """Mondays, all of them holidays."""
    mondays = [date(2026, 1, 5) + timedelta(weeks=i) for i in range(104)]
    with pytest.raises(InvalidImport, match=r"calendars\[0\]: has no open time"):
        changed(f"calendars: [{{id: support, {HOURS}}}]", *mondays)
    assert changed(f"calendars: [{{id: support, {HOURS}}}]", *mondays[:-60]).added


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("calendars: [", "not YAML"),
        ("calendars: [{id: x, tz: 2026-13-01}]", "not YAML"),
        ("- 1", '0 of them are "support", of: none'),
        ("{}", '0 of them are "support", of: none'),
        ("calendars: [1, {id: other}]", '0 of them are "support", of: other'),
        (f"calendars: [{{id: support, {HOURS}}}, {{id: support, {HOURS}}}]", "2 of them"),
        (f"calendars: [{{id: support, {HOURS}, holidays: }}]", "holidays: Input should be a valid list"),
        ("calendars: [{id: support}]", r"calendars\[0\]\.tz: is missing"),
        (
            f"calendars: [{{id: support, {HOURS}, holidays: [2026]}}]",
            r"calendars\[0\]\.holidays\[0\]: 2026 is not a date",
        ),
    ],
)
def test_a_document_that_is_wrong_is_refused(text: str, why: str) -> None:
    """With the path."""
    with pytest.raises(InvalidImport, match=why):
        documents.load(text, "support")


def test_a_calendar_without_hours_of_its_own_takes_no_holidays() -> None:
    """As everywhere."""
    with pytest.raises(InvalidImport, match=r"calendars\[0\]: always_open stands alone, without holidays"):
        changed("calendars: [{id: support, always_open: true}]", MAY)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """It keeps its mode, a link stays a link, nothing is left beside it."""
    target, link = tmp_path / "tenant.yaml", tmp_path / "current.yaml"
    target.write_text("a: 1\r\n", newline="")
    target.chmod(0o640)
    link.symlink_to(target)
    documents.write_file(link, documents.read_file(link), "a: ü\r\n")
    assert target.read_bytes() == "a: ü\r\n".encode()
    assert (stat.S_IMODE(target.stat().st_mode), link.is_symlink()) == (0o640, True)
    assert set(tmp_path.iterdir()) == {target, link}


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full, say, when half of it is there."""
    target = tmp_path / "tenant.yaml"
    target.write_text("a: 1\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InvalidImport, match="No space left"):
        documents.write_file(target, "a: 1\n", "a: 2\n")
    assert (target.read_text(), list(tmp_path.iterdir())) == ("a: 1\n", [target])


def test_somebody_elses_change_is_not_overwritten(tmp_path: Path) -> None:
    """It came between reading and writing."""
    target = tmp_path / "tenant.yaml"
    target.write_text("a: 2\n")
    with pytest.raises(InvalidImport, match="changed by somebody else"):
        documents.write_file(target, "a: 1\n", "a: 3\n")
    assert target.read_text() == "a: 2\n"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Absent or no text."""
    target = tmp_path / "tenant.yaml"
    if content is not None:
        target.write_bytes(content)
    with pytest.raises(InvalidImport, match=r"tenant\.yaml: "):
        documents.read_file(target)


def test_names_do_not_reach_the_document() -> None:
    """A stranger's text is printed, never written."""
    days: Mapping[date, str] = {MAY: "May\n- evil"}
    change = documents.change(documents.load(in_lines(""), "support"), days, YEARS, NOW)
    assert "evil" not in change.text
