"""Decisions of the pool engine in memory, against the same engine that looks at everything for every choice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from unittest.mock import patch

from trunkline_router import engine as real
from trunkline_router.facts import Actor, ActorType, Contact, Content, CustomerLookup, Presence
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    Configure,
    Input,
    ReceiveMessage,
    Resolve,
    SendReply,
    SetPresence,
)
from trunkline_router.matching import Match, prefers
from trunkline_router.pool import Pool, Status
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import AgentConfig, TeamConfig
from trunkline_router.state import Engine

from tests.bench.report import Result, in_turn, percentile
from tests.bench.workbench import Bench, Benchmark

AGENTS, TEAMS = 1000, 20
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SYSTEM = Actor(ActorType.SYSTEM)
Choose = Callable[[Engine], Match | None]


def scan_everything(engine: Engine) -> Match | None:
    """The naive choice: every conversation in order, every agent, each time anything happened."""
    engine.touched.clear()
    engine.touched_agents.clear()
    waiting = sorted((c for c in engine.pool.conversations.values() if c.status is Status.QUEUED), key=engine.place)
    for conversation in waiting:
        free = [a for a in engine.pool.agents.values() if prefers(engine, a, conversation)]
        if free:
            return Match(conversation, (min(free, key=lambda a: (a.last_assigned_at, a.load, a.config.id)),))
    return None


@contextmanager
def choosing(choose: Choose) -> Iterator[None]:
    """The engine with another choice."""
    with patch.object(real, "next_match", choose):
        yield


class Shift:
    """A pool at work: messages come in, agents accept, reply and resolve."""

    def __init__(self, agents: int, teams: int) -> None:
        self.engine = Engine(Pool("bench/default"))
        self._now, self._inputs = START, 0
        names = [f"team-{n}" for n in range(teams)]
        self._teams = names
        self._take(Configure(_configuration(names, agents)))
        for number in range(agents):
            self._take(SetPresence(f"agent-{number}", Presence.ONLINE))

    def cycle(self, number: int, timed: list[float]) -> int:
        """One conversation from its first message to its end; how many decisions that took."""
        conversation = f"c-{number}"
        began = time.perf_counter()
        self._take(_message(conversation, f"account-{number % len(self._teams)}"))
        found = self.engine.pool.conversations[conversation]
        offer_id, offer = next(iter(found.offers.items()))
        agent = offer.agent
        inputs: list[Body] = [
            AcceptOffer(conversation, offer_id, agent),
            SendReply(conversation, agent, f"reply-{number}", Content("on its way")),
            Resolve(conversation, agent),
        ]
        for body in inputs:
            timed.append(time.perf_counter() - began)
            began = time.perf_counter()
            self._take(body)
        timed.append(time.perf_counter() - began)
        return 1 + len(inputs)

    def _take(self, body: Body) -> None:
        self._inputs += 1
        self._now += timedelta(milliseconds=10)
        real.handle(self.engine, Input(body, f"input-{self._inputs}", SYSTEM, supervising=True), self._now)


def _configuration(teams: list[str], agents: int) -> PoolConfigured:
    return PoolConfigured(
        version=1,
        teams=tuple(TeamConfig(team, 3600) for team in teams),
        agents=tuple(AgentConfig(f"agent-{n}", f"Agent {n}", (teams[n % len(teams)],), 3) for n in range(agents)),
        accounts=tuple((f"account-{n}", team) for n, team in enumerate(teams)),
    )


def _message(conversation: str, account: str) -> ReceiveMessage:
    return ReceiveMessage(
        event_id=f"e-{conversation}",
        conversation_id=conversation,
        channel="app",
        account=account,
        contact=Contact(f"contact-{conversation}"),
        content=Content("where is my parcel?"),
        provider_message_id=f"m-{conversation}",
        provider_time=None,
        automatic=False,
        reply_address="",
        references=(),
        customer=CustomerLookup(),
    )


async def measure(bench: Bench) -> list[Result]:
    """Both see the same shift, in turn."""
    agents, cycles = bench.count(AGENTS, 50), bench.count(5000, 50)
    ours, naive, tails = [], [], []
    for number in range(bench.runs):
        with choosing(scan_everything):
            naive.append(_shift(agents, cycles // 5)[0])
        rate, p99 = _shift(agents, cycles)
        ours.append(rate)
        tails.append(p99)
        bench.say(f"run {number + 1}: ours {ours[-1]:,.0f}/s, naive {naive[-1]:,.0f}/s")
    return [_result(ours, naive, tails, agents, cycles)]


def _shift(agents: int, cycles: int) -> tuple[float, float]:
    shift, timed = Shift(agents, TEAMS), list[float]()
    began = time.perf_counter()
    decisions = sum(shift.cycle(number, timed) for number in range(cycles))
    return decisions / (time.perf_counter() - began), percentile(timed, 0.99) * 1e6


def _result(ours: list[float], naive: list[float], tails: list[float], agents: int, cycles: int) -> Result:
    return in_turn(
        "engine_memory",
        "decisions/s",
        ours,
        naive,
        goal=None,
        higher_is_better=True,
        measured_on=f"engine.handle in memory: {cycles:,} conversations of message, offer, accept, reply, resolve "
        f"(four inputs each) in one pool of {agents:,} agents in {TEAMS} teams",
        baseline_is="the same engine choosing by a scan of all conversations and all agents, on a fifth as many "
        "conversations (with more it only gets slower)",
        details={"p99 us ours": median(tails)},
    )


BENCHMARK = Benchmark("engine_memory", "decisions per second of the engine alone", measure, needs_stack=False)
