"""python -m tests.common.brute_calendars --count 10000 [--seed N] [--first N]: random calendars, counted by the minute.

A calendar is written at random around a change of its zone's clocks. The product answers; the counter of
calendar_counter.py walks the minutes of that week. Exit 1 at the first disagreement, which is printed whole.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise

from trunkline_common.calendar import Calendar, CalendarFault
from trunkline_common.calendar_document import parse

from tests.common.calendar_counter import (
    DAY_MINUTES,
    SECONDS,
    WALKED,
    Counted,
    Document,
    begin,
    furthest,
    open_minutes,
)
from tests.common.random_calendars import Maker

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
#: How far the laws are tried, in seconds.
FAR = 180 * 86_400

Move = Callable[[datetime, int], datetime]


# -- both asked


class Disagreement(AssertionError):
    """The product and the counter, or two answers that a law joins, differ."""


@dataclass(slots=True)
class Case:
    """One random calendar of a run, and who answers about it."""

    seed: int
    number: int
    chance: random.Random = field(init=False)
    document: Document = field(init=False)
    middle: date = field(init=False)
    counted: Counted = field(init=False)
    calendar: Calendar = field(init=False)

    def __post_init__(self) -> None:
        """The same for a seed and a number, whatever came before."""
        self.chance = random.Random(f"{self.seed}/{self.number}")  # noqa: S311 - the same numbers are the point
        maker = Maker(self.chance)
        self.document, self.middle = maker.calendar(), maker.middle
        self.counted = Counted(open_minutes(self.document, self.middle))
        away = self.chance.choices([0, self.chance.randint(-1500, 1500)], [97, 3])[0]
        self.calendar = Calendar(parse(self.document), begin(self.middle) + DAY * away)

    def check(self) -> None:
        """Raises Disagreement with the whole case."""
        try:
            self._every_minute()
            self._any_instants()
            self._laws()
        except CalendarFault as fault:
            raise self._differ("what has an answer", fault, "open time") from fault

    def _every_minute(self) -> None:
        """Every run is open throughout, and all of them together are all there is; is_open at every edge."""
        for a, b in self.counted.runs:
            self._agree(f"between({a}, {b})", self.calendar.between(self._at(a), self._at(b)), b - a)
            for x in (a - 1, a, b - 1, b):
                self._is_open(x)
        self._agree(
            "between(0, end)", self.calendar.between(self._at(0), self._at(SECONDS)), 60 * sum(self.counted.minutes)
        )
        for minute in range(self.chance.randrange(31), WALKED, 31):
            self._is_open(60 * minute)

    def _is_open(self, x: int) -> None:
        if 0 <= x < SECONDS:
            self._agree(f"is_open({x})", self.calendar.is_open(self._at(x)), self.counted.is_open(x))

    def _any_instants(self) -> None:
        """Where the walk has an answer, it is the product's, to the second."""
        for _ in range(6):
            a, b, n = self._instant(), self._instant(), self._span()
            self._agree(
                f"between({a}, {b})", self.calendar.between(self._at(a), self._at(b)), self.counted.between(a, b)
            )
            for seconds in (0, n):
                if (found := self.counted.add(a, seconds)) is not None:
                    self._agree(f"add({a}, {seconds})", self.calendar.add(self._at(a), seconds), self._at(found))
                if (found := self.counted.subtract(b, seconds)) is not None:
                    self._agree(
                        f"subtract({b}, {seconds})", self.calendar.subtract(self._at(b), seconds), self._at(found)
                    )

    def _laws(self) -> None:
        """Q1 to Q5 from any instant to half a year away: only where there is that much open time."""
        c, here = self.calendar, self._at(self._instant())
        there, other = (here + SECOND * self.chance.randint(-FAR, FAR) for _ in range(2))
        counted = c.between(here, there)
        self._agree(f"Q2 {here} {other} {there}", c.between(here, other) + c.between(other, there), counted)
        if counted:
            moved = c.add(here, counted) if counted > 0 else c.subtract(here, -counted)
            self._agree(f"Q1 {here} {there}", c.between(moved, there), 0)
        if (ahead := c.between(here, here + SECOND * FAR)) > 1:
            self._law(here, self.chance.randint(2, ahead), c.add, c.subtract)
            self._agree(f"Q5 {here} + {ahead}", c.is_open(c.add(here, ahead) - SECOND), counted=True)
        if (back := c.between(here - SECOND * FAR, here)) > 1:
            self._law(here, self.chance.randint(2, back), c.subtract, c.add)
            self._agree(f"Q5 {here} - {back}", c.is_open(c.subtract(here, back)), counted=True)

    def _law(self, at: datetime, total: int, move: Move, undo: Move) -> None:
        moved, first = move(at, total), self.chance.randint(1, total - 1)
        asked = f"{at} {move.__name__} {total}"
        self._agree(f"Q3 {asked}, {first} first", move(move(at, first), total - first), moved)
        self._agree(f"Q4 {asked}", self.calendar.between(undo(moved, total), at), 0)

    def _agree(self, asked: str, answered: object, counted: object) -> None:
        if answered != counted:
            raise self._differ(asked, answered, counted)

    def _differ(self, asked: str, answered: object, counted: object) -> Disagreement:
        return Disagreement(
            f"--seed {self.seed} --first {self.number} --count 1\n{json.dumps(self.document)}\n"
            f"tzdata {self.calendar.tzdata}; seconds count from {self._at(0)}\n"
            f"{asked}\n  product: {answered}\n  counted: {counted}"
        )

    def _at(self, seconds: int) -> datetime:
        return begin(self.middle) + SECOND * seconds

    def _instant(self) -> int:
        """Any second of the walk, and as often a whole minute or an edge."""
        edges = [x for run in self.counted.runs for x in run] or [0]
        any_second = self.chance.randrange(SECONDS)
        return self.chance.choice([any_second, any_second // 60 * 60, self.chance.choice(edges)])

    def _span(self) -> int:
        total = 60 * sum(self.counted.minutes)
        return self.chance.choice([self.chance.randint(1, 7200), self.chance.randint(1, total + 1)])


# -- a run


def check(count: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Each case once it is proven. Raises Disagreement."""
    for number in range(first, first + count):
        case = Case(seed, number)
        case.check()
        yield case


def traits(case: Case) -> Iterator[tuple[str, str]]:
    """The zones of a case, each with what its clock does in that week."""
    parts = [case.document]
    while parts:
        part = parts.pop()
        parts += part.get("all_of", ())
        if "tz" in part:
            yield part["tz"], _clock(part["tz"], case.middle)


@cache
def _clock(name: str, middle: date) -> str:
    steps = {b - a for a, b in pairwise(furthest(name, middle))}
    if max(steps) > 1:
        return "skips a date" if max(steps) >= DAY_MINUTES else "skips"
    return "repeats" if 0 in steps else "runs on"


def table(found: Counter[tuple[str, str]]) -> str:
    """Calendars by zone, and by what the clock did."""
    kinds = ("runs on", "skips", "skips a date", "repeats")
    names = sorted({name for name, _ in found})
    counts = {name: [found[name, kind] for kind in kinds] for name in names}
    lines = [["zone", "calendars", *kinds]]
    lines += [[name, *map(str, (sum(counted), *counted))] for name, counted in counts.items()]
    return "\n".join(f"{name:22}" + "".join(f"{cell:>14}" for cell in cells) for name, *cells in lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.common.brute_calendars", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first calendar, to repeat one")
    args = parser.parse_args()
    try:
        _run(args.count, args.seed, args.first)
    except Disagreement as found:
        _say(f"DISAGREE\n{found}")
        return 1
    return 0


def _run(count: int, seed: int, first: int) -> None:
    began, found, never = time.monotonic(), Counter[tuple[str, str]](), 0
    for done, case in enumerate(check(count, seed, first), start=1):
        found.update(traits(case))
        never += not case.counted.runs
        if done % 500 == 0:
            _say(f"{done} of {count} agree, {time.monotonic() - began:.0f} s")
    _say(f"{table(found)}\n{count} calendars agree (seed {seed}, {never} closed all week)")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
