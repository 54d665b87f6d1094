"""How long a router that dies with 100,000 open conversations is away, and whether everything is as before."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median

import psutil
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import postgres
from trunkline_router import wire_api
from trunkline_router.pool import Status
from trunkline_router.state import Engine

from deploy.local.services import Services
from tests import kit
from tests.bench.open_pool import OpenPool
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TENANT, TEAM = "bench", "team-7"
OPENED, AGENTS, TAIL = 100_000, 10_000, 5_000
GOAL_S = 5.0
OFFERS = 20
#: Static membership: Kafka gives a process that was killed its partitions back at once.
MEMBER = {"router": {"TRUNKLINE_INSTANCE": "router"}}
HIDE = "update pool_snapshot set part = -1 - part"  # nobody loads it from there; done twice it is as before


async def measure(bench: Bench) -> list[Result]:
    """Killed and started again, in turn with the pool in the tables and without."""
    opened, agents, tail = bench.count(OPENED, 3000), bench.count(AGENTS, 300), bench.count(TAIL, 100)
    full, empty, cpu = [], [], []
    async with (
        Services(bench.stack, env_of=MEMBER) as services,
        postgres.connect(bench.stack.database_url, "router", size=1) as database,
    ):
        await services.start("router")  # makes the tables
        made = OpenPool(TENANT, agents, opened, datetime.now(UTC) - timedelta(seconds=60))
        engine = await made.write(database, tail)
        size = int(await database.fetchval("select length(state) from pool_snapshot"))
        for number in range(bench.runs):
            await database.execute(HIDE)
            empty.append(await _restart(services))
            await database.execute(HIDE)
            full.append(await _restart(services))
            cpu.append(sum(psutil.Process(services.process("router").pid).cpu_times()[:2]))
            await _as_before(services, engine, database)
            bench.say(f"run {number + 1}: serving after {full[-1]:.2f} s, with nothing to load {empty[-1]:.2f} s")
    return [_result(full, empty, cpu, _size(engine, tail, size))]


async def _restart(services: Services) -> float:
    """Seconds from the start of the process until it serves; the one before was killed."""
    await services.kill("router")
    began = time.perf_counter()
    await services.start("router")
    return time.perf_counter() - began


async def _as_before(services: Services, engine: Engine, database: postgres.Pool) -> None:
    """Offers with their ids and ends, the whole queue of a team in its order, and nothing that happened meanwhile."""
    pool = engine.pool
    offered = [c.id for c in pool.conversations.values() if c.status is Status.OFFERED][:OFFERS]
    async with kit.desk(services, TENANT) as desk:
        for name in offered:
            _must_equal(await desk.get(name), wire_api.view(engine, name))
        _must_equal(await _queue(desk), [place[-1] for place in engine.waiting.of(TEAM)])
    _must_equal(await database.fetchval("select max(pool_seq) from pool_log"), pool.seq)


def _must_equal(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"not as before the restart: {str(found)[:500]} instead of {str(expected)[:500]}")


async def _queue(desk: kit.Desk) -> list[str]:
    found, token = list[str](), ""
    while True:
        page = await desk.call("ListQueue", api.ListQueueRequest(team=TEAM, page_size=500, page_token=token))
        found += [c.conversation_id for c in page.conversations]
        if not (token := page.next_page_token):
            return found


def _size(engine: Engine, tail: int, snapshot: int) -> str:
    opened = sum(c.status is not Status.RESOLVED for c in engine.pool.conversations.values())
    return (
        f"one pool of {opened:,} open conversations and {len(engine.pool.agents):,} agents, as a snapshot of "
        f"{snapshot / 1e6:.0f} MB and {tail:,} events after it"
    )


def _result(full: list[float], empty: list[float], cpu: list[float], what: str) -> Result:
    return in_turn(
        "engine_restart",
        "s",
        [f - e for f, e in zip(full, empty, strict=True)],
        empty,
        goal=Goal(GOAL_S, on="value"),
        higher_is_better=False,
        measured_on=f"{what}; SIGKILL, then from the start of the process until it serves, less the same with nothing "
        "to load; afterwards offers and a queue are compared over gRPC",
        baseline_is="the start with nothing to load",
        details={"start to serving s": median(full), "cpu s until then": median(cpu)},
    )


BENCHMARK = Benchmark("engine_restart", "back after a kill with 100,000 open conversations", measure)
