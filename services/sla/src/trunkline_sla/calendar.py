"""python -m trunkline_sla.calendar FILE: what a calendar does, asked in a scenario file (JSON or YAML; - for stdin).

Exit 0; 1 when an `expect` is not met, each miss on stderr; 2 when the file is not valid, every error on stderr.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, ValidationError, WithJsonSchema
from trunkline_common import calendar_document
from trunkline_common.calendar import Calendar, CalendarFault, Calendars
from trunkline_common.calendar_document import CalendarModel, Strict
from trunkline_common.errors import Violation
from trunkline_common.files import InvalidFile, load

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
FIRST_YEAR, LAST_YEAR = 1950, 2200
Result = dict[str, Any]


# -- the file


def _instant(value: object) -> datetime:
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise ValueError(f'{value} is not an instant with its offset, like "2026-11-20T15:30:00Z"')
    at = datetime.fromisoformat(value).astimezone(UTC)
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"{value} is not from {FIRST_YEAR} to {LAST_YEAR}")
    return at


Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Seconds = Annotated[StrictInt, Field(ge=0, le=10 * 366 * 86_400)]


class At(Strict):
    """null: there is no such instant."""

    at: Instant | None


class Count(Strict):
    """null: the calendar has no answer."""

    business_seconds: StrictInt | None


class Open(Strict):
    """null: the calendar has no answer."""

    open: StrictBool | None


class PeriodList(Strict):
    """An end of null: still open ten years later."""

    periods: list[tuple[Instant, Instant | None]] | None


class Shift(Strict):
    """An instant and open time after or before it."""

    op: Literal["add", "subtract"]
    start: Instant
    business_seconds: Seconds
    expect: At | None = None

    def ask(self, calendar: Calendar) -> Result:
        """The instant."""
        move = calendar.add if self.op == "add" else calendar.subtract
        return _answer("at", lambda: move(self.start, self.business_seconds))


class Between(Strict):
    """Open time from one instant to another."""

    op: Literal["between", "between_clamped"]
    start: Instant
    end: Instant
    expect: Count | None = None

    def ask(self, calendar: Calendar) -> Result:
        """Signed, or at least 0."""
        least = 0 if self.op == "between_clamped" else -sys.maxsize
        return _answer("business_seconds", lambda: max(least, calendar.between(self.start, self.end)))


class IsOpen(Strict):
    """Whether an instant is inside."""

    op: Literal["is_open"]
    start: Instant
    expect: Open | None = None

    def ask(self, calendar: Calendar) -> Result:
        """Yes or no."""
        return _answer("open", lambda: calendar.is_open(self.start))


class Periods(Strict):
    """The next open periods."""

    op: Literal["periods"]
    start: Instant
    count: Annotated[StrictInt, Field(ge=1, le=10_000)]
    expect: PeriodList | None = None

    def ask(self, calendar: Calendar) -> Result:
        """The first one begins at `start` if that is open."""
        return _answer("periods", lambda: calendar.periods(self.start, self.count))


OPS = ("add", "subtract", "between", "between_clamped", "is_open", "periods")
Op = Annotated[Shift | Between | IsOpen | Periods, Field(discriminator="op")]


class Scenario(Strict):
    """A calendar and what is asked of it."""

    calendar: CalendarModel
    ops: list[Op]


def _answer(name: str, ask: Callable[[], object]) -> Result:
    try:
        return {name: ask()}
    except CalendarFault as fault:
        return {name: None, "fault": str(fault)}


# -- reading


def check(document: object) -> Scenario:
    """The scenario of a document. Raises InvalidFile with every wrong field."""
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidFile([_without_op(v) for v in calendar_document.violations(error, "file")]) from error
    starts = [op.start for op in scenario.ops]
    if starts and (problem := calendar_document.never_open(scenario.calendar.rules(), min(starts))):
        raise InvalidFile([Violation("calendar", problem)])
    return scenario


def _without_op(violation: Violation) -> Violation:
    """ops[0].start, where pydantic puts the kind of the op in between."""
    return Violation(re.sub(rf"^(ops\[\d+\])\.({'|'.join(OPS)})\b", r"\1", violation.field), violation.description)


# -- running


def run(scenario: Scenario) -> list[Result]:
    """The answers in order. Each op is an anchor of its own: a file may speak of any years."""
    rules, calendars = scenario.calendar.rules(), Calendars()
    return [op.ask(calendars.get(rules, op.start)) for op in scenario.ops]


def misses(scenario: Scenario, results: Sequence[Result]) -> Iterator[str]:
    """Every expectation that was not met: path, expected, got."""
    for i, (op, result) in enumerate(zip(scenario.ops, results, strict=True)):
        for name, expected in op.expect or ():
            if expected != result[name]:
                yield f"ops[{i}].expect.{name}: expected {_json(expected)}, got {_json(result[name])}"


def _json(value: object) -> str:
    return json.dumps(value, default=lambda at: at.isoformat().replace("+00:00", "Z"))


def _printed(results: Sequence[Mapping[str, Any]], *, ndjson: bool) -> str:
    lines = [_json(result) for result in results]
    return "".join(f"{line}\n" for line in lines) if ndjson else "[" + ",\n ".join(lines) + "]\n"


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one file; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trunkline_sla.calendar", description="Ask a business calendar.")
    parser.add_argument("file", help="scenario file, JSON or YAML; - reads stdin")
    parser.add_argument("--ndjson", action="store_true", help="one result per line")
    chosen = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if chosen.file == "-" else Path(chosen.file).read_text(encoding="utf-8")
        scenario = check(load(text))
    except OSError as error:
        return _refuse(f"{chosen.file}: {error.strerror}")
    except (InvalidFile, UnicodeDecodeError) as error:
        return _refuse(str(error))
    results = run(scenario)
    sys.stdout.write(_printed(results, ndjson=chosen.ndjson))
    missed = "".join(f"{line}\n" for line in misses(scenario, results))
    sys.stderr.write(missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
