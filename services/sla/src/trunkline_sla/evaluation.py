"""The SLA engine (sla.md 7 to 9): what every metric of a conversation says at an instant. Pure: no clock but its own.

    evaluate(policy, calendar, events, now)

or event by event: `begin`, `evolve` for each in order, `settled` to forget what has been published, `fire` for one
clock as time passes, `view` at any instant from the last event on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen

from trunkline_sla import evaluation_replies as replies
from trunkline_sla.evaluation_answers import Cycle, Evaluation, answer, cycle_at
from trunkline_sla.evaluation_events import (
    Absorbed,
    AgentMessage,
    AgentNote,
    BotMessage,
    CalendarChanged,
    ConversationCreated,
    CustomerMessage,
    CustomerMessageDeleted,
    DeliveryFailed,
    Event,
    Merged,
    PolicyChanged,
    PriorityChanged,
    SettingChanged,
    SplitOff,
    StateChanged,
    TeamChanged,
    TimersLooked,
    Waived,
)
from trunkline_sla.evaluation_facts import Fact, fact_key
from trunkline_sla.evaluation_model import LIFECYCLE, Clock, Message, Metric, Policy
from trunkline_sla.evaluation_rules import Setting
from trunkline_sla.evaluation_timers import fire, next_at
from trunkline_sla.evaluation_work import State, Work

__all__ = ["State", "begin", "evaluate", "evolve", "fact_key", "fire", "next_at", "settled", "view"]

#: The first of these begins a conversation that nobody has created.
BEGINNINGS = CustomerMessage | AgentMessage | AgentNote | BotMessage | StateChanged


def evaluate(policy: Policy | None, calendar: Calendar, events: Iterable[Event], now: datetime) -> Evaluation:
    """Every metric at `now`, with the events of t <= now applied. Raises ValueError for events out of order."""
    state: State | None = None
    facts: list[Fact] = []
    past: dict[Metric, list[Clock]] = {}
    for event in events:
        if event.at <= now:
            state = evolve(state or begin(policy, calendar, event.at), event)
            facts += state.facts
            for metric, ended in state.past.items():
                past.setdefault(metric, []).extend(ended)
            state = settled(state)
    state = state or begin(policy, calendar, now)
    return view(replace(state, facts=tuple(facts), past={m: tuple(ended) for m, ended in past.items()}), now)


def begin(
    policy: Policy | None,
    calendar: Calendar,
    at: datetime,
    *,
    priority: str = "normal",
    policy_id: str = "",
    calendar_id: str = "",
    version: int = 0,
) -> State:
    """Before the first event, which is at that time."""
    always = Calendar(AlwaysOpen(), at)
    return State(Setting(policy, priority, calendar, always, policy_id, calendar_id, version), _floor(at))


def evolve(state: State, event: Event) -> State:
    """After one more event. What has passed before it comes first, what it jumps over right after it.

    A breach that was announced ahead of an event which averts it is taken back (9.6). Raises ValueError for an event
    that is before the one that precedes it.
    """
    at = _floor(event.at)
    if isinstance(event, TimersLooked):
        return _looked(state, at)
    if at < state.at:
        raise ValueError(f"{event.at.isoformat()} is before the event that precedes it")
    if state.begun_at is None and isinstance(event, BEGINNINGS):
        state = evolve(state, ConversationCreated(event.at, priority=state.setting.priority, cause=event.cause))
    work = Work(state, event.cause)
    work.look(at)
    early, first = work.unbreach(at), len(work.facts)
    _take(work, event, at)
    work.look(at)
    work.judge(early, first, at)
    return work.after(state, at)


def settled(state: State) -> State:
    """Without what decides nothing any more: earlier cycles, and what has been published."""
    return replace(state, past={}, facts=())


def view(state: State, now: datetime) -> Evaluation:
    """How everything stands at `now`, not before the last event."""
    work, at = Work(state), _floor(now)
    work.look(at, inclusive=True)
    answers = {metric: answer(metric, _cycles(work, metric, at)) for metric in Metric}
    return Evaluation(at, answers, (*state.facts, *work.facts))


def _cycles(work: Work, metric: Metric, at: datetime) -> list[Cycle]:
    """The present one last; one that came back is not among the earlier ones."""
    current = work.current.get(metric)
    every = {clock.cycle: clock for clock in work.past.get(metric, ())}
    if current is not None and current.terms.live:
        every.pop(current.cycle, None)
        every[current.cycle] = current
    return [cycle_at(clock, at) for clock in every.values()]


def _looked(state: State, at: datetime) -> State:
    work = Work(state)
    work.look(at)
    return work.after(state, state.at)


def _floor(at: datetime) -> datetime:
    """Whole seconds (7.4)."""
    return at.replace(microsecond=0)


# -- events


def _take(work: Work, event: Event, at: datetime) -> None:
    match event:
        case ConversationCreated():
            _create(work, event, at)
        case CustomerMessage():
            replies.customer_message(work, event, at)
        case CustomerMessageDeleted(message_id=message_id):
            replies.deleted(work, message_id, at)
        case AgentMessage():
            replies.agent_message(work, event, at)
        case BotMessage():
            replies.bot_message(work, event, at)
        case DeliveryFailed():
            replies.delivery_failed(work, event, at)
        case Waived(reason=reason):
            replies.waived(work, reason, at)
        case StateChanged(to=to):
            work.enter(to, at)
        case PriorityChanged() | PolicyChanged() | CalendarChanged() | SettingChanged():
            work.renew(_renewed(work.setting, event), at)
        case Merged():
            replies.merged(work, at)
        case Absorbed(started_at=started_at, unanswered_since=since):
            replies.absorbed(work, _floor(started_at), since and _floor(since), at)
        case SplitOff(unanswered=True):
            replies.split_off(work, at)
        case SplitOff() | TeamChanged() | AgentNote() | TimersLooked():
            pass
        case _:
            assert_never(event)


def _renewed(setting: Setting, event: PriorityChanged | PolicyChanged | CalendarChanged | SettingChanged) -> Setting:
    match event:
        case PriorityChanged(to=to):
            return replace(setting, priority=to)
        case PolicyChanged(policy=policy):
            return replace(setting, policy=policy)
        case CalendarChanged(calendar=calendar):
            return replace(setting, business=calendar)
        case SettingChanged():
            ids = event.policy_id, event.calendar_id, event.version
            return Setting(event.policy, event.priority, event.calendar, setting.always, *ids)
        case _:
            assert_never(event)


def _create(work: Work, event: ConversationCreated, at: datetime) -> None:
    if work.begun_at is not None:
        raise ValueError("a conversation is created once, before anything happens in it")
    if event.priority != work.setting.priority:
        work.setting = replace(work.setting, priority=event.priority)
    work.status, work.begun_at, work.outbound = event.state, at, event.outbound
    since = event.unanswered_since and _floor(event.unanswered_since)
    if since is not None:
        work.unanswered = (Message("", since),)
    if since is not None or not event.outbound:
        work.start(Metric.FIRST_RESPONSE, at, since)
    for metric in sorted(LIFECYCLE):
        work.start(metric, at)
    work.enter(event.state, at)
