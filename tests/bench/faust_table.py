"""The same records through a Faust agent with a RocksDB table, and through our consumer."""

from __future__ import annotations

from typing import Any

from tests.bench.consumer import PARTITIONS, TOPIC, drain, prepare
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

SECONDS, START_S = 5.0, 40.0


async def measure(bench: Bench) -> list[Result]:
    """Either reads from the beginning of the same topic; Faust is stopped after its time."""
    count = await prepare(bench, bench.count(50_000, 1000))
    ours, faust = [], []
    for number in range(bench.runs):
        faust.append((await _agent(bench, count))["per_s"])
        ours.append((await drain(bench, "ours", count))["per_s"])
        bench.say(f"run {number + 1}: ours {ours[-1]:,.0f}/s, faust {faust[-1]:,.0f}/s")
    return [
        in_turn(
            "faust",
            "events/s",
            ours,
            faust,
            goal=Goal(5.0),
            higher_is_better=True,
            measured_on=f"{count:,} protobuf messages of 250 bytes in {PARTITIONS} partitions, one process; ours as in "
            "consumer, until COMMIT in PostgreSQL with a message per event in the outbox",
            baseline_is=f"Faust 0.15.3 agent, RocksDB table, at least once, {SECONDS:g} s at most; it writes the table "
            "and its changelog and publishes nothing",
        )
    ]


async def _agent(bench: Bench, count: int) -> dict[str, Any]:
    group = bench.unique("faust").replace("_", "-")
    task = {
        "topic": TOPIC,
        "group": group,
        "partitions": PARTITIONS,
        "folder": str(bench.folder / group),
        "total": count,
        "seconds": bench.count(int(SECONDS), 3),
    }
    return await bench.child("faust_agent", task, SECONDS + START_S)


BENCHMARK = Benchmark("faust", "our consumer against a Faust agent with a RocksDB table", measure)
