"""How much a running SimulatePolicy slows the engine that decides meanwhile: the same load with and without, in turn.

The simulation is the router's own, begun by StartSimulation: a process of its own that reads the log. It is halted
(SIGSTOP) for the baseline and goes on for ours, so that both find the same memory and the same log.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import grpc
import psutil
from trunkline.router.v1 import explain_service_pb2 as asks
from trunkline.router.v1.explain_service_pb2_grpc import ExplainServiceStub
from trunkline_common.kafka import Producer

from deploy.local.services import Services
from tests import kit
from tests.bench.command import note
from tests.bench.engine_log import drained
from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.workbench import Bench, Benchmark

TENANT = "bench"
AGENTS = ("ana", "ben", "cleo", "dan")
DOCUMENT = f"""
teams: [{{id: billing}}]
agents: [{", ".join(f"{{id: {name}, teams: [billing]}}" for name in AGENTS)}]
accounts: [{{id: own-app, channel: app, team: billing}}]
"""
SLOWER = 1.05  # at most, by either measure
BEGUN_CPU_S = 1.5  # of the simulation's process: it has been started and reads the log
LONGEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and the CPU time that the router took meanwhile."""

    value: float
    cpu_s: float


Load = Callable[[], Awaitable[Measured]]


class Simulation:
    """One that runs when it is wanted; begun anew when it has come to its end."""

    def __init__(self, services: Services, since: datetime) -> None:
        self._services, self._since = services, since
        self._process: psutil.Process | None = None
        self.cpu_s, self.wall_s = 0.0, 0.0

    async def ready(self) -> psutil.Process:
        """Under way, and halted."""
        if self._process is None or not _lives(self._process):
            await self._begin()
            self._process = await kit.eventually(self._under_way, what="the simulation", seconds=LONGEST_S)
        os.kill(self._process.pid, signal.SIGSTOP)
        return self._process

    async def _begin(self) -> None:
        token = self._services.keys.mint("supervisor", TENANT, "sam", timedelta(hours=1))
        async with grpc.aio.insecure_channel(self._services.address("router")) as channel:
            stub: Any = ExplainServiceStub(channel)
            wanted = asks.StartSimulationRequest(request_id=kit.new_id(), yaml=DOCUMENT)
            wanted.since.FromDatetime(self._since)
            wanted.until.FromDatetime(datetime.now(UTC))
            await stub.StartSimulation(wanted, metadata=[("authorization", f"Bearer {token}")], timeout=30)

    async def _under_way(self) -> psutil.Process | None:
        router = psutil.Process(self._services.process("router").pid)
        for child in router.children(recursive=True):
            if "trunkline_router.past" in child.cmdline() and child.cpu_times().user > BEGUN_CPU_S:
                return child
        return None

    async def beside(self, load: Load) -> Measured | None:
        """What the load measures while the simulation runs; None where that came to its end meanwhile."""
        process = await self.ready()
        cpu, began = process.cpu_times().user, time.perf_counter()
        os.kill(process.pid, signal.SIGCONT)
        found = await load()
        if not _lives(process):
            return None
        os.kill(process.pid, signal.SIGSTOP)
        self.cpu_s += process.cpu_times().user - cpu
        self.wall_s += time.perf_counter() - began
        return found

    def stop(self) -> None:
        """A halted process would outlive the router that waits for it."""
        if self._process is not None and _lives(self._process):
            self._process.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def measure(bench: Bench) -> list[Result]:
    """Messages a second through the router, and the time to a command's acknowledgement."""
    count, calls = bench.count(1500, 300), bench.count(100, 10)
    async with bench.services("router") as services, kit.desk(services, TENANT) as desk:
        await kit.apply_config(services, TENANT, DOCUMENT)
        simulation = Simulation(services, datetime.now(UTC))
        for agent in AGENTS:
            await desk.presence(agent)
        conversation = await _conversation(bench, desk)
        await drained(bench, services, ["router"], [TENANT], bench.count(40_000, 20_000))  # what is simulated
        router = psutil.Process(services.process("router").pid)
        messages = _measured(router, lambda: drained(bench, services, ["router"], [TENANT], count))
        commands = _measured(router, lambda: _p50_ms(desk, conversation, calls))
        try:
            rates = await _in_turn(bench, simulation, "messages/s", messages)
            times = await _in_turn(bench, simulation, "ms p50", commands)
        finally:
            simulation.stop()
        share = simulation.cpu_s / simulation.wall_s
        return [_of_rates(rates, count, share), _of_times(times, share)]


def _measured(router: psutil.Process, load: Callable[[], Awaitable[float]]) -> Load:
    async def measured() -> Measured:
        before = router.cpu_times()
        value = await load()
        after = router.cpu_times()
        return Measured(value, after.user + after.system - before.user - before.system)

    return measured


Pairs = list[tuple[Measured, Measured]]


async def _in_turn(bench: Bench, simulation: Simulation, unit: str, load: Load) -> Pairs:
    """Beside a simulation and alone; the order changes, as a pool that grows is slower."""
    pairs: Pairs = []
    await load()
    while len(pairs) < bench.count(14, 1):
        await simulation.ready()
        first = await load() if len(pairs) % 2 else None
        beside = await simulation.beside(load)
        if beside is None:
            continue
        alone = first or await load()
        pairs.append((beside, alone))
        bench.say(f"run {len(pairs)}: beside a simulation {beside.value:,.2f} {unit}, alone {alone.value:,.2f} {unit}")
    return pairs


async def _conversation(bench: Bench, desk: kit.Desk) -> str:
    async with Producer(bench.stack.bootstrap, "bench") as producer:
        event = await kit.send(producer, kit.inbound(TENANT, kit.new_id(), "hello"))
    await kit.eventually(lambda: desk.get(event.conversation_id), what="the conversation")
    return event.conversation_id


async def _p50_ms(desk: kit.Desk, conversation: str, calls: int) -> float:
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        await desk.call("AddNote", note(conversation))
        taken.append(time.perf_counter() - began)
    return percentile(taken, 0.5) * 1000


def _of_rates(pairs: Pairs, count: int, share: float) -> Result:
    measured_on = (
        f"{count:,} inbound messages of one pool through the router process, Kafka and PostgreSQL on the same "
        f"{os.cpu_count()} cores, messages/s while a simulation of that pool runs"
    )
    return _result("simulation_rate", "of the rate", pairs, Goal(1 / SLOWER), measured_on, share, higher_is_better=True)


def _of_times(pairs: Pairs, share: float) -> Result:
    measured_on = (
        "AddNote at the router process that owns the pool, one call at a time, ms p50 while a simulation of that pool "
        f"runs on the same {os.cpu_count()} cores"
    )
    return _result("simulation_command", "of the time", pairs, Goal(SLOWER), measured_on, share, higher_is_better=False)


def _result(
    name: str, unit: str, pairs: Pairs, goal: Goal, measured_on: str, share: float, *, higher_is_better: bool
) -> Result:
    """The median of what each pair says: what others do on the machine changes from one to the next."""
    details = {
        "beside": median(beside.value for beside, _ in pairs),
        "alone": median(alone.value for _, alone in pairs),
        "router's CPU time, beside to alone": sum(b.cpu_s for b, _ in pairs) / sum(a.cpu_s for _, a in pairs),
        "of a core the simulation had": share,
    }
    return in_turn(
        name, unit, [b.value / a.value for b, a in pairs], [1.0] * len(pairs), goal=goal,
        higher_is_better=higher_is_better, measured_on=measured_on,
        baseline_is="the same load right before or after, the simulation halted", details=details,
    )  # fmt: skip


BENCHMARK = Benchmark("simulation", "the engine beside a running simulation", measure)
