"""A process that starts with a million clocks running: how long until it serves, and what it holds in memory."""

from __future__ import annotations

import time
from datetime import timedelta

import psutil
from trunkline_sla.evaluation_model import Metric

from deploy.local.services import Services
from tests.bench import sla_load
from tests.bench.memory import resident_mb
from tests.bench.report import Goal, Result, in_turn
from tests.bench.sla_clones import Clones, prepared
from tests.bench.workbench import Bench, Benchmark

CLOCKS, GOAL_S = 1_000_000, 20.0
METRICS = (Metric.FIRST_RESPONSE, Metric.RESOLUTION)
#: The same process on tables without clocks: nothing is copied or deleted.
ASIDE = """
alter table clock rename to full_clock; alter table conversation rename to full_conversation;
create table clock (like full_clock); create table conversation (like full_conversation);
"""
BACK = """
drop table clock; drop table conversation;
alter table full_clock rename to clock; alter table full_conversation rename to conversation;
"""
ARMED = "select count(*) from clock where next_at is not null"


async def measure(bench: Bench) -> list[Result]:
    """Started without the clocks in the tables, then with them."""
    promised = sla_load.promises(sla_load.TARGETS, [["08:00", "12:00"], ["13:00", "18:00"]])
    async with prepared(bench, promised, *METRICS) as clones:
        count = await _fill(bench, clones)
        await clones.database.execute(ASIDE)
        empty = await _start(clones.services)
        floor = await _stop(clones.services)
        await clones.database.execute(BACK)
        full = await _start(clones.services)
        cpu = sum(psutil.Process(clones.services.process("sla").pid).cpu_times()[:2])
        size = await _stop(clones.services)
    bench.say(f"ready after {full:.1f} s and {size:.0f} MB, without clocks {empty:.1f} s and {floor:.0f} MB")
    return [_time(full, empty, cpu, count), _memory(size, floor, count)]


async def _fill(bench: Bench, clones: Clones) -> int:
    """Due over the next hours, so that none is during the measurement."""
    conversations, hours = bench.count(CLOCKS, 4800) // len(METRICS), 10
    async with clones.unindexed():
        for hour in range(hours):
            await clones.add(conversations // hours, timedelta(hours=hour))
    await clones.database.execute("analyze clock")
    count = int(await clones.database.fetchval(ARMED))
    bench.say(f"{count:,} clocks are in the tables")
    return count


async def _start(services: Services) -> float:
    """Seconds from the start of the process until it serves: every partition is claimed and armed."""
    began = time.perf_counter()
    await services.start("sla")
    return time.perf_counter() - began


async def _stop(services: Services) -> float:
    size = resident_mb(services, "sla")
    await services.stop("sla")
    return size


def _time(full: float, empty: float, cpu: float, count: int) -> Result:
    return in_turn(
        "sla_armed",
        "s",
        [full],
        [empty],
        goal=Goal(GOAL_S, on="value"),
        higher_is_better=False,
        measured_on=f"one process from its start until it serves, with {count:,} clocks running in "
        f"{sla_load.PARTITIONS} partitions of which none is due",
        baseline_is="the same process without clocks",
        details={"cpu s until then": cpu},
    )


def _memory(size: float, floor: float, count: int) -> Result:
    return in_turn(
        "sla_armed_memory",
        "MB",
        [size],
        [floor],
        goal=None,
        higher_is_better=False,
        measured_on=f"resident size of that process when it serves, with {count:,} clocks armed",
        baseline_is="the same process without clocks",
        details={"bytes a clock": (size - floor) * 2**20 / count},
    )


BENCHMARK = Benchmark("sla_armed", "start of the SLA service with a million clocks running", measure)
