"""Every scenario file meets what it expects, and each rule that is switched off is missed by one of its scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from trunkline_router import simulate

from tests.router.mutations import RULES

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))
REPORT = Path("build/reports/scenario_mutations.md")
#: The first line of a file: which rule of which section it shows, and how.
HEAD = re.compile(r"# (?P<rule>[a-z0-9_]+) \((?P<section>[^)]+)\): (?P<why>.+)\n")


def head(file: Path) -> re.Match[str]:
    """What a file says it shows."""
    found = HEAD.match(file.read_text())
    assert found is not None, f"{file.name}: the first line names no rule"
    return found


BY_RULE = {rule: [f for f in SCENARIOS if head(f)["rule"] == rule] for rule in RULES}


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_meets_what_it_expects(file: Path) -> None:
    """It expects something, and shows a rule that can be switched off."""
    _, missed = simulate.run(file.read_text())
    assert missed == []
    assert "expect: {" in file.read_text()
    assert head(file)["rule"] in RULES


def test_there_are_scenarios_of_every_rule() -> None:
    """An empty folder would pass."""
    assert len(SCENARIOS) >= 80
    assert [rule for rule, files in BY_RULE.items() if not files] == []


def failed(file: Path) -> bool:
    """Whether a scenario notices: it misses something, or the engine breaks."""
    try:
        return bool(simulate.run(file.read_text())[1])
    except (AssertionError, LookupError, TypeError, ValueError):
        return True


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, list[str]]]:
    """Which scenarios of a rule noticed that it was off; written down at the end."""
    found: dict[str, list[str]] = {}
    yield found
    lines = [
        f"| {head(file)['section']} | {rule} | {file.stem} | {'caught' if file.stem in found.get(rule, ()) else ''} |"
        for rule, files in BY_RULE.items()
        for file in files
    ]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(
        "# Scenarios and the rules they catch\n\nEach rule was switched off in turn; `caught`: the scenario failed.\n\n"
        "| section | rule | scenario | |\n|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_switched_off_is_missed(
    rule: str, monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]
) -> None:
    """By every scenario that says it shows the rule."""
    RULES[rule](monkeypatch)
    table[rule] = [file.stem for file in BY_RULE[rule] if failed(file)]
    assert table[rule] == [file.stem for file in BY_RULE[rule]]
