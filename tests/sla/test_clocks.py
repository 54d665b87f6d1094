"""Rules of sla 7 to 9, as given events, when, then; and what must hold for every log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkline_sla.clocks import Step, choose, fire, next_at
from trunkline_sla.model import (
    Breached,
    Clock,
    Conversation,
    Event,
    Fulfilled,
    Kind,
    Metric,
    Opening,
    Policy,
    SlaFact,
    Started,
    State,
    Warned,
)

T0 = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
POLICIES = (Policy("gold", "support", 100, 200), Policy("rest", "", 1000, 0))


def at(seconds: float) -> datetime:
    """So many seconds after the first message."""
    return T0 + timedelta(seconds=seconds)


def log(*entries: tuple[Kind, float] | tuple[Kind, float, str]) -> list[Event]:
    """Events of one conversation, numbered from 1."""
    return [
        Event(f"e{seq}", "acme", "c1", seq, at(entry[1]), 7, entry[0], entry[2] if len(entry) == 3 else "", f"t{seq}")
        for seq, entry in enumerate(entries, 1)
    ]


def fold(events: list[Event], look: float | None = None) -> Step:
    """The conversation after events, and after a look at the wall clock."""
    step = Step(Conversation("acme", "c1"))
    for event in events:
        step.see(event, POLICIES)
    if look is not None:
        step.look(at(look))
    return step


def say(facts: list[SlaFact]) -> list[tuple[str, str, int, float]]:
    """Facts in short: what, which clock, which cycle, when."""
    return [(type(f).__name__, str(f.clock.metric), f.clock.cycle, (f.at - T0).total_seconds()) for f in facts]


FIRST, NEXT = "first_response", "next_response"
QUEUED = (Kind.QUEUED, 0, "support")
WROTE = (Kind.WROTE, 0)
STARTED = ("Started", FIRST, 1, 0.0)


@pytest.mark.parametrize(
    ("given_events", "then"),
    [
        pytest.param([WROTE], [], id="no clock before the team is known"),
        pytest.param([WROTE, (Kind.QUEUED, 5, "support")], [STARTED], id="the clock starts at the message"),
        pytest.param([QUEUED, WROTE], [STARTED], id="the order of queue and message does not matter"),
        pytest.param([WROTE, QUEUED, (Kind.WROTE, 50)], [STARTED], id="a second message moves nothing"),
        pytest.param([WROTE, QUEUED, (Kind.OTHER, 50)], [STARTED], id="notes, offers and resolution stop nothing"),
        pytest.param([(Kind.OTHER, 0), QUEUED], [], id="an auto-reply starts nothing"),
        pytest.param([QUEUED, (Kind.REPLIED, 1)], [], id="an agent who writes first starts nothing"),
        pytest.param(
            [WROTE, QUEUED, (Kind.REPLIED, 100)],
            [STARTED, ("Fulfilled", FIRST, 1, 100.0)],
            id="a reply exactly at due_at is in time",
        ),
        pytest.param(
            [WROTE, QUEUED, (Kind.REPLIED, 100.001)],
            [STARTED, ("Breached", FIRST, 1, 100.0), ("Fulfilled", FIRST, 1, 100.001)],
            id="a late reply finds the breach nobody noticed",
        ),
        pytest.param(
            [WROTE, QUEUED, (Kind.REPLIED, 1), (Kind.REPLIED, 2)],
            [STARTED, ("Fulfilled", FIRST, 1, 1.0)],
            id="one reply ends a cycle, more change nothing",
        ),
        pytest.param(
            [WROTE, QUEUED, (Kind.REPLIED, 1), (Kind.WROTE, 2), (Kind.REPLIED, 3), (Kind.WROTE, 4)],
            [STARTED, ("Fulfilled", FIRST, 1, 1.0), ("Started", NEXT, 1, 2.0), ("Fulfilled", NEXT, 1, 3.0),
             ("Started", NEXT, 2, 4.0)],
            id="after the first reply each unanswered message is a cycle of next_response",
        ),
        pytest.param(
            [QUEUED, (Kind.REPLIED, 1), (Kind.WROTE, 5)],
            [("Started", FIRST, 1, 5.0)],
            id="in a conversation an agent began, first_response starts at the first customer message",
        ),
        pytest.param(
            [WROTE, (Kind.REPLIED, 1), (Kind.QUEUED, 2, "support")], [], id="an answered message starts no clock"
        ),
        pytest.param(
            [WROTE, (Kind.QUEUED, 0, "other"), (Kind.REPLIED, 1), (Kind.WROTE, 2)],
            [STARTED, ("Fulfilled", FIRST, 1, 1.0)],
            id="a target of 0 is no clock",
        ),
    ],
)  # fmt: skip
def test_events_start_and_end_clocks(
    given_events: list[tuple[Kind, float]], then: list[tuple[str, str, int, float]]
) -> None:
    """Only the first unanswered customer message starts a clock, and only an agent's reply ends it."""
    assert say(fold(log(*given_events)).facts) == then


@pytest.mark.parametrize(
    ("look", "then"),
    [
        (74.9, []),
        (75, [("Warned", FIRST, 1, 75.0)]),
        (89.9, [("Warned", FIRST, 1, 75.0)]),
        (95, [("Warned", FIRST, 1, 90.0)]),
        (100, [("Warned", FIRST, 1, 90.0)]),
        (100.001, [("Breached", FIRST, 1, 100.0)]),
        (9999, [("Breached", FIRST, 1, 100.0)]),
    ],
)
def test_a_look_gives_the_highest_threshold_passed(look: float, then: list[tuple[str, str, int, float]]) -> None:
    """Warnings come at 75 % and 90 %, one per look, and the breach supersedes them."""
    assert say(fold(log(WROTE, QUEUED), look).facts[1:]) == then


def test_the_clock_is_recorded_whole() -> None:
    """Target, policy, version, team and trace are those in force at the start."""
    clock = fold(log(WROTE, QUEUED)).state.clock
    assert clock == Clock(
        clock_id=clock.clock_id if clock else "",
        tenant="acme",
        conversation_id="c1",
        metric=Metric.FIRST_RESPONSE,
        cycle=1,
        gen=1,
        state=State.RUNNING,
        breached=False,
        target_s=100,
        started_at=T0,
        ended_at=None,
        warnings=(75, 90),
        warned=0,
        policy_id="gold",
        config_version=7,
        team="support",
        traceparent="t1",
    )


def test_fulfilment_after_the_breach_is_not_met() -> None:
    """met=false with the whole seconds it was overdue (9.4)."""
    fact = fold(log(WROTE, QUEUED, (Kind.REPLIED, 107.9))).facts[-1]
    assert isinstance(fact, Fulfilled)
    assert (fact.met, fact.elapsed_s, fact.overdue_s, fact.clock.breached) == (False, 107, 7, True)


def test_a_breach_already_noticed_is_not_repeated_by_the_reply() -> None:
    """One breach per cycle, whoever notices it."""
    step = fold(log(WROTE, QUEUED), look=150)
    step.see(Event("e3", "acme", "c1", 3, at(160), 7, Kind.REPLIED), POLICIES)
    assert [type(f) for f in step.facts] == [Started, Breached, Fulfilled]


def test_a_reply_in_time_that_arrives_late_is_met() -> None:
    """Event time decides what is recorded; the announced breach is retracted (12.6)."""
    step = fold(log(WROTE, QUEUED), look=150)
    step.see(Event("e3", "acme", "c1", 3, at(99), 7, Kind.REPLIED), POLICIES)
    fact = step.facts[-1]
    assert isinstance(fact, Fulfilled)
    assert (fact.met, fact.retracts, fact.clock.breached) == (True, True, False)


def test_a_transfer_keeps_the_target_and_names_the_new_team() -> None:
    """Giving a conversation away buys no time."""
    clock = fold(log(WROTE, QUEUED, (Kind.QUEUED, 50, "other"))).state.clock
    assert clock is not None
    assert (clock.team, clock.due_at, clock.policy_id) == ("other", at(100), "gold")


def test_a_message_no_policy_covered_gets_its_clock_with_the_team() -> None:
    """The customer has waited since the message, so the clock counts from there."""
    only_support = (Policy("gold", "support", 100, 200),)
    step = Step(Conversation("acme", "c1"))
    for event in log(WROTE, (Kind.QUEUED, 1, "other"), (Kind.QUEUED, 30, "support")):
        step.see(event, only_support)
    assert say(step.facts) == [STARTED]


def test_warnings_at_the_due_instant_give_way() -> None:
    """A threshold that rounds up to due_at is not announced (9.2)."""
    step = Step(Conversation("acme", "c1", opening=Opening(T0, ""), team="support"))
    step.see(Event("e1", "acme", "c1", 1, T0, 1, Kind.WROTE), [Policy("p", "support", 2, 2)])
    assert step.state.clock is not None
    assert next_at(step.state.clock) == at(2)
    assert fire(step.state.clock, at(2)) == []


def test_the_first_matching_policy_is_chosen() -> None:
    """A policy without a team is for every team."""
    assert [getattr(choose(POLICIES, t), "policy_id", None) for t in ("support", "x")] == ["gold", "rest"]
    assert choose(POLICIES[:1], "x") is None


# -- What holds for every log

ENTRIES = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 120), st.sampled_from(["support", "other"])), max_size=25
)


def events_of(entries: list[tuple[Kind, int, str]]) -> list[Event]:
    """A log whose times never go back."""
    passed, found = 0, []
    for seq, (kind, pause, team) in enumerate(entries, 1):
        passed += pause
        found.append(Event(f"e{seq}", "acme", "c1", seq, at(passed), 1, kind, team if kind is Kind.QUEUED else ""))
    return found


def run(events: list[Event], looks: set[int] = frozenset()) -> Step:  # type: ignore[assignment]
    """Apply a log as a partition's owner does, looking at the wall clock before the events numbered in `looks`."""
    step = Step(Conversation("acme", "c1"))
    for event in events:
        if event.seq in looks:
            step.look(event.at)
        if event.seq > step.state.seq:
            step.see(event, POLICIES)
    return step


@given(ENTRIES)
def test_events_fed_twice_change_nothing(entries: list[tuple[Kind, int, str]]) -> None:
    """A record that arrives again, at once or later, is dropped by its seq."""
    events = events_of(entries)
    twice = [e for event in events for e in (event, event)] + events
    assert run(twice) == run(events)


@given(ENTRIES, st.sets(st.integers(1, 25)))
def test_clocks_do_not_depend_on_when_somebody_looks(entries: list[tuple[Kind, int, str]], looks: set[int]) -> None:
    """A rebuild that reads the log in one go ends with the clocks that ran live (P5)."""
    live, rebuilt = run(events_of(entries), looks), run(events_of(entries))
    for step in (live, rebuilt):
        step.look(at(100_000))

    def settled(step: Step) -> dict[str, Clock]:
        return {key: replace(clock, warned=0) for key, clock in step.changed.items()}

    assert settled(live) == settled(rebuilt)
    assert live.state.opening == rebuilt.state.opening


@given(ENTRIES, st.sets(st.integers(1, 25)))
def test_a_cycle_breaks_at_most_once(entries: list[tuple[Kind, int, str]], looks: set[int]) -> None:
    """However often somebody looks."""
    step = run(events_of(entries), looks)
    for _ in range(3):
        step.look(at(100_000))
    broken = [f.clock.clock_id for f in step.facts if isinstance(f, Breached)]
    assert len(broken) == len(set(broken))
    warned = [(f.clock.clock_id, f.percent) for f in step.facts if isinstance(f, Warned)]
    assert len(warned) == len(set(warned))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 1000)), max_size=10), st.booleans())
def test_answering_in_time_never_breaks(rounds: list[tuple[int, int]], look: bool) -> None:
    """No breach, no missed fulfilment, whatever the pauses between answers."""
    entries: list[tuple[Kind, int, str]] = [(Kind.QUEUED, 0, "support")]
    for wait, pause in rounds:
        entries += [(Kind.WROTE, pause, ""), (Kind.REPLIED, wait, "")]
    events = events_of(entries)
    facts = run(events, {e.seq for e in events} if look else set()).facts
    assert not any(isinstance(f, Breached) or (isinstance(f, Fulfilled) and not f.met) for f in facts)
    assert sum(isinstance(f, Fulfilled) for f in facts) == len(rounds)


@given(ENTRIES)
def test_open_clocks_are_the_conversations_the_customer_spoke_last_in(entries: list[tuple[Kind, int, str]]) -> None:
    """The last word is ours: with a policy for it, an unanswered message has a running clock (8.6)."""
    policies = (Policy("all", "", 100, 100),)
    step = Step(Conversation("acme", "c1", team="support"))
    for event in events_of(entries):
        step.see(event, policies)
    assert (step.state.clock is not None) == (step.state.opening is not None)
