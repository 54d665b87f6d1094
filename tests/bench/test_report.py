"""The figures' arithmetic and the table; no time is measured here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.report import Goal, Result, in_turn, number, percentile, save, shortfalls, table


def result(name: str = "loop", *, ours: float = 90.0, goal: Goal | None = None, higher: bool = True) -> Result:
    """A result of three runs whose median is `ours` against 100."""
    return in_turn(
        name,
        "events/s",
        [1.0, ours, 1000.0],
        [100.0, 100.0, 100.0],
        goal=goal,
        higher_is_better=higher,
        measured_on="a topic",
        baseline_is="the same, bare",
        details={"p99 ms": 12.345, "records": 100_000},
    )


def test_value_and_baseline_are_medians() -> None:
    """One slow run changes nothing."""
    found = result()
    assert (found.value, found.baseline, found.ratio) == (90.0, 100.0, 0.9)


def test_the_ratio_is_of_what_ran_side_by_side() -> None:
    """A machine that became slower between the runs slowed both of a pair; the medians are of different ones."""
    found = in_turn(
        "drift", "s", [100, 40, 90], [200, 50, 60], goal=None, higher_is_better=False, measured_on="", baseline_is=""
    )
    assert (found.value, found.baseline, found.ratio) == (90, 60, 0.8)


@pytest.mark.parametrize(
    ("ours", "goal", "higher", "met"),
    [
        (80.0, Goal(0.8), True, True),
        (79.0, Goal(0.8), True, False),
        (300.0, Goal(3.0), False, True),
        (301.0, Goal(3.0), False, False),
        (99.0, Goal(100.0, on="value"), False, True),
        (101.0, Goal(100.0, on="value"), False, False),
        (90.0, None, True, None),
    ],
)
def test_a_goal_binds_the_ratio_or_the_value_in_the_better_direction(
    ours: float, goal: Goal | None, higher: bool, met: bool | None
) -> None:
    """The bound itself is good enough."""
    assert result(ours=ours, goal=goal, higher=higher).met is met


def test_the_table_shows_the_ratio_beside_the_goal_marks_shortfalls_and_says_what_is_measured() -> None:
    """One line per figure, one sentence per figure."""
    good, bad = result("good", goal=Goal(0.8)), result("bad", goal=Goal(0.95))
    lines = table([good, bad, result("open")]).splitlines()
    assert lines[0].split() == ["benchmark", "value", "baseline", "ratio", "goal"]
    assert lines[2].split() == ["good", "90", "events/s", "100", "0.90", ">=", "0.8", "met"]
    assert lines[3].split()[-2:] == ["FALLS", "SHORT"]
    assert lines[4].split()[-1] == "none"
    assert "bad: a topic. Baseline: the same, bare. p99 ms 12.3, records 100,000." in lines
    assert shortfalls([good, bad]) == ["bad"]


def test_a_file_holds_everything_that_was_promised(tmp_path: Path) -> None:
    """Name, unit, value, baseline, ratio, goal, direction, runs, machine."""
    saved = json.loads(save(result(goal=Goal(0.8)), {"cores": 2}, tmp_path / "bench").read_text())
    promised = {"name", "unit", "value", "baseline", "ratio", "goal", "higher_is_better", "runs", "machine"}
    assert promised <= set(saved)
    assert (saved["ratio"], saved["goal"], saved["machine"]) == (0.9, 0.8, {"cores": 2})
    assert saved["runs"][1] == {"ours": 90.0, "baseline": 100.0}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The nearest rank, not an average between two."""
    values = [float(n) for n in range(1, 201)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 100.0, 198.0, 200.0]
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_numbers_keep_three_digits_that_count() -> None:
    """Whole from a hundred on."""
    assert [number(n) for n in (0.81234, 12.345, 99.96, 123456.7)] == ["0.812", "12.3", "100", "123,457"]
