"""Messages per second of four pools in two router processes, against one pool in one, through Kafka and PostgreSQL."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import count as numbers
from statistics import median

import psutil
from trunkline_common import postgres, topics

from deploy.local.services import Services
from tests import kit
from tests.bench.engine_log import INBOUND, drained, open_for_work, partition
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

ROUTERS = ("router", "router-2")
POOLS_EACH = 2
#: Two routers, PostgreSQL and Kafka at the same time; with fewer cores a second process has none to run on.
CORES = 4
OWNERS = "select part, owner from consumer_partition where grp = 'router' and topic = $1 and owner <> ''"


async def measure(bench: Bench) -> list[Result]:
    """Both routers run in either case; what is alone is the pool that has a backlog."""
    count = bench.count(6000, 300)
    one, four, cpu_one, cpu_four = [], [], [], []
    async with bench.services("router") as services:
        await services.start("router", instance=ROUTERS[1])
        alone, *spread = await _tenants(bench, services)
        for tenant in (alone, *spread):
            await open_for_work(services, tenant)
        for number in range(bench.runs):
            rate, cpu = await _run(bench, services, [alone], count)
            one.append(rate)
            cpu_one.append(cpu)
            rate, cpu = await _run(bench, services, spread, count)
            four.append(rate)
            cpu_four.append(cpu)
            bench.say(f"run {number + 1}: four pools in two processes {four[-1]:,.0f}/s, one pool {one[-1]:,.0f}/s")
    return [_result(four, one, median(cpu_four), median(cpu_one), count)]


async def _tenants(bench: Bench, services: Services) -> list[str]:
    """One for the first router alone, then two for each; each in a partition of its own."""
    owner = await _owners(bench, services)
    wanted = Counter({ROUTERS[0]: POOLS_EACH + 1, ROUTERS[1]: POOLS_EACH})
    names, found = map("bench-{}".format, numbers()), dict[int, str]()
    while wanted.total():
        tenant = next(names)
        part = partition(tenant)
        if part not in found and wanted[owner[part]]:
            wanted[owner[part]] -= 1
            found[part] = tenant
    return sorted(found.values(), key=lambda t: owner[partition(t)])


async def _owners(bench: Bench, services: Services) -> dict[int, str]:
    """Which router has each partition, once both have half of them."""
    names, total = {services.address(name): name for name in ROUTERS}, topics.declared()[INBOUND].partitions
    async with postgres.connect(bench.stack.database_url, "router", size=1) as pool:

        async def halved() -> dict[int, str] | None:
            found = {row["part"]: names[row["owner"]] for row in await pool.fetch(OWNERS, INBOUND)}
            return found if sorted(Counter(found.values()).values()) == [total // 2, total - total // 2] else None

        return await kit.eventually(halved, what="half of the partitions for each router")


async def _run(bench: Bench, services: Services, tenants: Sequence[str], count: int) -> tuple[float, float]:
    """Messages per second, and the CPU that the routers spent on each message in microseconds."""
    before = _cpu(services)
    rate = await drained(bench, services, ROUTERS, tenants, count)
    return rate, (_cpu(services) - before) * 1e6 / (len(tenants) * count)


def _cpu(services: Services) -> float:
    times = [psutil.Process(services.process(name).pid).cpu_times() for name in ROUTERS]
    return float(sum(t.user + t.system for t in times))


def _result(four: list[float], one: list[float], cpu_four: float, cpu_one: float, count: int) -> Result:
    cores = os.cpu_count() or 1
    enough = f"{cores} cores" if cores >= CORES else f"{cores} cores, too few for a goal: it takes {CORES}"
    return in_turn(
        "engine_scale",
        "messages/s",
        four,
        one,
        goal=Goal(1.6) if cores >= CORES else None,
        higher_is_better=True,
        measured_on=f"{count:,} inbound messages for each of four pools, two in each of two router processes, from "
        f"their first moment to the COMMIT of the last message; no timeline; {enough}",
        baseline_is="as many messages for one pool, in one of the same processes while the other has none",
        details={"router cpu us/message four": cpu_four, "one": cpu_one},
    )


BENCHMARK = Benchmark("engine_scale", "four pools in two router processes against one", measure)
