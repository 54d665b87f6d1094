"""The SLA engine event by event: what one clock says, how its facts are told apart, and what they name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, Hours, Window
from trunkline_sla import evaluation_events as events
from trunkline_sla.evaluation import State, begin, evolve, fact_key, fire, next_at, settled
from trunkline_sla.evaluation_facts import Fact, FactKind, breach_key
from trunkline_sla.evaluation_model import Hours as RuleHours
from trunkline_sla.evaluation_model import Metric, Phase, Policy, Rule
from trunkline_sla.evaluation_replies import REVOCABLE, WAITING

T0 = datetime(2026, 11, 16, 10, tzinfo=UTC)
WEEK = tuple((Window(9 * 3600, 17 * 3600),) if d < 5 else () for d in range(7))
ALWAYS, OFFICE = Calendar(AlwaysOpen(), T0), Calendar(Hours("Europe/Berlin", WEEK), T0)
FIRST, NEXT, RESOLUTION = Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE, Metric.RESOLUTION
HOUR = Policy({FIRST: Rule(3600)}, warnings_percent=())


def at(seconds: float) -> datetime:
    """So long after the beginning."""
    return T0 + timedelta(seconds=seconds)


def told(policy: Policy, *log: events.Event, calendar: Calendar = ALWAYS) -> State:
    """After these events, and what they said."""
    state = begin(policy, calendar, T0, policy_id="gold", calendar_id="office", version=3)
    for event in log:
        state = evolve(state, event)
    return state


def kinds(facts: tuple[Fact, ...]) -> list[str]:
    """Their names."""
    return [fact.kind.name for fact in facts]


BEGUN = events.ConversationCreated(T0, cause="e1"), events.CustomerMessage(T0, "c1", 2, cause="e2")

# -- one clock


def test_a_clock_says_what_has_passed_before_now() -> None:
    """The deadline itself has not passed at that instant (7.3); the clock that was fired has nothing more to say."""
    clock = told(replace(HOUR, warnings_percent=(75,)), *BEGUN).current[FIRST]
    assert next_at(clock) == at(2700)
    assert fire(clock, at(2700)) == (clock, ())
    clock, facts = fire(clock, at(3600))
    assert [(f.kind, f.at, f.percent, f.cause) for f in facts] == [(FactKind.WARNING, at(2700), 75, "")]
    assert next_at(clock) == at(3600)
    clock, facts = fire(clock, at(3601))
    assert [(f.kind, f.at, f.due_at, f.target_s) for f in facts] == [(FactKind.BREACHED, at(3600), at(3600), 3600)]
    assert (clock.breached_at, next_at(clock)) == (at(3600), None)
    assert fire(clock, at(999_999)) == (clock, ())


def test_a_firing_does_not_move_the_conversation() -> None:
    """An event of an earlier instant is not refused (9.6)."""
    state = told(HOUR, *BEGUN)
    clock, _ = fire(state.current[FIRST], at(9000))
    state = evolve(settled(replace(state, current={**state.current, FIRST: clock})), events.AgentMessage(at(3599)))
    assert kinds(state.facts) == ["BREACH_RETRACTED", "FULFILLED"]
    assert (state.facts[1].met, state.current[FIRST].breached_at) == (True, None)


def test_a_paused_clock_a_fulfilled_one_and_one_that_nobody_promises_wait_for_nothing() -> None:
    """Only an event brings them back."""
    state = told(Policy({RESOLUTION: Rule(3600)}), *BEGUN, events.StateChanged(at(60), "pending"))
    assert [next_at(state.current[m]) for m in (RESOLUTION, FIRST)] == [None, None]
    assert next_at(evolve(state, events.StateChanged(at(90), "resolved")).current[RESOLUTION]) is None


def test_repetitions_say_their_number_and_how_late_it_is() -> None:
    """Business seconds over the target, and seconds since the deadline: a night of difference (9.3)."""
    start = T0 + timedelta(hours=5)  # 16:00 in Berlin
    policy = replace(HOUR, repeat_s=1800)
    clock = told(policy, events.ConversationCreated(start), calendar=OFFICE).current[FIRST]
    _, facts = fire(clock, start + timedelta(days=1))
    assert [(f.kind.name, f.ordinal, f.overdue_s, f.overdue_wall_s) for f in facts] == [
        ("BREACHED", None, None, None),
        ("OVERDUE", 1, 1800, 16 * 3600 + 1800),
        ("OVERDUE", 2, 3600, 17 * 3600),
        ("OVERDUE", 3, 7200, 18 * 3600),
        ("OVERDUE", 4, 14_400, 20 * 3600),
    ]


def test_a_warning_says_which_form_it_has() -> None:
    """Percent of the target, or seconds that are left (9.1)."""
    policy = replace(HOUR, warnings_percent=(50,), warnings_remaining_s=(600,))
    _, facts = fire(told(policy, *BEGUN).current[FIRST], at(3600))
    assert [(f.percent, f.remaining_s, f.threshold, f.at) for f in facts] == [
        (50, None, 50, at(1800)),
        (None, 600, 600, at(3000)),
    ]


@pytest.mark.parametrize("left", [0, -5, 3600, 9999])
def test_a_threshold_outside_of_the_target_never_comes(left: int) -> None:
    """A configuration refuses it; the engine gives no warning of it (9.1)."""
    clock = told(replace(HOUR, warnings_remaining_s=(left,)), *BEGUN).current[FIRST]
    assert next_at(clock) == at(3600)


# -- what facts are told apart by


def test_gen_grows_with_every_change_of_the_deadline() -> None:
    """Becoming null and coming back are changes (7.1); a note is none."""
    policy = Policy({RESOLUTION: Rule(3600)}, warnings_percent=(50,))
    state = told(
        policy,
        *BEGUN,
        events.AgentNote(at(10)),
        events.StateChanged(at(60), "pending"),
        events.StateChanged(at(120), "open"),
        events.PolicyChanged(at(180), Policy({RESOLUTION: Rule(7200)}, warnings_percent=(50,))),
        events.StateChanged(at(5000), "resolved"),
        events.StateChanged(at(6000), "open"),
    )
    assert [(f.kind.name, f.gen) for f in state.facts] == [
        ("STARTED", 1),
        ("PAUSED", 2),
        ("RESUMED", 3),
        ("RESCHEDULED", 4),
        ("WARNING", 4),
        ("FULFILLED", 5),
        ("RESUMED", 6),
    ]
    assert state.current[RESOLUTION].gen == 6


def test_a_target_that_changes_in_a_pause_is_another_gen() -> None:
    """There and back again are two facts, not one told twice."""
    state = told(
        Policy({RESOLUTION: Rule(3600)}),
        events.ConversationCreated(T0, "pending"),
        events.PolicyChanged(at(1), Policy({RESOLUTION: Rule(60)})),
        events.PolicyChanged(at(2), Policy({RESOLUTION: Rule(3600)})),
    )
    assert [(f.kind.name, f.gen) for f in state.facts[1:]] == [("PAUSED", 2), ("RESCHEDULED", 3), ("RESCHEDULED", 4)]


def test_a_fact_is_known_by_its_key_whoever_finds_it() -> None:
    """The timers, and an event that finds the same has passed."""
    state = told(replace(HOUR, warnings_percent=(75,), repeat_s=600), *BEGUN)
    _, fired = fire(state.current[FIRST], at(4300))
    found = evolve(settled(state), events.AgentNote(at(4300))).facts
    assert list(map(fact_key, fired)) == list(map(fact_key, found))
    assert list(map(fact_key, found)) == [
        "first_response/1/sla.warning.v1/1/75%",
        "first_response/1/sla.breached.v1/0",
        "first_response/1/sla.overdue.v1/0/1",
    ]


def test_a_breach_after_a_retraction_is_another_one() -> None:
    """The retraction names the one that it takes back (9.6)."""
    policy = Policy({RESOLUTION: Rule(3600)}, warnings_percent=())
    late = events.StateChanged(at(3590), "pending")
    state = told(policy, events.ConversationCreated(T0), events.TimersLooked(at(3605)), late)
    state = evolve(evolve(state, events.StateChanged(at(4000), "open")), events.TimersLooked(at(5000)))
    assert kinds(state.facts) == ["STARTED", "BREACHED", "BREACH_RETRACTED", "PAUSED", "RESUMED", "BREACHED"]
    first, retraction, second = (f for f in state.facts if "breach" in f.kind)
    assert breach_key(retraction) == fact_key(first) != fact_key(second)


def test_a_breach_that_an_event_does_not_avert_is_said_once() -> None:
    """The timers were ahead of a note; the note finds nothing new."""
    state = evolve(settled(told(HOUR, *BEGUN, events.TimersLooked(at(4000)))), events.AgentNote(at(3000)))
    assert state.facts == ()
    assert state.current[FIRST].breached_at == at(3600)


# -- what facts and intervals name


def test_a_fact_names_its_cause_and_the_versions_it_ran_on() -> None:
    """Timers have no cause."""
    state = told(HOUR, *BEGUN, events.AgentMessage(at(4000), cause="e3"))
    assert [(f.kind.name, f.cause) for f in state.facts] == [
        ("STARTED", "e1"),
        ("BREACHED", ""),
        ("FULFILLED", "e3"),
        ("RECOVERED", "e3"),
    ]
    assert {(f.policy_id, f.calendar_id, f.version) for f in state.facts} == {("gold", "office", 3)}
    assert [(f.elapsed_s, f.overdue_s) for f in state.facts[2:]] == [(4000, 400), (None, 400)]


def test_an_interval_names_the_event_that_began_it() -> None:
    """Counted or not, and why."""
    state = told(
        Policy({RESOLUTION: Rule(3600)}),
        *BEGUN,
        events.StateChanged(at(100), "pending", cause="e3"),
        events.StateChanged(at(300), "open", cause="e4"),
        events.CalendarChanged(at(400), OFFICE, cause="e5"),
        events.StateChanged(at(500), "resolved", cause="e6"),
    )
    clock = state.current[RESOLUTION]
    assert [(p.counted, p.why, p.cause) for p in clock.intervals] == [
        (True, "running", "e1"),
        (False, "paused in pending", "e3"),
        (True, "running", "e4"),
        (True, "running", "e5"),
    ]
    assert (clock.why, clock.cause) == ("resolved", "e6")
    assert {(p.calendar_id, p.version) for p in clock.intervals} == {("office", 3)}


def test_a_pause_says_in_what_state() -> None:
    """And how much had been counted."""
    state = told(Policy({RESOLUTION: Rule(3600)}), *BEGUN, events.StateChanged(at(100), "pending"))
    assert (state.facts[-1].state, state.facts[-1].elapsed_s) == ("pending", 100)


def test_what_an_automation_answered_is_marked() -> None:
    """Of other replies nothing is said (8.4)."""
    policy = replace(HOUR, automation_counts=True)
    marked = told(policy, *BEGUN, events.BotMessage(at(60), automation=True)).facts[-1]
    plain = told(policy, *BEGUN, events.AgentMessage(at(60))).facts[-1]
    assert [(f.kind, f.automation) for f in (marked, plain)] == [(FactKind.FULFILLED, True), (FactKind.FULFILLED, None)]


def test_a_waiver_is_said_beside_the_end_of_the_clock() -> None:
    """With the reason that was stated (8.2)."""
    state = told(HOUR, *BEGUN, events.Waived(at(60), "spam"))
    assert [(f.kind, f.reason) for f in state.facts[1:]] == [(FactKind.CANCELLED, "waived"), (FactKind.WAIVED, "spam")]


# -- another setting


def test_a_setting_that_changes_as_a_whole_reschedules_once() -> None:
    """Policy, hours and priority at the same time, with their versions (7.9, 7.10, 7.13)."""
    change = events.SettingChanged(at(60), Policy({FIRST: Rule(7200)}), OFFICE, "high", "silver", "shop", 4, cause="e9")
    state = evolve(settled(told(HOUR, *BEGUN)), change)
    assert [(f.kind, f.target_s, f.policy_id, f.calendar_id, f.version) for f in state.facts] == [
        (FactKind.RESCHEDULED, 7200, "silver", "shop", 4)
    ]
    assert state.setting.priority == "high"


def test_a_version_that_promises_the_same_says_nothing() -> None:
    """The clock names it from there on, and counts on without an interval of its own."""
    same = Calendar(AlwaysOpen(), at(-99_999))
    change = events.SettingChanged(at(60), HOUR, same, "normal", "gold", "office", 4)
    state = evolve(settled(told(HOUR, *BEGUN)), change)
    clock = state.current[FIRST]
    assert (state.facts, clock.intervals, clock.gen) == ((), (), 1)
    assert (clock.terms.version, clock.due_at) == (4, at(3600))


def test_a_metric_that_counts_always_names_no_calendar() -> None:
    """Whatever the setting's is (13.7)."""
    policy = Policy({FIRST: Rule(3600, hours=RuleHours.ALWAYS)})
    fact = told(policy, *BEGUN).facts[0]
    assert (fact.calendar_id, fact.version) == ("", 3)


# -- what is remembered


def test_what_is_remembered_is_bounded() -> None:
    """However much is written; the last entry of the unanswered stands for those after it."""
    many = [events.CustomerMessage(at(n), f"c{n}", n + 2) for n in range(WAITING + 50)]
    state = told(HOUR, *BEGUN, *many)
    assert len(state.unanswered) == WAITING
    assert (state.unanswered[-1].message_id, state.unanswered[-1].seq) == ("", WAITING + 51)
    for n in range(REVOCABLE + 5):
        state = evolve(settled(state), events.AgentMessage(at(9999 + n), f"a{n}"))
    assert [reply.message_id for reply in state.replies] == [f"a{n}" for n in range(5, REVOCABLE + 5)]


def test_a_reply_up_to_the_last_of_too_many_messages_answers_all() -> None:
    """One before it leaves the rest."""
    many = [events.CustomerMessage(at(n), "", n + 3) for n in range(WAITING + 50)]
    state = told(HOUR, *BEGUN, *many)
    assert evolve(state, events.AgentMessage(at(9999), "", WAITING + 52)).unanswered == ()
    assert len(evolve(state, events.AgentMessage(at(9999), "", WAITING + 51)).unanswered) == 1


def test_settled_keeps_what_decides() -> None:
    """Earlier cycles and facts go, clocks and messages stay."""
    state = told(Policy({NEXT: Rule(60)}), *BEGUN, events.AgentMessage(at(1)), events.CustomerMessage(at(2)))
    state = evolve(evolve(state, events.AgentMessage(at(3))), events.CustomerMessage(at(4)))
    assert [clock.cycle for clock in state.past[NEXT]] == [1]
    bare = settled(state)
    assert (bare.past, bare.facts) == ({}, ())
    assert replace(state, past={}, facts=()) == bare
    assert evolve(evolve(bare, events.AgentMessage(at(5))), events.CustomerMessage(at(6))).current[NEXT].cycle == 3


def test_instants_of_other_conversations_are_floored_too() -> None:
    """Whole seconds (7.4)."""
    half = timedelta(milliseconds=500)
    since = events.Absorbed(at(60), at(-90) + half, at(-80) + half)
    state = told(Policy({FIRST: Rule(3600), RESOLUTION: Rule(3600)}), *BEGUN, since)
    assert [state.current[m].started_at for m in (FIRST, RESOLUTION)] == [at(-80), at(-90)]
    part = told(HOUR, events.ConversationCreated(T0, unanswered_since=at(-80) + half))
    assert (part.current[FIRST].started_at, part.unanswered[0].at) == (at(-80), at(-80))


def test_hours_that_reach_no_such_year_count_nothing() -> None:
    """An event of long ago is a fault of the calendar, not the end of the process (10.5)."""
    old = T0 - timedelta(days=20 * 365)
    state = begin(HOUR, OFFICE, old)
    state = evolve(evolve(state, events.ConversationCreated(old)), events.AgentMessage(old + timedelta(hours=2)))
    assert kinds(state.facts) == ["STARTED", "CONFIG_FAULT", "CANCELLED"]
    assert state.current[FIRST].phase is Phase.CANCELLED
    assert state.facts[1].reason
