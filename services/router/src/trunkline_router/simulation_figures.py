"""What a period was like for those who waited and those who worked, from its events alone: recorded or simulated."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from trunkline_router import fairness
from trunkline_router.events import (
    CallbackScheduled,
    ConversationAssigned,
    ConversationMerged,
    ConversationQueued,
    ConversationRejected,
    ConversationReleased,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationStarted,
    ConversationTransferred,
    ConversationWoken,
    Event,
)
from trunkline_router.facts import Presence, QueueReason
from trunkline_router.handed import ConversationTakenOver
from trunkline_router.pool import Pool, Status
from trunkline_router.pool_events import AgentConfigured, AgentPresenceChanged, AgentRemoved, PoolConfigured
from trunkline_router.routing import ANY_CHANNEL, AgentConfig


@dataclass(frozen=True, slots=True)
class TeamFigures:
    """A team's period. Waits are seconds of those who got an agent, None where nobody did.

    `abandoned`: ended before they ever had an agent. `waiting`: at the end. `utilisation`: units in hand of the units
    that its agents could have, while online. `jain`: of units assigned per hour online, among its agents.
    """

    team: str
    served: int
    abandoned: int
    rejected: int
    waiting: int
    wait_p50_s: float | None
    wait_p90_s: float | None
    utilisation: float | None
    jain: float


@dataclass(frozen=True, slots=True)
class Route:
    """Where a conversation went first, and the rule that put it there. No agent: none had it."""

    team: str
    agent: str
    policy: str
    step: int
    reason: QueueReason | None


@dataclass(slots=True)
class _Worker:
    config: AgentConfig
    online: bool
    since: datetime
    units: int = 0
    online_s: float = 0.0
    busy_s: float = 0.0
    room_s: float = 0.0
    assigned: float = 0.0

    def until(self, at: datetime) -> None:
        """As they were until now."""
        if self.online:
            seconds = (at - self.since).total_seconds()
            self.online_s += seconds
            self.busy_s += seconds * self.units
            self.room_s += seconds * self.config.capacity
        self.since = at


@dataclass(slots=True)
class _Counts:
    waits: list[float] = field(default_factory=list)
    abandoned: int = 0
    rejected: int = 0


class Meter:
    """Sees every event of a period, in order."""

    def __init__(self, before: Pool, since: datetime) -> None:
        self.routes: dict[str, Route] = {}
        self._queued: dict[str, ConversationQueued] = {}
        self._waiting: dict[str, tuple[str, datetime]] = {}
        self._held: dict[str, tuple[str, int]] = {}
        self._had_agent: set[str] = set()
        self._teams: dict[str, _Counts] = defaultdict(_Counts)
        self._channels = {c.id: c.channel for c in before.conversations.values()}
        self._weights = _weights(before.config)
        self._workers = {
            a.config.id: _Worker(a.config, a.presence is Presence.ONLINE, since) for a in before.agents.values()
        }
        for c in before.conversations.values():
            if c.status in (Status.QUEUED, Status.OFFERED):
                self._waiting[c.id] = c.team, c.entered_at
            elif c.status is Status.ASSIGNED:
                self._take(c.id, c.agent, since)
            if c.status is Status.ASSIGNED or c.last_agent:
                self._had_agent.add(c.id)

    def see(self, event: Event) -> None:
        """One event."""
        at = event.occurred_at
        match event.payload:
            case PoolConfigured() as new:
                self._configure(new, at)
            case AgentConfigured(agent):
                self._employ(agent, at)
            case AgentPresenceChanged(agent_id, presence) if agent_id in self._workers:
                self._workers[agent_id].until(at)
                self._workers[agent_id].online = presence is Presence.ONLINE
            case AgentRemoved(agent_id) if agent_id in self._workers:
                self._workers[agent_id].until(at)
                self._workers[agent_id].online = False
            case _ if event.conversation_id:
                self._see(event, event.conversation_id, at)

    def _see(self, event: Event, name: str, at: datetime) -> None:
        match event.payload:
            case ConversationStarted(channel):
                self._channels[name] = channel
            case ConversationTakenOver(state=state):
                self._channels[name] = state.channel
            case ConversationQueued(team) as queued:
                self._let_go(name, at)
                self._queued[name] = queued
                self._waiting[name] = team, self._waiting[name][1] if name in self._waiting else at
            case ConversationAssigned(agent_id, team):
                self._assigned(name, agent_id, team, at)
            case ConversationWoken(_, agent_id) if agent_id:
                self._take(name, agent_id, at)
            case ConversationReopened():
                self._had_agent.discard(name)
            case ConversationRejected(team):
                self._teams[team].rejected += 1
            case ConversationResolved():
                if name in self._waiting and name not in self._had_agent:
                    self._teams[self._waiting[name][0]].abandoned += 1
                self._leave(name, at)
            case (
                ConversationTransferred()
                | ConversationReleased()
                | ConversationSnoozed()
                | ConversationMerged()
                | CallbackScheduled()
            ):
                self._leave(name, at)
            case _:
                pass

    def _assigned(self, name: str, agent_id: str, team: str, at: datetime) -> None:
        if name in self._waiting:
            self._teams[team].waits.append((at - self._waiting.pop(name)[1]).total_seconds())
        queued = self._queued.get(name)
        if name not in self.routes and queued is not None:
            self.routes[name] = Route(team, agent_id, queued.policy, queued.step, queued.reason)
        self._had_agent.add(name)
        self._take(name, agent_id, at)
        if agent_id in self._workers:
            self._workers[agent_id].assigned += self._held[name][1]

    def _take(self, name: str, agent_id: str, at: datetime) -> None:
        self._let_go(name, at)
        units = self._weights.get(self._channels.get(name, ""), ANY_CHANNEL.weight)
        self._held[name] = agent_id, units
        self._load(agent_id, units, at)

    def _let_go(self, name: str, at: datetime) -> None:
        if name in self._held:
            agent_id, units = self._held.pop(name)
            self._load(agent_id, -units, at)

    def _leave(self, name: str, at: datetime) -> None:
        self._let_go(name, at)
        self._waiting.pop(name, None)

    def _load(self, agent_id: str, units: int, at: datetime) -> None:
        if agent_id in self._workers:
            self._workers[agent_id].until(at)
            self._workers[agent_id].units += units

    def _configure(self, new: PoolConfigured, at: datetime) -> None:
        self._weights = _weights(new)
        named = {a.id for a in new.agents}
        for worker in self._workers.values():
            worker.until(at)
            if worker.config.id not in named and not worker.config.by_api:
                worker.online = False
        for agent in new.agents:
            self._employ(agent, at)

    def _employ(self, agent: AgentConfig, at: datetime) -> None:
        worker = self._workers.setdefault(agent.id, _Worker(agent, online=False, since=at))
        worker.until(at)
        worker.config = agent

    # -- the result

    def figures(self, until: datetime) -> tuple[TeamFigures, ...]:
        """Every team's, as of the end of the period."""
        for worker in self._workers.values():
            worker.until(until)
        waiting = Counter(team for team, _ in self._waiting.values())
        teams = {*self._teams, *waiting, *(t for w in self._workers.values() for t in w.config.teams)}
        return tuple(self._figures(team, waiting[team]) for team in sorted(teams))

    def _figures(self, team: str, waiting: int) -> TeamFigures:
        counts = self._teams[team]
        members = {name: w for name, w in self._workers.items() if team in w.config.teams}
        room = sum(w.room_s for w in members.values())
        online = {name: w.online_s for name, w in members.items()}
        shares = fairness.per_online_hour({name: w.assigned for name, w in members.items()}, online)
        return TeamFigures(
            team,
            len(counts.waits),
            counts.abandoned,
            counts.rejected,
            waiting,
            fairness.percentile(counts.waits, 50) if counts.waits else None,
            fairness.percentile(counts.waits, 90) if counts.waits else None,
            sum(w.busy_s for w in members.values()) / room if room else None,
            fairness.jain(shares.values()),
        )

    def all_routes(self) -> dict[str, Route]:
        """Where each conversation that entered a queue in the period went; one that nobody had, where it waited."""
        unserved = ((n, q) for n, q in self._queued.items() if n not in self.routes)
        return self.routes | {n: Route(q.team, "", q.policy, q.step, q.reason) for n, q in unserved}


def _weights(config: PoolConfigured) -> dict[str, int]:
    return {channel: c.weight for c in config.channel_classes for channel in c.channels}
