"""A pool with what is derived from it: indexes, timers, what the last events touched."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trunkline_router.index import Index, Place
from trunkline_router.pool import ENDED, Agent, Conversation, Pool, Status
from trunkline_router.routing import ANY_CHANNEL, ChannelClass
from trunkline_router.tools import PLAIN, Tools
from trunkline_router.waiting import Waiting


@dataclass(slots=True)
class Engine:
    """What decides for a pool. Everything but `pool` is derived: a pool loaded anew must decide the same."""

    pool: Pool
    tools: Tools = PLAIN
    index: Index = field(init=False)
    waiting: Waiting = field(default_factory=Waiting)
    #: (when, id of a conversation or an agent). Stale entries are passed over when they come up.
    timers: list[tuple[datetime, str]] = field(default_factory=list)
    #: (when, agent): a rate limit allows them one more assignment; not an event, so not a timer.
    rates: list[tuple[datetime, str]] = field(default_factory=list)
    #: Waiting conversations that only these agents are considered for, for a while.
    kept_for: dict[str, set[str]] = field(default_factory=dict)
    #: Conversations that came to wait and agents who got room since matching last looked.
    touched: set[str] = field(default_factory=set)
    touched_agents: set[str] = field(default_factory=set)
    #: Conversations that entered a step they might skip.
    entered: list[str] = field(default_factory=list)
    candidates: list[tuple[Place, int, str]] = field(default_factory=list)
    #: What is open in a pool that was dropped, oldest first. Some may have gone: see `leaves`.
    leaving: deque[str] = field(default_factory=deque)
    _classes: dict[str, ChannelClass] = field(default_factory=dict)
    _timers_limit: int = 4096
    _named: dict[str, ChannelClass] = field(default_factory=dict)
    #: The instant in `rates` of each agent who has one there.
    _rated: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Derive everything. Nothing is touched: what is stored was matched to the end."""
        self.reindex()
        self.touched.clear()
        self.touched_agents.clear()

    def reindex(self) -> None:
        """After a change of configuration: classes, profiles, the order of waiting work and timers, all anew."""
        pool = self.pool
        self.index = Index(pool.teams, pool.agents, pool.last_at)
        self.waiting, self.kept_for = Waiting(), {}
        self._classes = {channel: c for c in pool.config.channel_classes for channel in c.channels}
        self._named = {c.id: c for c in pool.config.channel_classes} | {"": ANY_CHANNEL}
        for agent in pool.agents.values():
            self.index.put(agent)
            self.touched_agents.add(agent.config.id)
        # Work of a team that is gone is moved by the events that follow.
        queued = (c for c in pool.conversations.values() if c.status is Status.QUEUED and c.team in pool.teams)
        for place in sorted(map(self.place, queued)):  # in order, each is added at an end
            self._enqueue(pool.conversations[place[-1]], place)
        rest = (c for c in pool.conversations.values() if c.status not in ENDED) if pool.dropped else ()
        self.leaving = deque(c.id for c in sorted(rest, key=lambda c: c.ordinal))
        self.touched_agents |= self.kept_for.keys()  # some may be gone
        self._time_anew()

    def _time_anew(self) -> None:
        self.timers, self.rates, self._rated = [], [], {}
        for agent in self.pool.agents.values():
            self._time_agent(agent)
        for conversation in self.pool.conversations.values():
            self.time(conversation)

    def channel_class(self, channel: str) -> ChannelClass:
        """The class of a channel; one that no class names weighs 1."""
        return self._classes.get(channel, ANY_CHANNEL)

    def class_named(self, name: str) -> ChannelClass:
        """A channel class by its id."""
        return self._named[name]

    def place(self, conversation: Conversation) -> Place:
        """Where a waiting conversation stands."""
        team = self.pool.teams[conversation.team]
        return conversation.place(team.order, team.reply_target_s)

    def enqueue(self, conversation: Conversation) -> None:
        """It waits from now on."""
        self._enqueue(conversation, self.place(conversation))

    def _enqueue(self, conversation: Conversation, place: Place) -> None:
        self.waiting.add(conversation.team, place)
        self.touched.add(conversation.id)
        if conversation.by_hand:
            return
        if conversation.preferred_until is not None and conversation.preferred_until > self.index.now:
            for agent_id in conversation.preferred:
                self.kept_for.setdefault(agent_id, set()).add(conversation.id)
        else:
            self.index.wait(conversation, self.channel_class(conversation.channel).id, place)

    def dequeue(self, conversation: Conversation) -> None:
        """It waits no longer."""
        self.waiting.remove(conversation.id)
        self.index.leave(conversation.id)
        for agent_id in conversation.preferred:
            self.kept_for.get(agent_id, set()).discard(conversation.id)

    def put(self, agent: Agent) -> None:
        """The agent as they are now."""
        self.index.put(agent)
        self.touched_agents.add(agent.config.id)
        self._time_agent(agent)

    # -- timers

    def time(self, conversation: Conversation) -> None:
        """Be called when something of the conversation is due."""
        self._call_at(self.dues(conversation), conversation.id)

    def dues(self, conversation: Conversation) -> list[datetime]:
        """Every instant at which something of it is due, as it stands."""
        found = [o.expires_at for o in conversation.offers.values()]
        if conversation.status is Status.QUEUED:
            found += [w for w in (conversation.step_ends_at, conversation.preferred_until) if w is not None]
            found += [w for w in (conversation.reoffer_at, self.deflects_at(conversation)) if w is not None]
        if conversation.status is Status.SNOOZED and conversation.wakes_at is not None:
            found.append(conversation.wakes_at)
        if conversation.status is Status.SCHEDULED and conversation.callback is not None:
            found.append(conversation.callback[0])
        return found

    def deflects_at(self, conversation: Conversation) -> datetime | None:
        """When a waiting customer is offered another channel."""
        after = self.pool.config.limits.deflect_after_s
        return conversation.entered_at + timedelta(seconds=after) if after else None

    def _time_agent(self, agent: Agent) -> None:
        self._call_at(agent_dues(agent, self.pool), agent.config.id)
        self._time_rate(agent)

    def _time_rate(self, agent: Agent) -> None:
        name, when = agent.config.id, rate_due(agent, self.pool, self.index.now)
        if when is not None and self._rated.get(name) != when:
            self._rated[name] = when
            heapq.heappush(self.rates, (when, name))

    def next_due(self) -> datetime | None:
        """When to look again; perhaps in vain. A pool that was dropped has no time to lose, and no other timers."""
        if self.pool.dropped:
            return self.pool.last_at if self.leaves() else None
        return min((heap[0][0] for heap in (self.timers, self.rates) if heap), default=None)

    def leaves(self) -> bool:
        """Whether anything is left to go on elsewhere."""
        while self.leaving and self.pool.conversations[self.leaving[0]].status in ENDED:
            self.leaving.popleft()
        return bool(self.leaving)

    def pass_time(self, now: datetime) -> None:
        """What becomes possible by time alone."""
        self.index.now = max(now, self.pool.last_at)
        while self.rates and self.rates[0][0] <= self.index.now:
            agent = self.pool.agents.get(heapq.heappop(self.rates)[1])
            if agent is not None:
                self.index.put(agent)
                self.touched_agents.add(agent.config.id)
                self._time_rate(agent)

    def _call_at(self, dues: list[datetime], name: str) -> None:
        for when in dues:
            heapq.heappush(self.timers, (when, name))
        if len(self.timers) > self._timers_limit:  # mostly the same ones, pushed again and again
            self.timers = sorted(set(self.timers))
            self._timers_limit = 2 * len(self.timers) + 4096


def agent_dues(agent: Agent, pool: Pool) -> list[datetime]:
    """Every instant at which something of an agent is due: wrap-up, grace."""
    found = list(agent.wraps.values())
    if agent.lost_at is not None:
        found.append(agent.lost_at + timedelta(seconds=pool.config.limits.agent_grace_s))
    return found


def rate_due(agent: Agent, pool: Pool, now: datetime) -> datetime | None:
    """When the next of their assignments leaves the window of a team that limits them."""
    limited = (pool.teams[t] for t in agent.config.teams if t in pool.teams and pool.teams[t].rate_max)
    windows = [timedelta(seconds=t.rate_window_s) for t in limited]
    firsts = (next((at + w for at in agent.recent if at + w > now), None) for w in windows)
    return min((first for first in firsts if first is not None), default=None)
