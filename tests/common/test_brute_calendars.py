"""Random calendars in zones with odd clocks agree with a count minute by minute, and a broken rule does not."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from trunkline_common import calendar_expansion as expansion
from trunkline_common.calendar import Expansion

from tests.common import brute_calendars, calendar_counter, random_calendars
from tests.common.brute_calendars import Disagreement, check
from tests.common.calendar_counter import Document
from tests.common.random_calendars import ODD, Maker

#: Ten thousand are for the command; these take some seconds.
COUNT, SEED = 80, 5
pieces = expansion._pieces
instant = expansion.Wall.instant


def test_random_calendars_agree_with_a_count_minute_by_minute() -> None:
    """between, is_open, add, subtract and their laws, in every odd zone, over every kind of change."""
    seen = {trait for case in check(COUNT, SEED) for trait in brute_calendars.traits(case)}
    assert {name for name, _ in seen} >= set(ODD)
    assert {clock for _, clock in seen} == {"runs on", "skips", "skips a date", "repeats"}
    assert ("Pacific/Apia", "skips a date") in seen


# -- what the count is for: each rule, broken


def shifted(wall: expansion.Wall, local: int) -> int:
    """RFC 5545: a time that the clock skips is moved on by the gap, not to its end."""
    at = (expansion.LOCAL_EPOCH + timedelta(seconds=local)).replace(tzinfo=wall._zone)
    before, after = expansion._offset(at), expansion._offset(at.replace(fold=1))
    return local - before if before < after else instant(wall, local)


def second(wall: expansion.Wall, local: int) -> int:
    """An ambiguous time is its second occurrence."""
    at = (expansion.LOCAL_EPOCH + timedelta(seconds=local)).replace(tzinfo=wall._zone)
    before, after = expansion._offset(at), expansion._offset(at.replace(fold=1))
    return local - after if before > after else instant(wall, local)


def with_tail(midnight: int, window: Any, *, head: bool, tail: bool) -> Iterator[tuple[int, int]]:
    """A holiday leaves the shift begun the day before."""
    assert tail in (True, False)
    return pieces(midnight, window, head=head, tail=True)


def next_opening(known: Expansion, position: int) -> int:
    """Adding ends where it opens next."""
    i = min(bisect_right(known.totals, position), len(known.starts)) - 1
    return known.starts[i] + position - known.totals[i]


def last_closing(known: Expansion, position: int) -> int:
    """Subtracting ends where it closed last."""
    i = max(bisect_left(known.totals, position), 1) - 1
    return known.starts[i] + position - known.totals[i]


def first_only(left: expansion.Intervals, right: expansion.Intervals) -> expansion.Intervals:
    """Closures close nothing."""
    assert right is not left
    return left


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (expansion.Wall, "instant", shifted),
        (expansion.Wall, "instant", second),
        (expansion, "_pieces", with_tail),
        (expansion, "subtract", first_only),
        (Expansion, "closing", next_opening),
        (Expansion, "opening", last_closing),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, broken: Callable[..., object]
) -> None:
    """Within the same calendars; the case is told whole."""
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(Disagreement, match=r"--seed 5 --first \d+ --count 1\n\{.*\n.*\n.*\n  product: .*\n  counted: "):
        list(check(COUNT, SEED))


# -- the counter and the calendars themselves


def test_the_counter_knows_nothing_of_the_product() -> None:
    """Nor does what writes the calendars."""
    for module in (calendar_counter, random_calendars):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not [name for name in imported if "trunkline" in name]


def hours(document: Document) -> Iterator[Document]:
    """The document, or those it is the common part of."""
    yield from (one for part in document["all_of"] for one in hours(part)) if "all_of" in document else (document,)


def written(document: Document) -> Iterator[str]:
    """What can be told of a document."""
    yield from document
    for one in hours(document):
        yield from (key for key in one if key != "holiday_scope")
        yield one.get("holiday_scope", "by default")
        for windows in [*one.get("weekly", {}).values(), *(o["hours"] for o in one.get("overrides", ()))]:
            yield ("none", "one", "two", "three")[len(windows)]
            yield from (kind(*window) for window in windows)


def kind(start: str, end: str) -> str:
    """Of a window."""
    if end == "24:00":
        return "24:00"
    return "equal" if start == end else "overnight" if end < start else "in order"


def test_the_calendars_have_something_of_everything() -> None:
    """What an owner may write, all of it is drawn."""
    maker = Maker(Random(SEED))  # noqa: S311 - the same numbers every time are the point
    drawn = {trait for _ in range(COUNT) for trait in written(maker.calendar())}
    assert drawn == {
        *("tz", "weekly", "holidays", "annual_holidays", "overrides", "closures", "holiday_scope"),
        *("clock", "shift", "by default", "all_of", "always_open"),
        *("none", "one", "two", "three", "in order", "overnight", "24:00", "equal"),
    }
