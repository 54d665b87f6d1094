"""What a benchmark found: one JSON file each, and a table with every ratio beside its goal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Literal

FOLDER = Path("build/bench")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the ratio to the baseline, or on the value itself, whichever the promise is about."""

    bound: float
    on: Literal["ratio", "value"] = "ratio"


@dataclass(frozen=True, slots=True)
class Result:
    """One figure: the medians of ours and of the baseline over runs made in turn.

    The ratio is the median of the runs' own ratios: the speed of a machine that is shared drifts from run to run.
    """

    name: str
    unit: str
    value: float
    baseline: float
    goal: Goal | None
    higher_is_better: bool
    runs: Sequence[Mapping[str, Any]]
    measured_on: str
    baseline_is: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Ours to the baseline."""
        pairs = [float(run["ours"]) / float(run["baseline"]) for run in self.runs if run.get("baseline")]
        if pairs:
            return median(pairs)
        return self.value / self.baseline if self.baseline else 0.0

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        found = self.ratio if self.goal.on == "ratio" else self.value
        return found >= self.goal.bound if self.higher_is_better else found <= self.goal.bound

    def as_json(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """The file's content."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "goal": self.goal.bound if self.goal else None,
            "goal_is_on": self.goal.on if self.goal else None,
            "met": self.met,
            "higher_is_better": self.higher_is_better,
            "measured_on": self.measured_on,
            "baseline_is": self.baseline_is,
            "details": dict(self.details),
            "runs": [dict(run) for run in self.runs],
            "machine": dict(machine),
        }


def in_turn(
    name: str, unit: str, ours: Sequence[float], baseline: Sequence[float], *, goal: Goal | None,
    higher_is_better: bool, measured_on: str, baseline_is: str, details: Mapping[str, Any] | None = None,
) -> Result:  # fmt: skip
    """A result from the figures of runs that alternated."""
    runs = [{"ours": o, "baseline": b} for o, b in zip(ours, baseline, strict=True)]
    return Result(
        name, unit, median(ours), median(baseline), goal, higher_is_better, runs, measured_on, baseline_is,
        details or {},
    )  # fmt: skip


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, ceil(len(ordered) * share) - 1)]


def save(result: Result, machine: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write the result's file; a figure of an earlier run is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.name}.json"
    file.write_text(json.dumps(result.as_json(machine), indent=2) + "\n")
    return file


HEAD = ("benchmark", "value", "baseline", "ratio", "goal", "")


def table(results: Sequence[Result]) -> str:
    """Every figure on a line, then what each is measured on."""
    rows = [HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *(_measured(result) for result in results)])


def _row(result: Result) -> tuple[str, ...]:
    verdict = {None: "", True: "met", False: "FALLS SHORT"}[result.met]
    value, baseline = f"{number(result.value)} {result.unit}", number(result.baseline)
    return result.name, value, baseline, f"{result.ratio:.2f}", _goal(result), verdict


def _goal(result: Result) -> str:
    if result.goal is None:
        return "none"
    sign = ">=" if result.higher_is_better else "<="
    bound = f"{sign} {result.goal.bound:g}"
    return bound if result.goal.on == "ratio" else f"{bound} {result.unit}"


def _measured(result: Result) -> str:
    found = f"{result.name}: {result.measured_on}. Baseline: {result.baseline_is}."
    details = ", ".join(f"{name} {_detail(value)}" for name, value in result.details.items())
    return f"{found} {details}." if details else found


def _detail(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


def number(value: float) -> str:
    """Three digits that count, whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shortfalls(results: Iterable[Result]) -> list[str]:
    """The names of those that miss their goal."""
    return [result.name for result in results if result.met is False]
