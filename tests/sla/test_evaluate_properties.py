"""What holds for the SLA engine whatever happens: it is a function, going on from any point is the same as going
through, and nothing that it decides depends on what has been forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, Hours, Window
from trunkline_sla import evaluation_events as events
from trunkline_sla.evaluation import State, begin, evaluate, evolve, fact_key, fire, next_at, settled, view
from trunkline_sla.evaluation_answers import Standing
from trunkline_sla.evaluation_facts import Fact, FactKind, breach_key
from trunkline_sla.evaluation_model import Clock, Metric, Policy, Reopen, Rule
from trunkline_sla.evaluation_timers import armed

T0 = datetime(2026, 11, 16, 10, tzinfo=UTC)
WEEK = tuple((Window(9 * 3600, 12 * 3600), Window(13 * 3600, 17 * 3600)) if d < 5 else () for d in range(7))
ALWAYS, OFFICE = Calendar(AlwaysOpen(), T0), Calendar(Hours("Europe/Berlin", WEEK), T0)
FIRST, NEXT = Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE


def at(seconds: float) -> datetime:
    """So long after the beginning."""
    return T0 + timedelta(seconds=seconds)


def one(target: int) -> Policy:
    """A policy of first_response alone."""
    return Policy({FIRST: Rule(target)})


BEGUN: list[events.Event] = [events.ConversationCreated(T0), events.CustomerMessage(T0)]

# -- logs

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
EARLIER = st.integers(0, 90_000)
PRIORITIES = st.sampled_from(["low", "high"])
A_POLICY = st.builds(
    Policy,
    metrics=st.dictionaries(st.sampled_from(Metric), A_RULE),
    last_word=st.booleans(),
    applies_to_priorities=st.none() | st.frozensets(PRIORITIES, max_size=2),
    bot_reply_counts=st.booleans(),
    warnings_remaining_s=st.sampled_from([(), (600,), (3600, 40_000)]),
    automation_counts=st.booleans(),
    repeat_s=st.sampled_from([0, 900, 20_000]),
    max_repeats=st.integers(1, 8),
)
HOURS = st.integers(0, 20)
MOMENT = HOURS.map(lambda n: at(n * 7200))
OURS, THEIRS = st.sampled_from(["a1", "a2", "a3", ""]), st.sampled_from(["c1", "c2", "c3", ""])
CALENDARS = st.sampled_from([ALWAYS, OFFICE])
AN_EVENT: st.SearchStrategy[events.Event] = st.one_of(
    st.builds(events.CustomerMessage, MOMENT, THEIRS),
    st.builds(events.AgentMessage, MOMENT, OURS, st.none() | st.integers(1, 12)),
    st.builds(events.BotMessage, MOMENT, OURS, st.booleans()),
    st.builds(events.StateChanged, MOMENT, STATES),
    st.builds(events.CustomerMessageDeleted, MOMENT, THEIRS),
    st.builds(events.DeliveryFailed, MOMENT, OURS),
    st.builds(events.Waived, MOMENT, st.just("asked to")),
    st.builds(events.PriorityChanged, MOMENT, PRIORITIES),
    st.builds(events.PolicyChanged, MOMENT, st.none() | A_POLICY),
    st.builds(events.CalendarChanged, MOMENT, CALENDARS),
    st.builds(events.SettingChanged, MOMENT, st.none() | A_POLICY, CALENDARS, PRIORITIES, version=st.integers(1, 9)),
    st.builds(lambda now, s, u: events.Absorbed(now, before(now, s), before(now, u)), MOMENT, EARLIER, EARLIER),
    st.builds(lambda now, s: events.Absorbed(now, before(now, s)), MOMENT, EARLIER),
    st.builds(events.SplitOff, MOMENT, st.booleans()),
    st.builds(events.Merged, MOMENT),
)


def before(now: datetime, seconds: int) -> datetime:
    """So long ago."""
    return now - timedelta(seconds=seconds)


def in_order(found: list[events.Event]) -> list[events.Event]:
    """By time, as the log has them: with their seq as the cause, and of the customer's messages as such."""
    ordered = sorted(found, key=lambda event: event.at)
    numbered = [replace(event, cause=f"e{n}") for n, event in enumerate(ordered, 1)]
    return [replace(e, seq=n) if isinstance(e, events.CustomerMessage) else e for n, e in enumerate(numbered, 1)]


@st.composite
def a_log(draw: st.DrawFn) -> list[events.Event]:
    """Created, then anything, in order."""
    rest = draw(st.lists(AN_EVENT, max_size=12))
    since = draw(st.none() | EARLIER)
    waits = None if since is None else before(T0, since)
    created = events.ConversationCreated(T0, draw(STATES), draw(PRIORITIES), draw(st.booleans()), waits)
    return in_order([created, *rest])


TALK: st.SearchStrategy[events.Event] = st.one_of(
    st.builds(events.CustomerMessage, MOMENT),
    st.builds(events.AgentMessage, MOMENT),
    st.builds(events.CustomerMessageDeleted, MOMENT, THEIRS),
    st.builds(events.DeliveryFailed, MOMENT, OURS),
    st.builds(events.Waived, MOMENT, st.just("asked to")),
    st.builds(events.StateChanged, MOMENT, STATES),
    st.builds(events.AgentNote, MOMENT),
    st.builds(events.BotMessage, MOMENT),
    st.builds(events.CalendarChanged, MOMENT, CALENDARS),
    st.builds(lambda now, s, u: events.Absorbed(now, before(now, s), before(now, u)), MOMENT, EARLIER, EARLIER),
    st.builds(events.SplitOff, MOMENT, st.booleans()),
)


@st.composite
def a_talk(draw: st.DrawFn) -> list[events.Event]:
    """The first three messages of either side have names, so that something can happen to them."""
    names = {events.CustomerMessage: iter(("c1", "c2", "c3")), events.AgentMessage: iter(("a1", "a2", "a3"))}
    found: list[events.Event] = [events.ConversationCreated(T0, draw(STATES)), events.CustomerMessage(T0)]
    for event in in_order([*found, *draw(st.lists(TALK, max_size=14))]):
        if isinstance(event, events.CustomerMessage | events.AgentMessage):
            event = replace(event, message_id=next(names[type(event)], ""))
        found.append(event)
    return found[2:]


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


# -- event by event, with nothing kept and timers in between

#: Before which event of the log the timers look, and how far ahead of it.
AHEAD = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 50_000)), min_size=1, max_size=4)
EAGER = st.builds(
    Policy,
    st.sampled_from([3600, 9000, 40_000]).map(lambda target: {metric: Rule(target) for metric in Metric}),
    repeat_s=st.sampled_from([0, 3600]),
)
LOOKS = st.lists(st.tuples(st.sampled_from(Metric), st.integers(0, 200_000)), max_size=8)


def whole(state: State, log: list[events.Event]) -> Iterator[State]:
    """The state after every event, with everything that was ever said."""
    for event in log:
        state = evolve(state, event)
        yield state


def fired(state: State, looks: list[tuple[Metric, int]], until: datetime) -> tuple[State, list[Fact]]:
    """Timers look at one clock each, at those instants that are not past `until`."""
    said: list[Fact] = []
    for metric, seconds in sorted(looks, key=lambda look: look[1]):
        if metric in state.current and state.at <= at(seconds) <= until:
            clock, facts = fire(state.current[metric], at(seconds))
            state = replace(state, current={**state.current, metric: clock})
            said += facts
    return state, said


@settings(max_examples=300, deadline=None)
@given(A_POLICY, CALENDARS, a_log(), LOOKS)
def test_incremental_agrees_on_every_prefix(
    policy: Policy, calendar: Calendar, log: list[events.Event], looks: list[tuple[Metric, int]]
) -> None:
    """With nothing kept and timers that look in between, the clocks and the facts are those of the whole."""
    state, said = begin(policy, calendar, T0), list[Fact]()
    for event, expected in zip(log, whole(state, log), strict=True):
        state, facts = fired(state, looks, event.at)
        state = evolve(state, event)
        said += [*facts, *state.facts]
        state = settled(state)
        assert state == settled(expected)
        assert sorted(map(repr, said)) == sorted(map(repr, expected.facts))


@quick
@given(A_POLICY, CALENDARS, a_log())
def test_what_is_kept_of_a_clock_follows_from_the_rest(
    policy: Policy, calendar: Calendar, log: list[events.Event]
) -> None:
    """due_at, next_at: right after every event, and never behind it."""
    for state in whole(begin(policy, calendar, T0), log):
        for clock in state.current.values():
            assert armed(clock) == clock
            again, facts = fire(clock, state.at)
            assert (again, facts) == (clock, ())
            assert (clock.due_at is None) >= (next_at(clock) is None) or clock.breached_at


@quick
@given(EAGER | A_POLICY, CALENDARS, a_log() | a_talk(), AHEAD)
def test_a_fact_has_a_key_of_its_own(
    policy: Policy, calendar: Calendar, log: list[events.Event], ahead: list[tuple[int, int]]
) -> None:
    """Also where timers ran ahead; a cycle has one breach that was not taken back, and gen grows."""
    late = interspersed(log, ahead)
    facts = view(list(whole(begin(policy, calendar, T0), late))[-1], at(400_000)).facts
    keys = [fact_key(fact) for fact in facts]
    assert len(set(keys)) == len(keys)
    for metric in Metric:
        mine = [f for f in facts if f.metric is metric]
        standing: dict[int, int] = {}
        for fact in mine:
            change = {FactKind.BREACHED: 1, FactKind.BREACH_RETRACTED: -1}.get(fact.kind, 0)
            standing[fact.cycle] = standing.get(fact.cycle, 0) + change
            assert standing[fact.cycle] in (0, 1)
            assert fact.kind is not FactKind.BREACH_RETRACTED or breach_key(fact) in keys
        for cycle in standing:
            gens = [f.gen for f in mine if f.cycle == cycle and f.kind is not FactKind.BREACH_RETRACTED]
            assert gens == sorted(gens)
            assert gens[0] == 1


def interspersed(log: list[events.Event], ahead: list[tuple[int, int]]) -> list[events.Event]:
    """The timers look ahead of events, which are late then."""
    found: list[events.Event] = []
    for n, event in enumerate(log):
        early = [seconds for place, seconds in ahead if n and place % len(log) == n]
        found += [*(events.TimersLooked(event.at + timedelta(seconds=s)) for s in early), event]
    return found


@quick
@given(EAGER | A_POLICY, CALENDARS, a_log() | a_talk(), AHEAD)
def test_timers_that_ran_ahead_leave_no_trace_in_the_clocks(
    policy: Policy, calendar: Calendar, log: list[events.Event], ahead: list[tuple[int, int]]
) -> None:
    """But for what they have said: a breach that an event averts was none (9.6)."""
    start = begin(policy, calendar, T0)
    (*_, expected), (*_, found) = whole(start, log), whole(start, interspersed(log, ahead))
    assert _without_what_was_said(found) == _without_what_was_said(expected)


def _without_what_was_said(state: State) -> dict[Metric, Clock]:
    """Every clock after the same time."""
    clocks = [fire(clock, at(400_000))[0] for clock in state.current.values()]
    return {c.metric: c._replace(warned=0, repeats=0, retracted=0, gen=0, next_at=None, said_at=None) for c in clocks}


# -- who is owed a reply (8.6)

PROMISED = Policy({FIRST: Rule(3600), NEXT: Rule(3600)})


def owed(log: list[events.Event]) -> bool:
    """Whether the last public message is the customer's, by the log alone."""
    public: list[tuple[str, str]] = []
    for event in log:
        match event:
            case events.CustomerMessage(message_id=name):
                public.append(("customer", name))
            case events.AgentMessage(message_id=name):
                public.append(("agent", name))
            case events.Absorbed():
                public.append(("customer", ""))
            case events.CustomerMessageDeleted(message_id=name) if name:
                public = [message for message in public if message != ("customer", name)]
            case events.DeliveryFailed(message_id=name) if name:
                public = [message for message in public if message != ("agent", name)]
            case events.Waived() if public and public[-1][0] == "customer":
                public.append(("nobody", ""))
            case events.SplitOff(unanswered=True):
                while public and public[-1][0] == "customer":
                    public.pop()
            case _:
                pass
    return bool(public) and public[-1][0] == "customer"


@settings(max_examples=400, deadline=None)
@given(a_talk())
def test_a_reply_clock_is_open_where_the_customer_had_the_last_word(log: list[events.Event]) -> None:
    """Whatever states, notes and calendars do meanwhile; minus what was waived or went elsewhere (8.6)."""
    for n, state in enumerate(whole(begin(PROMISED, ALWAYS, T0), log), 1):
        waiting = [metric for metric in (FIRST, NEXT) if metric in state.current and state.current[metric].open]
        assert n == 1 or len(waiting) == owed(log[:n])


@st.composite
def a_chat(draw: st.DrawFn) -> list[events.Event]:
    """Messages an hour apart, answers to some of them, and what becomes of either."""
    log: list[events.Event] = [events.ConversationCreated(T0)]
    theirs, ours = [("c0", 0)], ["a0"]
    for n, what in enumerate(draw(st.lists(st.sampled_from("cccaappfd"), min_size=3, max_size=14)), 1):
        now, back = at(n * 3600), draw(st.integers(1, 4))
        name, seq = theirs[-min(back, len(theirs))]
        match what:
            case "c":
                log.append(events.CustomerMessage(now, f"c{n}", n))
                theirs.append((f"c{n}", n))
            case "a" | "p":
                log.append(events.AgentMessage(now, f"a{n}", seq if what == "p" else None))
                ours.append(f"a{n}")
            case "f":
                log.append(events.DeliveryFailed(now, ours[-min(back, len(ours))]))
            case _:
                log.append(events.CustomerMessageDeleted(now, name))
    return log


@settings(max_examples=300, deadline=None)
@given(a_chat())
def test_a_reply_clock_is_open_while_a_message_is_unanswered(log: list[events.Event]) -> None:
    """Also where replies say what they answer: one clock, from the oldest message on."""
    written = False
    for event, state in zip(log, whole(begin(PROMISED, ALWAYS, T0), log), strict=True):
        written = written or isinstance(event, events.CustomerMessage | events.AgentMessage)
        waiting = [clock for metric, clock in state.current.items() if metric in (FIRST, NEXT) and clock.open]
        assert len(waiting) == bool(state.unanswered) or not written
        for clock in waiting if written else []:  # creation opens, too, and no deletion moves that
            assert clock.started_at == state.unanswered[0].at or (clock.metric, clock.started_at) == (FIRST, T0)


@settings(max_examples=300, deadline=None)
@given(a_chat())
def test_what_nobody_has_answered_waits_in_order(log: list[events.Event]) -> None:
    """By the log alone: a message is answered by the first reply after it that arrived and goes so far."""
    for n, state in enumerate(whole(begin(PROMISED, ALWAYS, T0), log), 1):
        gone = {e.message_id for e in log[:n] if isinstance(e, events.DeliveryFailed | events.CustomerMessageDeleted)}
        replies = [e for e in log[:n] if isinstance(e, events.AgentMessage) and e.message_id not in gone]
        waits = [
            e.message_id
            for e in log[:n]
            if isinstance(e, events.CustomerMessage)
            and e.message_id not in gone
            and not any(r.at > e.at and (not r.answers_through or e.seq <= r.answers_through) for r in replies)
        ]
        assert [message.message_id for message in state.unanswered] == waits
