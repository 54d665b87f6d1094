"""What starts and ends the reply clocks of a conversation, when they warn and when they break (sla 7 to 9).

Event time decides everything that is recorded; the wall clock only decides when `fire` is asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

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

CLOCKS = uuid.UUID("8f0b7c55-0d0e-5c53-9f2a-5d3f0f6f1a01")

# -- Decisions


def decide(state: Conversation, event: Event, policies: Sequence[Policy]) -> list[SlaFact]:
    """What an event means for the clocks of a conversation that has not seen it; [] where they go on as they are."""
    if event.kind is Kind.WROTE:
        return _start(state, state.opening or _opening(event), state.team, event, policies)
    if event.kind is Kind.QUEUED and state.opening is not None:
        return _start(state, state.opening, event.team, event, policies)
    if event.kind is Kind.REPLIED and state.clock is not None:
        return _end(state.clock, event)
    return []


def fire(clock: Clock, now: datetime) -> list[SlaFact]:
    """What has passed by `now`: the breach, or the highest warning not given yet; [] where nothing has."""
    if clock.state is not State.RUNNING or clock.breached:
        return []
    if now > clock.due_at:
        return [_breach(clock)]
    passed = [p for p in clock.ahead() if clock.warn_at(p) <= now]
    return [Warned(replace(clock, warned=passed[-1]), clock.warn_at(passed[-1]), passed[-1])] if passed else []


def next_at(clock: Clock) -> datetime | None:
    """The next instant after which `fire` has something to say."""
    if clock.state is not State.RUNNING or clock.breached:
        return None
    ahead = clock.ahead()
    return clock.warn_at(ahead[0]) if ahead else clock.due_at


def choose(policies: Iterable[Policy], team: str) -> Policy | None:
    """The first policy of the team or of every team (7.14)."""
    return next((p for p in policies if p.team in (team, "")), None)


def _opening(event: Event) -> Opening:
    return Opening(event.at, event.traceparent)


def _start(state: Conversation, opening: Opening, team: str, event: Event, policies: Sequence[Policy]) -> list[SlaFact]:
    """Start at the opening, once the team is known and promises something; a second message moves nothing (7.6)."""
    if state.clock is not None or not team:
        return []
    metric = Metric.NEXT_RESPONSE if state.replied else Metric.FIRST_RESPONSE
    policy = choose(policies, team)
    if policy is None or policy.target(metric) <= 0:
        return []
    clock = _clock(state, opening, metric, policy)
    clock = replace(clock, config_version=event.config_version, team=team)
    return [Started(clock, opening.at, event.event_id, event.traceparent)]


def _clock(state: Conversation, opening: Opening, metric: Metric, policy: Policy) -> Clock:
    cycle = state.cycles + 1 if metric is Metric.NEXT_RESPONSE else 1
    return Clock(
        clock_id=str(uuid.uuid5(CLOCKS, f"{state.tenant}/{state.conversation_id}/{metric}/{cycle}")),
        tenant=state.tenant,
        conversation_id=state.conversation_id,
        metric=metric,
        cycle=cycle,
        target_s=policy.target(metric),
        started_at=opening.at,
        warnings=policy.warnings,
        policy_id=policy.policy_id,
        traceparent=opening.traceparent,
    )


def _breach(clock: Clock) -> Breached:
    return Breached(replace(clock, breached=True), clock.due_at)


def _end(clock: Clock, event: Event) -> list[SlaFact]:
    """End with the reply; a breach that no timer has noticed yet comes first."""
    met = event.at <= clock.due_at
    unnoticed: list[SlaFact] = [] if met or clock.breached else [_breach(clock)]
    ended = replace(clock, state=State.FULFILLED, breached=not met, ended_at=event.at, gen=clock.gen + 1, warned=0)
    elapsed, overdue = event.at - clock.started_at, event.at - clock.due_at
    return [
        *unnoticed,
        Fulfilled(
            ended,
            event.at,
            event.event_id,
            event.traceparent,
            met,
            elapsed // timedelta(seconds=1),
            0 if met else overdue // timedelta(seconds=1),
            retracts=met and clock.breached,
        ),
    ]


# -- Fold


def observe(state: Conversation, event: Event) -> Conversation:
    """The conversation after an event, its clock apart."""
    state = replace(state, seq=max(state.seq, event.seq))
    if event.kind is Kind.WROTE:
        return replace(state, opening=state.opening or _opening(event))
    if event.kind is Kind.REPLIED:
        return replace(state, opening=None, replied=state.replied or state.opening is not None)
    if event.kind is Kind.QUEUED:
        clock = replace(state.clock, team=event.team) if state.clock else None
        return replace(state, team=event.team, clock=clock)
    return state


def evolve(state: Conversation, fact: SlaFact) -> Conversation:
    """The conversation after a fact about its clock."""
    clock = fact.clock if fact.clock.state is State.RUNNING else None
    cycles = fact.clock.cycle if fact.clock.metric is Metric.NEXT_RESPONSE else state.cycles
    return replace(state, clock=clock, cycles=cycles)


@dataclass(slots=True)
class Step:
    """A conversation while a batch passes over it, and what came of it."""

    state: Conversation
    facts: list[SlaFact] = field(default_factory=list)
    #: Clocks to be written, by id.
    changed: dict[str, Clock] = field(default_factory=dict)

    def see(self, event: Event, policies: Sequence[Policy]) -> None:
        """Take one event of the log."""
        facts = decide(self.state, event, policies)
        before = self.state.clock
        self.state = observe(self.state, event)
        if self.state.clock is not None and self.state.clock != before:
            self.changed[self.state.clock.clock_id] = self.state.clock
        self._take(facts)

    def look(self, now: datetime) -> None:
        """Let the clock say what has passed by `now`."""
        if self.state.clock is not None:
            self._take(fire(self.state.clock, now))

    def _take(self, facts: list[SlaFact]) -> None:
        for fact in facts:
            self.state = evolve(self.state, fact)
            self.changed[fact.clock.clock_id] = fact.clock
        self.facts += facts
