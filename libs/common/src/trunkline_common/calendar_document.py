"""A business calendar as strangers write it: checked whole, every wrong field with its path, and turned into rules.

`CalendarModel` stands alone, inside another document, or as the base of a model with more fields (a named calendar).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from trunkline_common import calendar_rules as written
from trunkline_common.calendar import Calendar, CalendarFault
from trunkline_common.calendar_rules import DAY, WEEKDAYS, HolidayScope, Rules
from trunkline_common.calendar_zones import zone
from trunkline_common.errors import Violation

MAX_WINDOWS, MAX_DATES, MAX_PARTS = 48, 2000, 8
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class InvalidCalendar(ValueError):
    """The document is no calendar; `violations` has every wrong field."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value} is not {what}; write it in quotes")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _start(value: object) -> int:
    if (seconds := _end(value)) == DAY:
        raise ValueError('nothing begins at "24:00"; write "00:00" on the next day')
    return seconds


def _end(value: object) -> int:
    return written.seconds_of(_text(value, 'a time of day "HH:MM"'))


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value  # what YAML makes of a date without quotes
    text = _text(value, 'a date "YYYY-MM-DD"')
    with suppress(ValueError):
        if DATE.fullmatch(text):
            return date.fromisoformat(text)
    raise ValueError(f'"{text}" is not a date "YYYY-MM-DD"')


def _annual(value: object) -> tuple[int, int]:
    return written.annual(_text(value, 'a day of the year "MM-DD"'))


def _zone(name: str) -> str:
    zone(name)
    return name


def _as_text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


StartTime = Annotated[int, BeforeValidator(_start), _as_text(r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$")]
EndTime = Annotated[int, BeforeValidator(_end), _as_text(r"^(([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?|24:00(:00)?)$")]
Day = Annotated[date, BeforeValidator(_day), _as_text(r"^\d{4}-\d\d-\d\d$")]
AnnualDay = Annotated[tuple[int, int], BeforeValidator(_annual), _as_text(r"^\d\d-\d\d$")]
Zone = Annotated[str, AfterValidator(_zone)]
Windows = Annotated[list[tuple[StartTime, EndTime]], Field(max_length=MAX_WINDOWS)]


class Strict(BaseModel):
    """No field is ignored: a misspelt one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WeeklyModel(Strict):
    """The windows of each weekday; a day without any is closed."""

    mon: Windows = []
    tue: Windows = []
    wed: Windows = []
    thu: Windows = []
    fri: Windows = []
    sat: Windows = []
    sun: Windows = []


class OverrideModel(Strict):
    """Other hours on one date; none: nothing begins on it."""

    date: Day
    hours: Windows


class ClosureModel(Strict):
    """Closed for a part of a date, or into the next one."""

    date: Day
    start: StartTime = Field(alias="from")
    end: EndTime = Field(alias="to")


class CalendarModel(Strict):
    """One of three: always_open; all_of; or a zone and its hours."""

    always_open: StrictBool = False
    all_of: list[CalendarModel] = Field(default_factory=list, max_length=MAX_PARTS)
    tz: Zone | None = Field(None, validate_default=True)
    weekly: WeeklyModel = WeeklyModel()
    holidays: list[Day] = Field(default_factory=list, max_length=MAX_DATES)
    annual_holidays: list[AnnualDay] = Field(default_factory=list, max_length=366)
    overrides: list[OverrideModel] = Field(default_factory=list, max_length=MAX_DATES)
    closures: list[ClosureModel] = Field(default_factory=list, max_length=MAX_DATES)
    holiday_scope: HolidayScope = HolidayScope.CLOCK

    @field_validator("tz")
    @classmethod
    def _with_hours(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = info.data.keys() >= {"always_open", "all_of"}
        if value is None and known and not (info.data["always_open"] or info.data["all_of"]):
            raise ValueError("is missing: a calendar has a zone, or always_open, or all_of")
        return value

    @field_validator("overrides")
    @classmethod
    def _once(cls, value: list[OverrideModel]) -> list[OverrideModel]:
        twice = sorted(day.isoformat() for day, count in Counter(o.date for o in value).items() if count > 1)
        if twice:
            raise ValueError(f"{', '.join(twice)} has more than one entry")
        return value

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if self.always_open or self.all_of:
            kind = "always_open" if self.always_open else "all_of"
            if others := [
                n for n in CalendarModel.model_fields if n != kind and self.__dict__[n] and n in self.model_fields_set
            ]:
                raise ValueError(f"{kind} stands alone, without {', '.join(others)}")
        elif not any(getattr(self.weekly, day) for day in WEEKDAYS) and not any(o.hours for o in self.overrides):
            raise ValueError("is never open: no weekday and no override has hours")
        return self

    def rules(self) -> Rules:
        """What the calendar says, without the names of its fields."""
        if self.always_open:
            return written.AlwaysOpen()
        if self.all_of:
            return written.AllOf(tuple(part.rules() for part in self.all_of))
        return written.Hours(
            zone=str(self.tz),
            weekly=tuple(_windows(getattr(self.weekly, day)) for day in WEEKDAYS),
            holidays=tuple(self.holidays),
            annual_holidays=tuple(self.annual_holidays),
            overrides=tuple(written.Override(o.date, _windows(o.hours)) for o in self.overrides),
            closures=tuple(written.Closure(c.date, written.Window(c.start, c.end)) for c in self.closures),
            holiday_scope=self.holiday_scope,
        )


def _windows(pairs: list[tuple[int, int]]) -> tuple[written.Window, ...]:
    return tuple(written.Window(start, end) for start, end in pairs)


def parse(document: Mapping[str, Any], at: datetime | None = None) -> Rules:
    """The rules of a document. With `at` also refuses a calendar that stays closed for the 366 days after it.

    Raises InvalidCalendar with every wrong field.
    """
    try:
        rules = CalendarModel.model_validate(document).rules()
    except ValidationError as error:
        raise InvalidCalendar(violations(error)) from error
    if at is not None and (problem := never_open(rules, at)):
        raise InvalidCalendar([Violation("calendar", problem)])
    return rules


def never_open(rules: Rules, at: datetime) -> str | None:
    """Why the calendar must be refused at that time (sla.md 10.5); None if it opens within 366 days."""
    try:
        Calendar(rules, at).next_open(at)
    except CalendarFault as fault:
        return f"has {fault}"
    return None


def violations(error: ValidationError, whole: str = "calendar") -> list[Violation]:
    """What pydantic found, by path; `whole` names the document itself."""
    return [
        Violation(path(e["loc"]) or whole, e["msg"].removeprefix("Value error, "))
        for e in error.errors(include_url=False)
    ]


def path(parts: tuple[int | str, ...]) -> str:
    """weekly.mon[0][1]: a field by its name, an item by its place."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).removeprefix(".")
