"""What each idle service holds in memory, and whether a consumer's memory grows with its backlog."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import Any

import psutil

from deploy.local.services import KINDS, Services
from tests.bench import records
from tests.bench.children.work import OUT
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TOPIC, PARTITIONS, CONVERSATIONS = "bench.backlog", 4, 1000
SETTLE_S = 3.0
LIMIT_MB, GROWTH = 120.0, 1.2


async def measure(bench: Bench) -> list[Result]:
    """Idle services first, while nothing is in the topics."""
    return [*await _idle(bench), await _backlog(bench)]


async def _idle(bench: Bench) -> list[Result]:
    floors = [(await bench.child("idle", {}))["resident_mb"] for _ in range(bench.runs)]
    sizes: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with bench.services(*KINDS) as services:
        for _ in range(bench.runs):
            await asyncio.sleep(SETTLE_S / bench.runs)
            for kind in KINDS:
                sizes[kind].append(resident_mb(services, kind))
    bench.say(", ".join(f"{kind} {median(found):.0f} MB" for kind, found in sizes.items()))
    return [_of_service(kind, found, floors) for kind, found in sizes.items()]


def resident_mb(services: Services, kind: str) -> float:
    """A process with its children."""
    whole = psutil.Process(services.process(kind).pid)
    return sum(float(p.memory_info().rss) for p in (whole, *whole.children(recursive=True))) / 2**20


def _of_service(kind: str, sizes: list[float], floors: list[float]) -> Result:
    return in_turn(
        f"memory_{kind}",
        "MB",
        sizes,
        floors,
        goal=Goal(LIMIT_MB, on="value"),
        higher_is_better=False,
        measured_on=f"resident size of the {kind} process, ready and idle, up to {SETTLE_S:g} s after the start",
        baseline_is="a Python process that has imported grpc, asyncpg and aiokafka",
    )


async def _backlog(bench: Bench) -> Result:
    total = bench.count(500_000, 5000)
    early = total // 10
    await bench.topic(OUT, PARTITIONS)
    topic = await bench.topic(TOPIC, PARTITIONS)
    events = records.messages(total, CONVERSATIONS, text="hello")
    await records.fill(bench.stack.bootstrap, records.by_conversation(topic, events))
    found = await _drain(bench, topic, [early, total])
    at_early, at_end = (found["resident_mb"][str(mark)] for mark in (early, total))
    bench.say(f"{at_early:.0f} MB after {early:,}, {at_end:.0f} MB after {total:,}")
    return in_turn(
        "memory_backlog",
        "MB",
        [at_end],
        [at_early],
        goal=Goal(GROWTH),
        higher_is_better=False,
        measured_on=f"resident size of one consumer process at the end of a backlog of {total:,} small records",
        baseline_is=f"the same process after the first {early:,}",
        details={"events/s": found["per_s"]},
    )


async def _drain(bench: Bench, topic: str, marks: list[int]) -> dict[str, Any]:
    async with bench.schema("backlog") as schema:
        task = {"topic": topic, "group": schema, "schema": schema, "total": marks[-1], "publish": False}
        return await bench.child("ours", {**task, "marks": marks})


BENCHMARK = Benchmark("memory", "resident size of idle services, and with a large backlog", measure)
