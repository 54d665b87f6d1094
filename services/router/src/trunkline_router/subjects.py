"""What can be watched: an agent, a team's queue, a team's pulse; and what a watcher of it is told of an event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.errors import Refused
from trunkline_common.pages import fitting

from trunkline_router import refusals, wire_api
from trunkline_router.events import ConversationSnoozed, ConversationWoken, Event
from trunkline_router.pool_events import AgentConfigured, AgentRemoved, PoolConfigured
from trunkline_router.protomap import timestamp
from trunkline_router.refusals import Refusal
from trunkline_router.standing import Standing
from trunkline_router.state import Engine

Change = api.WatchAgentResponse | api.WatchQueueResponse | api.WatchTeamResponse
SNAPSHOT = 500  # waiting conversations in a snapshot: the engine decides nothing while it is made


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and where its conversation stood before and after it."""

    event: Event
    before: Standing
    after: Standing


@dataclass(frozen=True, slots=True)
class WatchedAgent:
    """An agent and what they have in hand."""

    method: ClassVar[str] = "WatchAgent"
    name: str

    def snapshot(self, engine: Engine) -> list[Change]:
        """As it is now. Raises Refusal."""
        agent = engine.pool.agents.get(self.name)
        if agent is None:
            raise refusals.no_agent(self.name)
        held = [wire_api.view(engine, c) for c in sorted(agent.holds)]
        found = api.AgentSnapshot(agent=wire_api.to_api_agent(agent), conversations=held)
        return [api.WatchAgentResponse(pool_seq=engine.pool.seq, snapshot=found)]

    def change(self, engine: Engine, step: Step) -> Change:
        """After an event that touches it. Raises Refusal where there is no such agent any more."""
        made = api.WatchAgentResponse(pool_seq=step.event.pool_seq)
        if step.event.conversation_id:
            made.conversation.CopyFrom(wire_api.view(engine, step.event.conversation_id))
        elif self.name in engine.pool.agents:
            made.agent.CopyFrom(wire_api.to_api_agent(engine.pool.agents[self.name]))
        else:
            raise refusals.no_agent(self.name)
        return made


@dataclass(frozen=True, slots=True)
class WatchedQueue:
    """The waiting conversations of a team."""

    method: ClassVar[str] = "WatchQueue"
    name: str

    def snapshot(self, engine: Engine) -> list[Change]:
        """As it is now. Raises Refusal."""
        _must_exist(engine, self.name)
        places = engine.waiting.of(self.name)
        first = fitting(wire_api.view(engine, place[-1]) for place in places[:SNAPSHOT])
        found = api.QueueSnapshot(conversations=first, waiting=len(places))
        return [api.WatchQueueResponse(pool_seq=engine.pool.seq, snapshot=found)]

    def change(self, engine: Engine, step: Step) -> Change:
        """After an event that touches it."""
        made = api.WatchQueueResponse(pool_seq=step.event.pool_seq)
        was, waits = step.before.queue == self.name, step.after.queue == self.name
        target = made.changed if was and waits else made.entered if waits else made.left
        target.CopyFrom(wire_api.view(engine, step.event.conversation_id))
        return made


@dataclass(frozen=True, slots=True)
class WatchedTeam:
    """A team's pulse: who is there, what they have in hand, how many wait."""

    method: ClassVar[str] = "WatchTeam"
    name: str

    def snapshot(self, engine: Engine) -> list[Change]:
        """As it is now, in parts where it is large. Raises Refusal."""
        _must_exist(engine, self.name)
        agents = engine.pool.agents
        members = [wire_api.to_api_agent(agents[a]) for a in sorted(agents) if self.name in agents[a].config.teams]
        first = fitting(members)
        pulse = api.TeamPulse(agents=first, queue=self._queue(engine))
        found = [api.WatchTeamResponse(pool_seq=engine.pool.seq, snapshot=pulse)]
        while members := members[len(first) :]:
            first, found[-1].continues = fitting(members), True
            found.append(api.WatchTeamResponse(pool_seq=engine.pool.seq, pulse=api.TeamChange(agents=first)))
        return [*found]

    def change(self, engine: Engine, step: Step) -> Change:
        """After an event that touches it."""
        found = api.TeamChange()
        for agent_id in sorted(_agents(step)):
            agent = engine.pool.agents.get(agent_id)
            if agent is not None and self.name in agent.config.teams:
                found.agents.append(wire_api.to_api_agent(agent))
            elif not step.event.conversation_id:
                found.gone_agent_ids.append(agent_id)
        if step.before.queue != step.after.queue and self.name in (step.before.queue, step.after.queue):
            found.queue.CopyFrom(self._queue(engine))
        return api.WatchTeamResponse(pool_seq=step.event.pool_seq, pulse=found)

    def _queue(self, engine: Engine) -> api.TeamQueue:
        ids = [place[-1] for place in engine.waiting.of(self.name)]
        first = min((engine.pool.conversations[c].entered_at for c in ids[:1]), default=None)
        return api.TeamQueue(waiting=len(ids), first_entered_at=timestamp(first) if first else None)


Subject = WatchedAgent | WatchedQueue | WatchedTeam


def newer(subject: Subject, pool_seq: int) -> Change:
    """No change, only a later place to go on from."""
    made: Change = getattr(api, f"{subject.method}Response")(pool_seq=pool_seq)
    return made


def _must_exist(engine: Engine, team: str) -> None:
    if team not in engine.pool.teams:
        raise refusals.no_team(team)


def is_for_all(event: Event) -> bool:
    """Whether everything that is watched may be another afterwards."""
    return isinstance(event.payload, PoolConfigured)


def touched(engine: Engine, step: Step) -> Iterator[Subject]:
    """What an event that is not for all touches, some of it perhaps twice."""
    for agent_id in _agents(step):
        yield WatchedAgent(agent_id)
        agent = engine.pool.agents.get(agent_id)
        if agent is not None and _is_work_moved(step):
            yield from map(WatchedTeam, agent.config.teams)
    if isinstance(step.event.payload, AgentConfigured | AgentRemoved):
        yield from map(WatchedTeam, engine.pool.teams)
    for queue in {step.before.queue, step.after.queue} - {""}:
        yield WatchedQueue(queue)
        if step.before.queue != step.after.queue:
            yield WatchedTeam(queue)


def _is_work_moved(step: Step) -> bool:
    """Whether somebody has more or less in hand afterwards; what is snoozed stays somebody's and weighs nothing."""
    weighs_otherwise = isinstance(step.event.payload, ConversationSnoozed | ConversationWoken)
    return not step.event.conversation_id or step.before != step.after or weighs_otherwise


def _agents(step: Step) -> frozenset[str]:
    """Whom an event concerns."""
    payload = step.event.payload
    if step.event.conversation_id:
        return step.before.agents | step.after.agents
    name: str = payload.agent.id if isinstance(payload, AgentConfigured) else getattr(payload, "agent_id", "")
    return frozenset({name} if name else ())


def told(engine: Engine, subject: Subject, step: Step) -> list[Change | Refused]:
    """What a watcher of the subject is told; that the subject is gone ends the watch."""
    try:
        made = subject.snapshot(engine) if is_for_all(step.event) else [subject.change(engine, step)]
    except Refusal as refusal:
        return [Refused(refusal.code, refusal.reason, refusal.message, metadata=refusal.facts)]
    for change in made:
        change.pool_seq = step.event.pool_seq
    return [*made]
