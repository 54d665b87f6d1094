"""The two questions of matching at full size, against a scan: an arrival's agent, a free agent's next conversation."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import mean, median
from uuid import UUID

from trunkline_router.events import ConversationQueued, Event, OfferMade, OfferRescinded
from trunkline_router.facts import Actor, ActorType, Contact, Presence, QueueReason, RescindReason
from trunkline_router.fold import evolve
from trunkline_router.matching import Match, next_match
from trunkline_router.pool import Agent, Conversation, Hold, Pool, Status
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import AgentConfig, Pairs, TeamConfig
from trunkline_router.state import Engine

from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.workbench import Bench, Benchmark

AGENTS, WAITING, SKILLS, PROFILES, CLASSES, TEAMS, SLOTS = 10_000, 100_000, 100, 300, 300, 20, 3
#: Teams whose agents have room; in the others everybody is busy and the backlog waits.
FREE_TEAMS = 4
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SYSTEM = Actor(ActorType.SYSTEM)
Choose = Callable[[Engine], Match | None]


def scan(engine: Engine) -> Match | None:
    """The naive choice for what was touched: every agent for an arrival, every conversation for an agent."""
    pool = engine.pool
    for name in sorted(engine.touched_agents):
        agent = pool.agents[name]
        fitting = [c for c in pool.conversations.values() if c.status is Status.QUEUED and _fits(agent, c)]
        if fitting:
            first = min(fitting, key=lambda c: (c.tier, c.entered_at - timedelta(seconds=c.boost_s), c.ordinal))
            return Match(first, (agent,))
    for name in sorted(engine.touched):
        conversation = pool.conversations[name]
        free = [a for a in pool.agents.values() if conversation.status is Status.QUEUED and _fits(a, conversation)]
        if free:
            return Match(conversation, (min(free, key=lambda a: (a.last_assigned_at, a.load, a.config.id)),))
    return None


def _fits(agent: Agent, c: Conversation) -> bool:
    skills = dict(agent.config.skills)
    return (
        c.team in agent.config.teams
        and agent.presence is Presence.ONLINE
        and len(agent.holds) < agent.config.capacity
        and all(skills.get(skill, 0) >= level for skill, level in c.skills)
    )


@dataclass(slots=True)
class Floor:
    """A pool at full size: busy teams with a backlog, free ones without."""

    agents: int
    waiting: int
    chance: random.Random = field(default_factory=lambda: random.Random(4))  # noqa: S311 - the same floor every time
    engine: Engine = field(init=False)
    classes: list[tuple[str, Pairs]] = field(default_factory=list)
    #: Agents whose teams have a backlog.
    busy: list[str] = field(default_factory=list)
    arrived: int = 0

    def __post_init__(self) -> None:
        """People, skills, work; then everything derived from them."""
        teams = [f"team-{n}" for n in range(TEAMS)]
        profiles = [(teams[n % TEAMS], self._skills(5)) for n in range(PROFILES)]
        for n in range(CLASSES):
            team, skills = profiles[n % PROFILES]
            asked = self.chance.sample(skills, self.chance.randint(0, 2))
            self.classes.append((team, tuple(sorted((s, max(1, level - 1)) for s, level in asked))))
        agents = [
            AgentConfig(f"agent-{n:05}", "", (profiles[n % PROFILES][0],), SLOTS, profiles[n % PROFILES][1])
            for n in range(self.agents)
        ]
        config = PoolConfigured(1, tuple(TeamConfig(t, 3600) for t in teams), tuple(agents), ())
        pool = Pool("bench/default", config=config, last_at=START)
        pool.teams = {t.id: t for t in config.teams}
        for agent in agents:
            self._seat(pool, agent)
        for n in range(self.waiting):
            self._wait(pool, n)
        self.engine = Engine(pool)
        self.busy = [a.id for a in agents if int(a.teams[0].partition("-")[2]) >= FREE_TEAMS]

    def _skills(self, count: int) -> Pairs:
        chosen = self.chance.sample(range(SKILLS), count)
        return tuple(sorted((f"skill-{n}", self.chance.randint(1, 5)) for n in chosen))

    def _seat(self, pool: Pool, config: AgentConfig) -> None:
        agent = pool.agents[config.id] = Agent(config, Presence.ONLINE)
        agent.last_assigned_at = START - timedelta(seconds=self.chance.randrange(3600))
        busy = int(config.teams[0].partition("-")[2]) >= FREE_TEAMS
        for n in range(SLOTS if busy else 1):
            agent.holds[f"held-{config.id}-{n}"] = Hold(1, "", interruptible=False)

    def _wait(self, pool: Pool, n: int) -> None:
        team, skills = self.classes[n % len(self.classes)]
        if int(team.partition("-")[2]) < FREE_TEAMS:
            team, skills = f"team-{FREE_TEAMS + n % (TEAMS - FREE_TEAMS)}", ()
        c = Conversation(f"waiting-{n}", n, "app", "app", Contact("c"), "", status=Status.QUEUED, team=team)
        c.skills, c.boost_s = skills, self.chance.choice((0, 300, 1800))
        c.entered_at = START - timedelta(seconds=self.chance.randrange(7200))
        pool.conversations[c.id] = c

    def arrive(self, choose: Choose) -> float:
        """Seconds to find an agent for a new conversation; then everything is as before."""
        self.arrived += 1
        name = f"new-{self.arrived}"
        free = [c for c in self.classes if int(c[0].partition("-")[2]) < FREE_TEAMS]
        team, skills = free[self.arrived % len(free)]
        c = Conversation(name, 10**6 + self.arrived, "app", "app", Contact("c"), "")
        self.engine.pool.conversations[name] = c
        self._record(name, ConversationQueued(team, QueueReason.NEW, START, skills=skills))
        taken, match = self._timed(choose)
        assert match is not None and match.conversation is c  # noqa: PT018
        self._offer(match)
        self._record(name, OfferRescinded(str(UUID(int=self.arrived)), match.agents[0].config.id, RescindReason.TAKEN))
        del self.engine.pool.conversations[name]
        self.engine.touched_agents.clear()
        return taken

    def free(self, choose: Choose) -> float:
        """Seconds to find the next conversation of an agent who got room; it is offered to them."""
        self.arrived += 1
        agents = self.engine.pool.agents
        agent = agents[self.busy[self.arrived * 7919 % len(self.busy)]]
        agent.holds.pop(next(iter(agent.holds)))
        began = time.perf_counter()
        self.engine.put(agent)
        put = time.perf_counter() - began
        taken, match = self._timed(choose)
        if match is not None:
            self._offer(match)
        return put + taken

    def _timed(self, choose: Choose) -> tuple[float, Match | None]:
        began = time.perf_counter()
        match = choose(self.engine)
        return time.perf_counter() - began, match

    def _offer(self, match: Match) -> None:
        offered = OfferMade(str(UUID(int=self.arrived)), match.agents[0].config.id, START + timedelta(hours=9))
        self._record(match.conversation.id, offered)
        self.engine.touched.clear()
        self.engine.touched_agents.clear()
        self.engine.candidates.clear()
        self.engine.entered.clear()

    def _record(self, name: str, payload: ConversationQueued | OfferMade | OfferRescinded) -> None:
        seq = self.engine.pool.seq + 1
        evolve(self.engine, Event(seq, name, 1, START, "bench", SYSTEM, 1, payload))


async def measure(bench: Bench) -> list[Result]:
    """Full size, in turn with the scan on the same floor; a tenth of the people for how the cost grows."""
    agents, waiting = bench.count(AGENTS, 300), bench.count(WAITING, 600)
    results = [_memory(agents, waiting)]
    large, small = Floor(agents, waiting), Floor(max(300, agents // 10), waiting // 10)
    for name, ask in (("arrival_to_agent", Floor.arrive), ("slot_to_conversation", Floor.free)):
        figures = [_round(bench, ask, large, small) for _ in range(bench.runs)]
        bench.say(f"{name}: {figures[-1]}")
        results += _results(name, figures, agents, waiting)
    return results


def _memory(agents: int, waiting: int) -> Result:
    """What a waiting conversation and an agent hold in memory, with all that is derived of them."""

    def grown(more_agents: int, more_waiting: int) -> float:
        gc.collect()
        tracemalloc.start()
        floor = Floor(more_agents, more_waiting)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del floor
        return float(held)

    people, little = agents // 10, grown(300, 300)
    per_agent = (grown(300 + people, 300) - little) / people
    per_waiting = (grown(300, 300 + waiting // 10) - little) / (waiting // 10)
    return in_turn(
        "memory_per_waiting",
        "bytes",
        [per_waiting],
        [per_agent],
        goal=None,
        higher_is_better=False,
        measured_on="Python's own account of a pool with its indexes, the difference that more waiting work makes",
        baseline_is="the same for an agent",
    )


def _round(bench: Bench, ask: Callable[[Floor, Choose], float], large: Floor, small: Floor) -> dict[str, float]:
    ours = [ask(large, next_match) * 1e6 for _ in range(bench.count(3000, 30))]
    fewer = [ask(small, next_match) * 1e6 for _ in range(bench.count(3000, 30))]
    naive = [ask(large, scan) * 1e6 for _ in range(bench.count(60, 3))]
    return {
        "mean": mean(ours),
        "p99": percentile(ours, 0.99),
        "fewer": mean(fewer),
        "naive": mean(naive),
    }


def _results(name: str, figures: list[dict[str, float]], agents: int, waiting: int) -> list[Result]:
    where = (
        f"{agents:,} agents in {PROFILES} profiles, {SKILLS} skills, {CLASSES} requirement classes, {waiting:,} waiting"
    )
    return [
        in_turn(
            name,
            "choices/s",
            [1e6 / f["mean"] for f in figures],
            [1e6 / f["naive"] for f in figures],
            goal=Goal(100),
            higher_is_better=True,
            measured_on=f"the choice alone, in memory; {where}",
            baseline_is="a scan of every agent or every waiting conversation, on the same floor in the same run",
            details={"mean us": median(f["mean"] for f in figures), "p99 us": median(f["p99"] for f in figures)},
        ),
        in_turn(
            f"{name}_growth",
            "us",
            [f["mean"] for f in figures],
            [f["fewer"] for f in figures],
            goal=Goal(1.5),
            higher_is_better=False,
            measured_on=f"mean of the choice; {where}",
            baseline_is="the same with ten times fewer agents and waiting conversations",
        ),
    ]


BENCHMARK = Benchmark("matching", "who gets what at 10,000 agents and 100,000 waiting", measure, needs_stack=False)
