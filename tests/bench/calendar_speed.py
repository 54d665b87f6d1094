"""A deadline of 90 business days, asked of an expanded calendar and of businesstimedelta, which walks its rules."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from statistics import median
from typing import Any

import businesstimedelta  # type: ignore[import-untyped] # has no types
import pytz  # type: ignore[import-untyped] # what businesstimedelta takes for a zone
from trunkline_common.calendar import AHEAD, BACK, Calendar
from trunkline_common.calendar_document import parse

from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

ZONE, WORKDAYS = "Europe/Berlin", ("mon", "tue", "wed", "thu", "fri")
DOCUMENT = {"tz": ZONE, "weekly": {day: [["09:00", "12:00"], ["13:00", "17:00"]] for day in WORKDAYS}}
DAYS, DAY_S = 90, 7 * 3600
TARGET = DAYS * DAY_S
ANCHOR = datetime(2026, 6, 1, tzinfo=UTC)
WHERE = f"{DAYS} business days of Mon-Fri 9-12 and 13-17 in {ZONE}, over changes of the clocks"
BASELINE = "businesstimedelta 1.0.1 on the same questions in the same run; both gave the same answers before"


class Library:
    """The same hours in businesstimedelta's words: a workday and a lunch."""

    def __init__(self) -> None:
        zone = pytz.timezone(ZONE)
        workday = businesstimedelta.WorkDayRule(wall_time(9), wall_time(17), [0, 1, 2, 3, 4], tz=zone)
        lunch = businesstimedelta.LunchTimeRule(wall_time(12), wall_time(13), [0, 1, 2, 3, 4], tz=zone)
        self._rules = businesstimedelta.Rules([workday, lunch])

    def add(self, at: datetime, seconds: int) -> datetime:
        found: datetime = at + businesstimedelta.BusinessTimeDelta(self._rules, seconds=seconds)
        return found

    def between(self, start: datetime, end: datetime) -> int:
        found: timedelta = self._rules.difference(start, end).timedelta
        return found // timedelta(seconds=1)


Question = tuple[datetime, Any]


async def measure(bench: Bench) -> list[Result]:
    """Both answer alike, then take turns."""
    ours, library = Calendar(parse(DOCUMENT), ANCHOR), Library()
    starts = _starts(bench.count(200, 8))
    adds: list[Question] = [(at, TARGET) for at in starts]
    spans: list[Question] = [(at, ours.add(at, TARGET + 1800)) for at in starts]
    _same("add", ours.add, library.add, adds)
    _same("between", ours.between, library.between, spans)
    found = {
        "add": [_turn(bench, ours.add, library.add, adds) for _ in range(bench.runs)],
        "between": [_turn(bench, ours.between, library.between, spans) for _ in range(bench.runs)],
    }
    expanded = [_expansion(bench) for _ in range(bench.runs)]
    return [*(_calls(name, figures) for name, figures in found.items()), _expanded(expanded, found["add"], ours)]


def _starts(count: int) -> list[datetime]:
    """Any second of the year about the anchor: at work, at lunch, at night, on Sundays."""
    chance = random.Random(90)  # noqa: S311 - the same questions every time
    return [ANCHOR + timedelta(seconds=chance.randint(-180 * 86_400, 180 * 86_400)) for _ in range(count)]


def _same(name: str, ours: Callable[..., Any], library: Callable[..., Any], asked: Sequence[Question]) -> None:
    for question in asked:
        if (answer := ours(*question)) != (theirs := library(*question)):
            raise AssertionError(f"{name}{question}: {answer}, and {theirs} by businesstimedelta")


def _turn(
    bench: Bench, ours: Callable[..., Any], library: Callable[..., Any], asked: Sequence[Question]
) -> tuple[float, float]:
    """Seconds per call: ours, the library's."""
    mine = _seconds(ours, list(asked) * bench.count(200, 2))
    theirs = _seconds(library, asked[: bench.count(60, 2)])
    bench.say(f"{ours.__name__}: {mine * 1e6:.2f} us, businesstimedelta {theirs * 1e3:.2f} ms")
    return mine, theirs


def _seconds(ask: Callable[..., Any], asked: Sequence[Question]) -> float:
    began = time.perf_counter()
    for at, what in asked:
        ask(at, what)
    return (time.perf_counter() - began) / len(asked)


def _expansion(bench: Bench) -> float:
    """Seconds to expand the rules anew."""
    rules, count = parse(DOCUMENT), bench.count(20, 1)
    began = time.perf_counter()
    for _ in range(count):
        Calendar(rules, ANCHOR)
    return (time.perf_counter() - began) / count


def _calls(name: str, figures: Sequence[tuple[float, float]]) -> Result:
    return in_turn(
        f"calendar_{name}",
        "calls/s",
        [1 / ours for ours, _ in figures],
        [1 / theirs for _, theirs in figures],
        goal=Goal(500),
        higher_is_better=True,
        measured_on=f"a call on an expanded calendar; {WHERE}",
        baseline_is=BASELINE,
        details={
            "us a call": median(ours for ours, _ in figures) * 1e6,
            "ms a call of businesstimedelta": median(theirs for _, theirs in figures) * 1e3,
        },
    )


def _expanded(seconds: Sequence[float], adds: Sequence[tuple[float, float]], calendar: Calendar) -> Result:
    return in_turn(
        "calendar_expansion",
        "ms",
        [taken * 1e3 for taken in seconds],
        [theirs * 1e3 for _, theirs in adds],
        goal=None,
        higher_is_better=False,
        measured_on="expanding 13 months back and 25 ahead of the same hours, once per calendar and month",
        baseline_is="one addition by businesstimedelta, which expands nothing: the ratio is how many pay for it",
        details={"days": (BACK + AHEAD) // 86_400, "intervals": len(calendar._known.starts)},
    )


BENCHMARK = Benchmark("calendar", "deadlines of 90 business days, beside businesstimedelta", measure, needs_stack=False)
