"""The engine: decide (pure), evolve (fold.py), and matching until nobody waits who could be served (routing 3.6)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID, uuid5

from trunkline_router import agents, changes, commands, handover, leaving, messages, policies, timers
from trunkline_router.changes import Decision
from trunkline_router.events import (
    ConversationAssigned,
    ConversationQueued,
    ConversationReleased,
    ConversationWoken,
    Event,
    MessageSent,
    OfferMade,
    Payload,
)
from trunkline_router.facts import Actor, ActorType, QueueReason, RescindReason
from trunkline_router.fold import evolve
from trunkline_router.handed import ConversationTakenOver, TakeOver
from trunkline_router.inputs import AgentCommand, Configure, Input, ReceiveMessage, RecordReceipt, Tick
from trunkline_router.matching import Match, next_match
from trunkline_router.pool import Conversation, Pool, Status
from trunkline_router.pool_events import PoolConfigured, WrapUpEnded
from trunkline_router.routing import Mode
from trunkline_router.state import Engine

SYSTEM = Actor(ActorType.SYSTEM)
NAMESPACE = UUID("6c1f2f3e-6a0e-5d5b-9a52-0f3c9a1f7b10")
OFFERS = UUID("0b7d3f0a-52c4-5e0e-8f5e-0f9a4a6f3f51")


def event_id(pool: str, pool_seq: int) -> str:
    """The id of a pool's event: the same however often it is published."""
    return str(uuid5(NAMESPACE, f"{pool}/{pool_seq}"))


def handle(engine: Engine, asked: Input, now: datetime) -> list[Event]:
    """Decide one input, match what can be matched, and hold the new state. Raises Refusal: nothing changed."""
    now = max(now, engine.pool.last_at)
    if isinstance(asked.body, TakeOver):
        now = max(now, asked.body.at)  # the other pool's clock may be ahead
    engine.pass_time(now)
    own = Input(asked.body, asked.cause, SYSTEM)
    if isinstance(asked.body, Tick) and not engine.pool.dropped:
        return _tick(engine, own, now)
    events = _record(engine, decide(engine, asked, now), asked, now)
    if engine.pool.dropped:
        return events + _record(engine, leaving.onward(engine, asked.body, now), own, now)
    if isinstance(asked.body, Configure) and events:
        events += _record(engine, _displaced(engine, now), own, now)
    return events + _settle(engine, own, now)


def decide(engine: Engine, asked: Input, now: datetime) -> Decision:
    """What follows from an input; [] means already so."""
    body = asked.body
    match body:
        case ReceiveMessage():
            return messages.receive(engine, body, now)
        case RecordReceipt():
            return messages.receipt(engine.pool, body)
        case TakeOver():
            return handover.take_over(engine, body, now)
        case Configure(configuration):
            return _configure(engine, configuration)
        case Tick():
            return []
        case _ if isinstance(body, get_args(AgentCommand)):
            return agents.decide(engine, body, now)
        case _ if engine.pool.dropped:
            return leaving.decide(engine, body, now)  # type: ignore[arg-type] # what is left
        case _:
            return commands.decide(engine, body, asked, now)  # type: ignore[arg-type] # what is left


def _record(engine: Engine, decision: Decision, asked: Input, now: datetime) -> list[Event]:
    events: list[Event] = []
    for conversation_id, payload in _with_ends(engine, decision):
        pool = engine.pool
        known = pool.conversations.get(conversation_id)
        event = Event(
            pool_seq=pool.seq + 1,
            conversation_id=conversation_id,
            seq=_seq(known, payload) if conversation_id else 0,
            occurred_at=now,
            cause=asked.cause,
            actor=SYSTEM if isinstance(payload, MessageSent) and payload.automatic else asked.actor,
            config_version=pool.config_version,
            payload=payload,
        )
        evolve(engine, event)
        events.append(event)
    return events


def _with_ends(engine: Engine, decision: Decision) -> Iterable[tuple[str, Payload]]:
    """The wrap-up of a conversation that comes back to the same agent ends: it is in their hands again."""
    for conversation_id, payload in decision:
        if isinstance(payload, OfferMade | ConversationAssigned | ConversationWoken):
            agent = engine.pool.agents.get(payload.agent_id)
            if agent is not None and conversation_id in agent.wraps:
                yield "", WrapUpEnded(payload.agent_id, conversation_id)
        yield conversation_id, payload


def _seq(known: Conversation | None, payload: Payload) -> int:
    """The next one, wherever the one before it was decided."""
    if isinstance(payload, ConversationTakenOver):
        return payload.state.seq + 1
    return (known.seq if known else 0) + 1


# -- what follows by itself


def _tick(engine: Engine, own: Input, now: datetime) -> list[Event]:
    """Everything that is due; who waits is served before a further step of theirs is looked at."""
    events: list[Event] = _settle(engine, own, now)
    while names := timers.due(engine, now):
        for name in names:
            events += _record(engine, timers.decide(engine, name, now), own, now)
        events += _settle(engine, own, now)
    return events


def _settle(engine: Engine, own: Input, now: datetime) -> list[Event]:
    """Match until there is nothing to match; a step that serves nobody now may be passed over."""
    events = _record(engine, _unkept(engine, now), own, now)
    while True:
        while (found := next_match(engine)) is not None:
            events += _record(engine, _give(engine, found, now), own, now)
        passed = _skipped(engine, now)
        if not passed:
            return events
        events += _record(engine, passed, own, now)


def _give(engine: Engine, found: Match, now: datetime) -> Decision:
    """An assignment, or a question to one agent or to several at once."""
    c = found.conversation
    if policies.kept_back(engine, c, now):
        return [(c.id, policies.again(engine, c, now, QueueReason.CHANGED))]
    if engine.channel_class(c.channel).mode is Mode.AUTO_ASSIGN:
        return [(c.id, ConversationAssigned(found.agents[0].config.id, c.team, ""))]
    until = now + timedelta(seconds=engine.pool.teams[c.team].offer_timeout_s)
    return [
        (c.id, OfferMade(str(uuid5(OFFERS, f"{c.id}/{c.seq + number}")), agent.config.id, until))
        for number, agent in enumerate(found.agents, 1)
    ]


def _unkept(engine: Engine, now: datetime) -> Decision:
    """Work kept for agents who have gone is for everybody."""
    names = {name for agent in engine.touched_agents for name in engine.kept_for.get(agent, ())}
    kept = sorted((engine.pool.conversations[name] for name in names), key=lambda c: c.ordinal)
    alone = [c for c in kept if not policies.anybody_there(engine, c)]
    return [(c.id, policies.again(engine, c, now, QueueReason.PREFERRED_WAITED)) for c in alone]


def _skipped(engine: Engine, now: datetime) -> Decision:
    entered, engine.entered = engine.entered, []
    found: Decision = []
    for name in dict.fromkeys(entered):
        c = engine.pool.conversations[name]
        if c.status is Status.QUEUED and policies.skips(engine, c, now):
            found += [(c.id, p) for p in timers.step_on(engine, c, now)]
    return found


# -- configuration


def _configure(engine: Engine, new: PoolConfigured) -> Decision:
    return [("", new)] if new.version > engine.pool.config_version else []


def _displaced(engine: Engine, now: datetime) -> Decision:
    """After a new version: work of agents and teams that are gone goes back to a queue, recorded."""
    found: Decision = []
    for c in sorted(engine.pool.conversations.values(), key=lambda one: one.ordinal):
        found += [(c.id, p) for p in _moved(engine, c, now)]
    return found


def _moved(engine: Engine, c: Conversation, now: datetime) -> Iterable[Payload]:
    pool = engine.pool
    lost_team = c.team not in pool.teams
    gone = [o for o, offer in c.offers.items() if not _is_member(pool, offer.agent, c.team)]
    if c.status is Status.ASSIGNED and c.agent not in pool.agents:
        yield ConversationReleased(c.agent, "agent removed")
        yield policies.anew(engine, c, now, QueueReason.TEAM_REMOVED if lost_team else QueueReason.AGENT_LOST)
    elif c.status in (Status.QUEUED, Status.OFFERED) and lost_team:
        yield from changes.rescinds(c, RescindReason.TRANSFERRED)
        yield _elsewhere(engine, c, now)
    elif gone:
        for offer in changes.rescinds(c, RescindReason.AGENT_REMOVED):
            if offer.offer_id in gone:  # type: ignore[union-attr] # an OfferRescinded
                yield offer
        yield from changes.back_if_last(engine, c, len(gone), now)
    elif c.status is Status.QUEUED:
        place = changes.goes_on(c, policies.again(engine, c, now, QueueReason.CHANGED))
        if not changes.same_place(c, place):  # its policy, its team or what a priority means is another now
            yield place


def _is_member(pool: Pool, agent_id: str, team: str) -> bool:
    agent = pool.agents.get(agent_id)
    return agent is not None and team in agent.config.teams


def _elsewhere(engine: Engine, c: Conversation, now: datetime) -> ConversationQueued:
    return policies.in_team(engine, c, policies.home(engine, c), now, QueueReason.TEAM_REMOVED, entered_at=c.entered_at)
