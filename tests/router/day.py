"""A day of a contact centre through the real engine: python -m tests.router.day --agents 2000 --conversations 60000."""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from trunkline_router.engine import SYSTEM, handle
from trunkline_router.events import ConversationAssigned, ConversationWoken, Event, OfferMade
from trunkline_router.facts import Actor, ActorType, Contact, Content, CustomerLookup, Presence
from trunkline_router.index import available
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    ClearNotResponding,
    Configure,
    DeclineOffer,
    Input,
    ReceiveMessage,
    Release,
    Resolve,
    SendReply,
    SetPresence,
    Snooze,
    Tick,
    Transfer,
)
from trunkline_router.matching import may_take, qualified
from trunkline_router.pool import Conversation, Pool, Status
from trunkline_router.pool_events import AgentStoppedResponding, PoolConfigured
from trunkline_router.refusals import Refusal
from trunkline_router.routing import AgentConfig, ChannelClass, Mode, PolicyConfig, StepConfig, Strategy, TeamConfig
from trunkline_router.simulation_figures import Meter, TeamFigures
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS

from tests.router.audit import Audit

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=1)
#: Shares of a day's conversations by hour.
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 15, 16, 17, 16, 14, 12, 10, 8, 6, 4, 3, 2)
#: (share of agents, begins, hours)
SHIFTS = ((0.08, 0.0, 8.0), (0.30, 6.5, 8.5), (0.37, 8.5, 8.5), (0.25, 13.0, 8.5))
SKILLS, TOPICS = 40, 24
CLASSES = (
    ChannelClass("calls", ("calls",), weight=2, mode=Mode.AUTO_ASSIGN, wrap_s=20, requeue_when_lost=True),
    ChannelClass("chat", ("chat",), requeue_when_lost=True),
    ChannelClass("mail", ("mail",), interruptible=True),
)
#: Median minutes in an agent's hands, spread, share.
CHANNELS = {"calls": (6.0, 0.6, 0.2), "chat": (14.0, 0.7, 0.55), "mail": (12.0, 0.9, 0.25)}
PRIORITIES = ("low", "normal", "normal", "normal", "normal", "normal", "high", "high", "high", "urgent")
STRATEGIES = (Strategy.LONGEST_IDLE, Strategy.LEAST_LOADED, Strategy.BEST_SKILL, Strategy.ROTATION)


@dataclass(frozen=True)
class Size:
    """How large a day, and which one. `whims`: agents decline, miss and give back, as people do."""

    agents: int = 200
    conversations: int = 6000
    teams: int = 8
    seed: int = 11
    whims: bool = True


@dataclass(frozen=True)
class Sample:
    """The pool at an instant."""

    at: datetime
    waiting: int
    events: int


def configuration(size: Size) -> PoolConfigured:
    """Teams with topics, topics with two skills of which the second is dropped, then the first."""
    chance = random.Random(size.seed)  # noqa: S311 - the same numbers every time are the point
    teams = tuple(TeamConfig(f"team{n}", strategy=STRATEGIES[n % len(STRATEGIES)]) for n in range(size.teams))
    agents = tuple(_agent(n, size, chance) for n in range(size.agents))
    policies = [_policy(topic, size) for topic in range(TOPICS)]
    policies.append(PolicyConfig("rest", "", (StepConfig("team0"),)))
    vip = replace(policies[0], id="safety", when='"safety" in tags', tier=0)
    return PoolConfigured(1, teams, agents, (("desk", "team0"),), policies=(vip, *policies), channel_classes=CLASSES)


def _team_of(topic: int, size: Size) -> int:
    return topic % size.teams


def _skills_of(topic: int) -> tuple[str, str]:
    return f"skill{topic}", f"skill{TOPICS + topic % (SKILLS - TOPICS)}"


def _policy(topic: int, size: Size) -> PolicyConfig:
    team, (first, second) = f"team{_team_of(topic, size)}", _skills_of(topic)
    steps = (
        StepConfig(team, ((first, 3), (second, 2)), drop=(second,), wait_s=60),
        StepConfig(team, ((first, 2),), drop=(first,), wait_s=180),
        StepConfig(team, priority_boost_s=60),
    )
    return PolicyConfig(f"topic{topic}", f'attributes["topic"] == "{topic}"', steps)


def _agent(number: int, size: Size, chance: random.Random) -> AgentConfig:
    own = number % size.teams
    teams = {own, chance.randrange(size.teams)} if chance.random() < 0.3 else {own}
    topics = [t for t in range(TOPICS) if _team_of(t, size) in teams]
    known = {skill for topic in topics if chance.random() < 0.7 for skill in _skills_of(topic)}
    skills = tuple((skill, chance.randint(2, 5)) for skill in sorted(known))
    return AgentConfig(f"agent{number:05}", f"Agent {number}", tuple(f"team{t}" for t in sorted(teams)), 2, skills)


Action = Callable[[datetime], object]


class Day:
    """Customers who arrive, write again, lose patience and come back; agents with shifts, habits and whims."""

    def __init__(self, size: Size) -> None:
        self.size, self.log, self.audit = size, list[Event](), Audit()
        self._chance = random.Random(size.seed + 1)  # noqa: S311 - the same numbers every time are the point
        self.engine = Engine(Pool("acme/default"), TOOLS)
        self.meter = Meter(self.engine.pool, START)
        self._agenda: list[tuple[datetime, int, Action]] = []
        self._number, self.inputs, self.refused = 0, 0, 0
        self._visit: dict[str, int] = {}

    def run(self, every_s: float = 900.0) -> Iterator[Sample]:
        """The day; stops at regular instants to be looked at."""
        self._ask(Configure(configuration(self.size)), START, SYSTEM)
        self._shifts()
        self._arrivals()
        at = START
        while at < END:
            at = min(at + timedelta(seconds=every_s), END)
            self._until(at)
            waiting = sum(len(self.engine.waiting.of(t)) for t in self.engine.pool.teams)
            yield Sample(at, waiting, self.engine.pool.seq)

    # -- the plan

    def _shifts(self) -> None:
        for agent in self.engine.pool.agents:
            shift = self._chance.choices(SHIFTS, [s[0] for s in SHIFTS])[0]
            begins = START + timedelta(hours=shift[1], seconds=self._chance.uniform(0, 900))
            ends = begins + timedelta(hours=shift[2])
            pause = begins + timedelta(hours=self._chance.uniform(3, 5))
            self._presence(agent, begins, Presence.ONLINE)
            self._presence(agent, pause, Presence.AWAY)
            self._presence(agent, pause + timedelta(minutes=30), Presence.ONLINE)
            if ends < END:
                self._presence(agent, ends, Presence.OFFLINE)

    def _presence(self, agent: str, at: datetime, presence: Presence) -> None:
        self._later(at, lambda now: self._ask(SetPresence(agent, presence), now, Actor(ActorType.AGENT, agent)))

    def _arrivals(self) -> None:
        for number in range(self.size.conversations):
            hour = self._chance.choices(range(24), HOURS)[0]
            at = START + timedelta(hours=hour, seconds=self._chance.uniform(0, 3600))
            channel = self._chance.choices(list(CHANNELS), [c[2] for c in CHANNELS.values()])[0]
            first = self._message(f"c{number:06}", channel)
            self._later(at, lambda now, first=first: self._arrive(first, now))  # type: ignore[misc] # bound now

    def _message(self, name: str, channel: str) -> ReceiveMessage:
        topic = str(self._chance.randrange(TOPICS + 1))
        return ReceiveMessage(
            event_id=f"{name}-1",
            conversation_id=name,
            channel=channel,
            account="desk",
            contact=Contact(f"contact-{name}"),
            content=Content("hello"),
            provider_message_id="",
            provider_time=None,
            automatic=False,
            reply_address="",
            references=(),
            customer=CustomerLookup(),
            tags=("safety",) if self._chance.random() < 0.002 else (),
            attributes=(("topic", topic),),
            priority=self._chance.choice(PRIORITIES),
        )

    def _arrive(self, message: ReceiveMessage, at: datetime) -> None:
        name = message.conversation_id
        self._ask(message, at, Actor(ActorType.CUSTOMER))
        if self._chance.random() < 0.3:
            again = replace(message, event_id=f"{name}-2", tags=(), attributes=(), priority="")
            wait = timedelta(seconds=self._chance.expovariate(1 / 1800))
            self._later(at + wait, lambda now: self._ask(again, now, Actor(ActorType.CUSTOMER)))
        self._later(at + timedelta(seconds=self._chance.expovariate(1 / 2400)), lambda now: self._give_up(name, now))

    def _give_up(self, name: str, at: datetime) -> None:
        c = self.engine.pool.conversations[name]
        if c.status in (Status.QUEUED, Status.OFFERED) and not c.last_agent:
            self._ask(Resolve(name, min(self.engine.pool.agents)), at, Actor(ActorType.SERVICE, "web"))

    # -- the engine

    def _later(self, at: datetime, action: Action) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, action))

    def _until(self, end: datetime) -> None:
        """Everything before an instant, and what is due by then."""
        while True:
            act = self._agenda[0][0] if self._agenda else END
            due = min((heap[0][0] for heap in (self.engine.timers, self.engine.rates) if heap), default=END)
            if min(act, due) >= end:
                break
            if due < act:
                self._ask(Tick(), due, SYSTEM)
            else:
                heapq.heappop(self._agenda)[2](act)

    def _ask(self, body: Body, at: datetime, actor: Actor) -> None:
        self.inputs += 1
        cause = "timer" if isinstance(body, Tick) else f"input-{self.inputs}"
        supervising = actor.type is ActorType.SERVICE
        try:
            events = handle(self.engine, Input(body, cause, actor, supervising), at)
        except Refusal:
            self.refused += 1
            return
        self.log += events
        for event in events:
            self.audit.see(event)
            self.meter.see(event)
            self._react(event, event.occurred_at)

    # -- the agents

    def _react(self, event: Event, at: datetime) -> None:
        name = event.conversation_id
        match event.payload:
            case OfferMade(offer_id, agent_id):
                self._answer(name, offer_id, agent_id, at)
            case ConversationAssigned(agent_id):
                self._work(name, agent_id, at)
            case ConversationWoken(_, agent_id) if agent_id:
                self._work(name, agent_id, at)
            case AgentStoppedResponding(agent_id):
                actor = Actor(ActorType.AGENT, agent_id)
                self._later(
                    at + timedelta(seconds=120), lambda now: self._ask(ClearNotResponding(agent_id), now, actor)
                )

    def _answer(self, name: str, offer_id: str, agent_id: str, at: datetime) -> None:
        actor, whim = Actor(ActorType.AGENT, agent_id), self._chance.random() if self.size.whims else 1.0
        body = DeclineOffer(name, offer_id, agent_id, "busy") if whim < 0.02 else AcceptOffer(name, offer_id, agent_id)
        seconds = min(19.0, self._chance.lognormvariate(math.log(4), 0.5))
        if not 0.02 <= whim < 0.03:
            self._later(at + timedelta(seconds=seconds), lambda now: self._ask(body, now, actor))

    def _work(self, name: str, agent_id: str, at: datetime) -> None:
        c = self.engine.pool.conversations[name]
        middle, spread, _ = CHANNELS[c.channel]
        seconds = 60 * self._chance.lognormvariate(math.log(middle), spread)
        visit = self._visit[name] = self._visit.get(name, 0) + 1
        self._later(at + timedelta(seconds=seconds), lambda now: self._finish(name, agent_id, visit, now))

    def _finish(self, name: str, agent_id: str, visit: int, at: datetime) -> None:
        c = self.engine.pool.conversations[name]
        if c.status is not Status.ASSIGNED or c.agent != agent_id or visit != self._visit[name]:
            return
        actor = Actor(ActorType.AGENT, agent_id)
        self._ask(SendReply(name, agent_id, f"{name}-r{visit}", Content("done")), at, actor)
        self._ask(self._ending(c, agent_id, at), at, actor)

    def _ending(self, c: Conversation, agent_id: str, at: datetime) -> Body:
        kind = self._chance.random()
        if kind < 0.06:
            others = [t for t in self.engine.pool.teams if t != c.team]
            return Transfer(c.id, agent_id, self._chance.choice(others), "not ours")
        if kind < 0.08:
            return Snooze(c.id, agent_id, at + timedelta(minutes=30))
        if kind < 0.09 and self.size.whims:
            return Release(c.id, agent_id)
        return Resolve(c.id, agent_id)

    # -- looking

    def look(self) -> int:
        """P1 and P2 now: nobody waits who could be served, and load is what the books say. How many were looked at."""
        pool, looked = self.engine.pool, dict[object, Conversation]()
        for agent in pool.agents.values():
            assert agent.load == self.audit.units(agent.config.id), agent
        for team in pool.teams:
            for place in self.engine.waiting.of(team):
                c = pool.conversations[place[-1]]
                alone = c.id if c.excluded or c.preferred or c.attributes.allowed_agents else ""
                looked.setdefault((c.team, c.skills, c.channel, c.strategy, c.by_hand, alone), c)
        for c in looked.values():
            able = [a for a in pool.agents.values() if qualified(self.engine, a, c) and may_take(self.engine, a, c)]
            free = [a for a in able if available(a, pool.teams[c.team], self.engine.index.now)]
            assert not free or c.by_hand, (c, free)
        return len(looked)

    def figures(self) -> tuple[TeamFigures, ...]:
        """Every team's."""
        return self.meter.figures(END)


def summary(day: Day, seconds: float, most_waiting: int, looked: int) -> dict[str, object]:
    """What the day was like, for people."""
    figures = day.figures()
    return {
        **asdict(day.size),
        "seconds": round(seconds, 1),
        "inputs": day.inputs,
        "refused": day.refused,
        "events": len(day.log),
        "inputs_per_s": round(day.inputs / seconds),
        "offers": day.audit.offers,
        "assignments": day.audit.assignments,
        "overtakes_beyond_boost": day.audit.overtakes,
        "most_waiting": most_waiting,
        "classes_looked_at": looked,
        "teams": [{k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(f).items()} for f in figures],
    }


def whole(size: Size) -> dict[str, object]:
    """A day, looked at every quarter of an hour."""
    day, began = Day(size), time.perf_counter()
    most = looked = 0
    for sample in day.run():
        looked += day.look()
        most = max(most, sample.waiting)
    assert day.audit.overtakes == 0
    return summary(day, time.perf_counter() - began, most, looked)


def main() -> None:
    """Print a day's figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.router.day", description=__doc__)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--conversations", type=int, default=6000)
    parser.add_argument("--teams", type=int, default=8)
    parser.add_argument("--seed", type=int, default=11)
    found = vars(parser.parse_args())
    sys.stdout.write(json.dumps(whole(Size(**found)), indent=2) + "\n")


if __name__ == "__main__":
    main()
