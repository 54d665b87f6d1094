"""The SLA engine: every scenario file, every rule switched off once, what is published, and what holds for any log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, Hours, Window
from trunkline_sla import evaluate as command
from trunkline_sla import evaluation_events as events
from trunkline_sla.calendar import load
from trunkline_sla.evaluate_document import check
from trunkline_sla.evaluation import begin, evaluate, evolve, view
from trunkline_sla.evaluation_model import FactKind, Metric, Policy, Reopen, Rule, Standing

from tests.sla.mutations import RULES

SCENARIOS = sorted((Path(__file__).parent / "scenarios" / "evaluate").glob("*.yaml"))
REPORT = Path("build/reports/sla_scenario_mutations.md")
T0 = datetime(2026, 11, 16, 10, tzinfo=UTC)
WEEK = tuple((Window(9 * 3600, 12 * 3600), Window(13 * 3600, 17 * 3600)) if d < 5 else () for d in range(7))
ALWAYS, OFFICE = Calendar(AlwaysOpen(), T0), Calendar(Hours("Europe/Berlin", WEEK), T0)
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
    """An empty folder would pass."""
    assert len(SCENARIOS) >= 80


def _noticed(file: Path) -> bool:
    try:
        return bool(missed(file))
    except (LookupError, TypeError, ValueError):
        return True


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, list[str]]]:
    """Which scenarios noticed that a rule was off; written down at the end."""
    found: dict[str, list[str]] = {}
    yield found
    lines = [f"| {RULES[rule].section} | {rule} | {', '.join(files)} |" for rule, files in found.items()]
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
    files = [file for file in SCENARIOS if file.stem in RULES[rule].noticed_by]
    table[rule] = [file.stem for file in files if _noticed(file)]
    assert table[rule] == sorted(RULES[rule].noticed_by)


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


# -- what holds for every log

STATES = st.sampled_from(["open", "pending", "on_hold", "resolved", "closed"])
SETS = st.none() | st.frozensets(STATES, max_size=2)
A_RULE = st.builds(
    Rule,
    st.integers(1, 200_000),
    SETS,
    SETS,
    st.none() | st.sampled_from(Reopen),
    st.booleans(),
)
PRIORITIES = st.sampled_from(["low", "high"])
A_POLICY = st.builds(
    Policy,
    st.dictionaries(st.sampled_from(Metric), A_RULE),
    st.booleans(),
    st.none() | st.frozensets(PRIORITIES, max_size=2),
    st.booleans(),
)
MOMENT = st.integers(0, 20).map(lambda n: at(n * 7200))
AN_EVENT: st.SearchStrategy[events.Event] = st.one_of(
    st.builds(events.CustomerMessage, MOMENT),
    st.builds(events.AgentMessage, MOMENT),
    st.builds(events.BotMessage, MOMENT),
    st.builds(events.StateChanged, MOMENT, STATES),
    st.builds(events.PriorityChanged, MOMENT, PRIORITIES),
    st.builds(events.PolicyChanged, MOMENT, st.none() | A_POLICY),
    st.builds(events.CalendarChanged, MOMENT, st.sampled_from([ALWAYS, OFFICE])),
)


@st.composite
def a_log(draw: st.DrawFn) -> list[events.Event]:
    """Created, then anything, in order."""
    rest = draw(st.lists(AN_EVENT, max_size=12))
    created = events.ConversationCreated(T0, draw(STATES), draw(PRIORITIES))
    return [created, *sorted(rest, key=lambda event: event.at)]


CALENDARS = st.sampled_from([ALWAYS, OFFICE])
quick = settings(max_examples=120, deadline=None)


@quick
@given(A_POLICY, CALENDARS, a_log(), MOMENT)
def test_it_is_a_function(policy: Policy, calendar: Calendar, log: list[events.Event], now: datetime) -> None:
    """Asked twice it says the same, and what comes after `now` changes nothing at `now`."""
    found = evaluate(policy, calendar, log, now)
    assert evaluate(policy, calendar, log, now) == found
    assert evaluate(policy, calendar, [e for e in log if e.at <= now], now) == found


@quick
@given(A_POLICY, CALENDARS, a_log(), st.integers(0, 12), MOMENT)
def test_a_log_may_be_split_anywhere(
    policy: Policy, calendar: Calendar, log: list[events.Event], cut: int, between: datetime
) -> None:
    """Looking in between and going on from there is the same as going through."""
    state = begin(policy, calendar, T0)
    for event in log[:cut]:
        state = evolve(state, event)
    view(state, max(between, state.at))
    for event in log[cut:]:
        state = evolve(state, event)
    assert view(state, at(400_000)) == evaluate(policy, calendar, log, at(400_000))


@quick
@given(A_POLICY, CALENDARS, a_log(), MOMENT)
def test_the_figures_agree_with_each_other(
    policy: Policy, calendar: Calendar, log: list[events.Event], now: datetime
) -> None:
    """Counted time is that of the intervals, facts come in order, a deadline runs, a breach is published once."""
    found = evaluate(policy, calendar, log, now)
    for metric, answer in found.metrics.items():
        for cycle in answer.cycles:
            assert cycle.elapsed_s >= 0
            assert cycle.elapsed_s == sum(p.seconds for p in cycle.intervals)
            assert cycle.diff_s == cycle.target_s - cycle.elapsed_s
            assert (cycle.due_at is None) == (cycle.state is not Standing.RUNNING)
            assert all(p.counted or not p.seconds for p in cycle.intervals)
            said = [
                f.at for f in found.facts if (f.kind, f.metric, f.cycle) == (FactKind.BREACHED, metric, cycle.cycle)
            ]
            assert said == ([cycle.breached_at] if cycle.breached_at else [])
    assert [f.at for f in found.facts] == sorted(f.at for f in found.facts)
    assert all(f.at <= now for f in found.facts)


@quick
@given(A_POLICY, CALENDARS, a_log(), MOMENT)
def test_what_is_past_its_deadline_while_it_runs_is_breached(
    policy: Policy, calendar: Calendar, log: list[events.Event], now: datetime
) -> None:
    """No breach is dated before its clock began or after now; missed without one: the target fell during a pause."""
    for answer in evaluate(policy, calendar, log, now).metrics.values():
        if answer.due_at is not None and answer.due_at < now:
            assert answer.breached_at is not None
        for cycle in answer.cycles:
            assert cycle.breached_at is None or cycle.started_at < cycle.breached_at <= now
            assert cycle.met is not False or cycle.breached_at or cycle.elapsed_s > cycle.target_s


@quick
@given(st.integers(1, 10_000_000), st.integers(0, 10_000_000))
def test_without_pauses_a_deadline_is_start_and_target(target: int, later: int) -> None:
    """Always open: due_at = start + target, breached iff that has passed."""
    found = evaluate(one(target), ALWAYS, BEGUN, at(later)).metrics[FIRST]
    assert found.due_at == at(target)
    assert found.breached_at == (at(target) if later > target else None)
    assert found.elapsed_s == later
