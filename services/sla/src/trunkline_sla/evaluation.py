"""The SLA engine (sla.md 7 to 9): what every metric of a conversation says at an instant. Pure: no clock but its own.

    evaluate(policy, calendar, events, now)

or event by event: `begin`, `evolve` for each in order, `view` at any instant from the last one on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen

from trunkline_sla import evaluation_clocks as clocks
from trunkline_sla.evaluation_events import (
    AgentMessage,
    AgentNote,
    BotMessage,
    CalendarChanged,
    ConversationCreated,
    CustomerMessage,
    Event,
    PolicyChanged,
    PriorityChanged,
    StateChanged,
    TeamChanged,
)
from trunkline_sla.evaluation_model import LIFECYCLE, Clock, Cycle, Evaluation, Fact, Metric, Policy
from trunkline_sla.evaluation_rules import Setting, counts_first_message
from trunkline_sla.evaluation_work import Work

FIRST, NEXT, PERIODIC = Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE, Metric.PERIODIC_UPDATE


@dataclass(frozen=True, slots=True)
class State:
    """A conversation after its events so far. `wrote`: the customer has; `replied`: somebody has answered that."""

    setting: Setting
    at: datetime
    status: str = "open"
    begun: bool = False
    wrote: bool = False
    replied: bool = False
    current: Mapping[Metric, Clock] = field(default_factory=dict)
    past: Mapping[Metric, tuple[Clock, ...]] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()

    def work(self) -> Work:
        """A copy to change."""
        return Work(self.setting, self.status, self.current, self.past)

    def after(self, work: Work, at: datetime) -> State:
        """With what the work came to."""
        facts = (*self.facts, *work.facts)
        return replace(
            self, at=at, setting=work.setting, status=work.status, current=work.current, past=work.past, facts=facts
        )


def evaluate(policy: Policy | None, calendar: Calendar, events: Iterable[Event], now: datetime) -> Evaluation:
    """Every metric at `now`, with the events of t <= now applied. Raises ValueError for events out of order."""
    state: State | None = None
    for event in events:
        if event.at > now:
            break
        state = evolve(state or begin(policy, calendar, event.at), event)
    return view(state or begin(policy, calendar, now), now)


def begin(policy: Policy | None, calendar: Calendar, at: datetime) -> State:
    """Before the first event, which is at that time."""
    return State(Setting(policy, "normal", calendar, Calendar(AlwaysOpen(), at)), _floor(at))


def evolve(state: State, event: Event) -> State:
    """After one more event. What has passed before it comes first, what it jumps over right after it."""
    at = _floor(event.at)
    if at < state.at:
        raise ValueError(f"{event.at.isoformat()} is before the event that precedes it")
    if not state.begun and isinstance(event, CustomerMessage | AgentMessage | AgentNote | BotMessage | StateChanged):
        state = evolve(state, ConversationCreated(event.at, priority=state.setting.priority))
    work = state.work()
    work.look(at)
    state = _take(state, work, event, at)
    work.look(at)
    return state.after(work, at)


def view(state: State, now: datetime) -> Evaluation:
    """How everything stands at `now`, not before the last event."""
    work, at = state.work(), _floor(now)
    work.look(at, inclusive=True)
    answers = {metric: clocks.answer(metric, _cycles(work, metric, at)) for metric in Metric}
    return Evaluation(at, answers, (*state.facts, *work.facts))


def _cycles(work: Work, metric: Metric, at: datetime) -> list[Cycle]:
    current = work.current.get(metric)
    every = (*work.past.get(metric, ()), *((current,) if current and current.terms.live else ()))
    return [clocks.cycle_at(clock, at) for clock in every]


def _floor(at: datetime) -> datetime:
    """Whole seconds (7.4)."""
    return at.replace(microsecond=0)


# -- events


def _take(state: State, work: Work, event: Event, at: datetime) -> State:  # what the clocks do is done to `work`
    setting = work.setting
    match event:
        case ConversationCreated():
            return _create(state, work, event, at)
        case CustomerMessage():
            return _customer_message(state, work, at)
        case AgentMessage():
            return _reply(state, work, at, "agent_message")
        case BotMessage():
            counts = setting.policy is not None and setting.policy.bot_reply_counts
            return _reply(state, work, at, "bot_message") if counts else state
        case StateChanged(to=to):
            work.enter(to, at)
        case PriorityChanged(to=to):
            work.renew(replace(setting, priority=to), at)
        case PolicyChanged(policy=policy):
            work.renew(replace(setting, policy=policy), at)
        case CalendarChanged(calendar=calendar):
            work.renew(replace(setting, business=calendar), at)
        case TeamChanged() | AgentNote():
            pass
        case _:
            assert_never(event)
    return state


def _create(state: State, work: Work, event: ConversationCreated, at: datetime) -> State:
    if state.begun:
        raise ValueError("a conversation is created once, before anything happens in it")
    work.setting, work.status = replace(work.setting, priority=event.priority), event.state
    for metric in (FIRST, *sorted(LIFECYCLE)):
        work.start(metric, at)
    work.enter(event.state, at)
    return replace(state, begun=True)


def _customer_message(state: State, work: Work, at: datetime) -> State:
    """The oldest unanswered one opens; a second moves nothing (7.6). The two reply metrics take turns (7.7)."""
    if not state.replied and not work.is_open(FIRST):
        work.start(FIRST, at)
    if (state.replied or counts_first_message(work.setting.policy)) and not work.is_open(NEXT):
        work.start(NEXT, at)
    return replace(state, wrote=True)


def _reply(state: State, work: Work, at: datetime, reason: str) -> State:
    if state.wrote:
        work.answered(FIRST, at, reason)
        work.answered(NEXT, at, reason)
    elif work.is_open(FIRST):
        work.cancel(FIRST, at, "agent_started")  # the customer has not written yet (7.15)
    if work.is_open(PERIODIC):
        work.fulfil(PERIODIC, at, reason)
    if work.status not in work.setting.terms(PERIODIC).stop_on:
        work.start(PERIODIC, at)
    return replace(state, replied=state.replied or state.wrote)
