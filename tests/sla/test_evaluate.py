"""The SLA engine: every scenario file, every rule switched off once, and what is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, Hours
from trunkline_common.files import load
from trunkline_sla import evaluate as command
from trunkline_sla import evaluation_events as events
from trunkline_sla.evaluate_document import check
from trunkline_sla.evaluation import evaluate
from trunkline_sla.evaluation_answers import Standing
from trunkline_sla.evaluation_facts import FactKind
from trunkline_sla.evaluation_model import Metric, Policy, Rule

from tests.sla.mutations import RULES

SCENARIOS = sorted((Path(__file__).parent / "scenarios" / "evaluate").glob("*.yaml"))
REPORT = Path("build/reports/sla_scenario_mutations.md")
T0 = datetime(2026, 11, 16, 10, tzinfo=UTC)
ALWAYS = Calendar(AlwaysOpen(), T0)
FIRST, RESOLUTION = Metric.FIRST_RESPONSE, Metric.RESOLUTION


def at(seconds: float) -> datetime:
    """So long after the beginning."""
    return T0 + timedelta(seconds=seconds)


# -- scenarios and mutations


def missed(file: Path) -> list[str]:
    """What a scenario expects in vain."""
    return command.run(check(load(file.read_text())), None, explain=False)[1]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_meets_what_it_expects(file: Path) -> None:
    """It expects something, and says what it shows."""
    text = file.read_text()
    assert text.startswith("# ")
    assert check(load(text)).expect
    assert missed(file) == []


def test_there_are_scenarios() -> None:
    """An empty folder would pass; and a file that no rule switched off would change shows nothing."""
    assert len(SCENARIOS) >= 125
    assert {file.stem for file in SCENARIOS} == {name for rule in RULES.values() for name in rule.noticed_by.split()}


def _noticed(file: Path) -> bool:
    try:
        return bool(missed(file))
    except (LookupError, TypeError, ValueError):
        return True


def _section(text: str) -> list[int]:
    """7.10 comes after 7.9; what is of another page comes last."""
    return [int(part) for part in text.split(".")] if text[0].isdigit() else [99]


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, list[str]]]:
    """Which scenarios noticed that a rule was off; written down at the end."""
    found: dict[str, list[str]] = {}
    yield found
    ordered = sorted(found.items(), key=lambda row: _section(RULES[row[0]].section))
    lines = [f"| {RULES[rule].section} | {rule} | {', '.join(files)} |" for rule, files in ordered]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(
        "# SLA rules and the scenarios that catch them\n\nEach rule was switched off in turn.\n\n"
        "| section | rule | caught by |\n|---|---|---|\n" + "\n".join(lines) + "\n"
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_switched_off_is_missed(
    rule: str, monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]
) -> None:
    """By every scenario that was written for it."""
    RULES[rule].apply(monkeypatch)
    files = [file for file in SCENARIOS if file.stem in RULES[rule].noticed_by.split()]
    table[rule] = [file.stem for file in files if _noticed(file)]
    assert table[rule] == sorted(RULES[rule].noticed_by.split())


# -- what is published


def facts(policy: Policy, log: list[events.Event], until: float) -> list[tuple[str, float, str]]:
    """Kind, seconds from the beginning, and percent or reason."""
    found = evaluate(policy, ALWAYS, log, at(until)).facts
    return [(f.kind.name, (f.at - T0).total_seconds(), str(f.percent or f.reason or "")) for f in found]


def one(target: int, **more: object) -> Policy:
    """A policy of first_response alone."""
    return replace(Policy({FIRST: Rule(target)}), **more)  # type: ignore[arg-type]


BEGUN: list[events.Event] = [events.ConversationCreated(T0), events.CustomerMessage(T0)]


def test_warnings_come_at_their_percent_and_the_breach_after_them() -> None:
    """75 and 90 percent of 3600 s, then the deadline, then the late reply and the recovery (9.1, 9.4)."""
    assert facts(one(3600), [*BEGUN, events.AgentMessage(at(4000))], 5000) == [
        ("STARTED", 0, ""),
        ("WARNING", 2700, "75"),
        ("WARNING", 3240, "90"),
        ("BREACHED", 3600, ""),
        ("FULFILLED", 4000, "agent_message"),
        ("RECOVERED", 4000, ""),
    ]


def test_a_warning_counts_whole_seconds_rounded_up() -> None:
    """75 percent of 10 s is 8 s; nothing is published before it passes (9.1)."""
    policy = one(10, warnings_percent=(75,))
    assert facts(policy, BEGUN, 7) == [("STARTED", 0, "")]
    assert facts(policy, BEGUN, 8) == [("STARTED", 0, ""), ("WARNING", 8, "75")]


def test_a_jump_gives_the_highest_warning_once_and_at_the_change() -> None:
    """950 s have run when 7200 s become 1000 s: 75 percent is passed over in silence (9.2)."""
    log = [*BEGUN, events.PolicyChanged(at(950), one(1000))]
    assert facts(one(7200), log, 999) == [
        ("STARTED", 0, ""),
        ("RESCHEDULED", 950, ""),
        ("WARNING", 950, "90"),
    ]


def test_a_breach_supersedes_the_warnings_of_a_jump() -> None:
    """A lowered target that is past (9.2, 13.2)."""
    log = [*BEGUN, events.PolicyChanged(at(2000), one(1000))]
    assert facts(one(7200), log, 3000) == [
        ("STARTED", 0, ""),
        ("RESCHEDULED", 2000, ""),
        ("BREACHED", 2000, ""),
    ]


def test_a_pause_moves_the_warnings_with_the_deadline() -> None:
    """Ten minutes of pending (9.1)."""
    log: list[events.Event] = [
        events.ConversationCreated(T0),
        events.StateChanged(at(600), "pending"),
        events.StateChanged(at(1200), "open"),
        events.StateChanged(at(4000), "resolved"),
    ]
    policy = Policy({RESOLUTION: Rule(3600)}, warnings_percent=(75,))
    assert facts(policy, log, 9000) == [
        ("STARTED", 0, ""),
        ("PAUSED", 600, ""),
        ("RESUMED", 1200, ""),
        ("WARNING", 3300, "75"),
        ("FULFILLED", 4000, "resolved"),
    ]


def test_switching_off_and_on_publishes_an_end_and_a_new_cycle() -> None:
    """Nothing is said of the time between (7.9)."""
    log = [*BEGUN, events.PolicyChanged(at(100), None), events.PolicyChanged(at(200), one(1000))]
    found = evaluate(one(1000), ALWAYS, log, at(300))
    assert [(f.kind, f.cycle, f.reason) for f in found.facts] == [
        (FactKind.STARTED, 1, None),
        (FactKind.CANCELLED, 1, "no_policy"),
        (FactKind.STARTED, 2, None),
    ]
    assert [(c.state, c.elapsed_s) for c in found.metrics[FIRST].cycles] == [
        (Standing.STOPPED, 100),
        (Standing.RUNNING, 300),
    ]


def test_a_calendar_without_an_answer_is_a_fault_and_no_breach() -> None:
    """Open for one day of all time (10.5)."""
    closed = Calendar(Hours("UTC", ((),) * 7), T0)
    found = evaluate(one(3600), closed, BEGUN, at(86_400))
    assert [f.kind for f in found.facts] == [FactKind.STARTED, FactKind.CONFIG_FAULT]
    assert (found.metrics[FIRST].due_at, found.metrics[FIRST].breached_at) == (None, None)


def test_every_interval_says_whether_it_counted_and_why() -> None:
    """They tile the cycle."""
    log: list[events.Event] = [
        events.ConversationCreated(T0),
        events.StateChanged(at(100), "pending"),
        events.StateChanged(at(300), "open"),
        events.StateChanged(at(400), "resolved"),
        events.StateChanged(at(900), "open"),
    ]
    (cycle,) = evaluate(Policy({RESOLUTION: Rule(3600)}), ALWAYS, log, at(1000)).metrics[RESOLUTION].cycles
    assert [(p.counted, p.seconds, p.why) for p in cycle.intervals] == [
        (True, 100, "running"),
        (False, 0, "paused in pending"),
        (True, 100, "running"),
        (False, 0, "resolved"),
        (True, 100, "running"),
    ]
    assert [p.end for p in cycle.intervals[:-1]] == [p.start for p in cycle.intervals[1:]]


def test_events_out_of_order_are_refused() -> None:
    """The log has one order."""
    with pytest.raises(ValueError, match="before the event"):
        evaluate(one(1), ALWAYS, [events.CustomerMessage(at(1)), events.CustomerMessage(T0)], at(2))
