"""Inbound messages per second through Kafka and PostgreSQL for one pool, by the real router process."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence

from trunkline_common import kafka, postgres, topics
from trunkline_common.kafka import Outgoing

from deploy.local.demo_config import DEMO_TENANT
from deploy.local.services import Services
from tests import kit
from tests.bench import records
from tests.bench.children.work import OUT
from tests.bench.consumer import drain
from tests.bench.report import Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TENANT, INBOUND, BARE = "bench", "trunkline.inbound.v1", "bench.inbound"
PER_CONVERSATION = 10
DRAIN_S = 120.0
KNOWN = "select next_offset from consumer_partition where grp = 'router' and topic = $1 and part = $2"


async def measure(bench: Bench) -> list[Result]:
    """The router is stopped while its backlog is written, then drains it; the bare consumer drains as much."""
    count = bench.count(14_000, 1000)
    await bench.topic(OUT, 4)
    await bench.topic(BARE, 1)
    await records.fill(bench.stack.bootstrap, inbound(BARE, TENANT, count))
    ours, bare = [], []
    async with bench.services("router", "timeline") as services:
        await open_for_work(services, TENANT)
        for number in range(bench.runs):
            bare.append((await drain(bench, "bare", count, BARE))["per_s"])
            ours.append(await drained(bench, services, ["router"], [TENANT], count))
            bench.say(f"run {number + 1}: router {ours[-1]:,.0f}/s, bare {bare[-1]:,.0f}/s")
    return [_result(ours, bare, count)]


def _result(ours: list[float], bare: list[float], count: int) -> Result:
    return in_turn(
        "engine_log",
        "messages/s",
        ours,
        bare,
        goal=None,
        higher_is_better=True,
        measured_on=f"{count:,} inbound messages of one pool, {PER_CONVERSATION} per conversation, four agents online, "
        "timeline asked and projecting meanwhile; one router process, from its first moment to the COMMIT of the last "
        "message",
        baseline_is="the bare consumer of `consumer` on as many records in one partition (it decides nothing)",
    )


def inbound(topic: str, tenant: str, count: int) -> list[Outgoing]:
    """A backlog of one pool."""
    events = records.messages(count, max(1, count // PER_CONVERSATION), tenant=tenant)
    return [Outgoing(topic, e.pool.encode(), e.SerializeToString()) for e in events]


async def open_for_work(services: Services, tenant: str) -> None:
    """Its configuration in force and its agents there."""
    await kit.apply_config(services, tenant, DEMO_TENANT.read_text())
    async with kit.desk(services, tenant) as desk:
        for agent in ("ana", "ben", "cleo", "dan"):
            await desk.presence(agent)


async def drained(
    bench: Bench, services: Services, routers: Sequence[str], tenants: Sequence[str], count: int
) -> float:
    """Messages per second of so many of each tenant, from the moment the routers may run."""
    await signalled(services, routers, signal.SIGSTOP)
    try:
        async with postgres.connect(bench.stack.database_url, "router", size=1) as pool:
            until = {partition(tenant): await _known(pool, partition(tenant)) + count for tenant in tenants}
            for tenant in tenants:
                await records.fill(bench.stack.bootstrap, inbound(INBOUND, tenant, count))
            began = time.perf_counter()
            await signalled(services, routers, signal.SIGCONT)
            await _reached(pool, until)
            return len(tenants) * count / (time.perf_counter() - began)
    finally:
        await signalled(services, routers, signal.SIGCONT)


def partition(tenant: str) -> int:
    """Where the messages of the tenant's pool are."""
    return kafka.partition_for(f"{tenant}/default".encode(), topics.declared()[INBOUND].partitions)


async def signalled(services: Services, routers: Sequence[str], number: int) -> None:
    """Send each a signal."""
    for router in routers:
        await services.kill(router, number)


async def _known(pool: postgres.Pool, part: int) -> int:
    return int(await pool.fetchval(KNOWN, INBOUND, part))


async def _reached(pool: postgres.Pool, until: Mapping[int, int]) -> None:
    async with asyncio.timeout(DRAIN_S):
        for part, offset in until.items():
            while await _known(pool, part) < offset:  # noqa: ASYNC110 - another process's row
                await asyncio.sleep(0.02)


BENCHMARK = Benchmark("engine_log", "inbound messages through the router process", measure)
