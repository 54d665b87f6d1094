"""Kafka -> parse -> fence + bulk upsert + outbox -> COMMIT: our consumer against the same thing written bare."""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.bench import records
from tests.bench.children.work import OUT
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TOPIC, PARTITIONS = "bench.consumer", 4
CONVERSATIONS = 5000


async def measure(bench: Bench) -> list[Result]:
    """Drain the same backlog with either, in turn."""
    count = await prepare(bench, bench.count(60_000, 2000))
    ours, bare = [], []
    for number in range(bench.runs):
        bare.append(await drain(bench, "bare", count))
        ours.append(await drain(bench, "ours", count))
        bench.say(f"run {number + 1}: ours {ours[-1]['per_s']:,.0f}/s, bare {bare[-1]['per_s']:,.0f}/s")
    return [_result(ours, bare, count)]


async def prepare(bench: Bench, count: int) -> int:
    """The backlog and the topic that the outbox goes to."""
    await bench.topic(OUT, PARTITIONS)
    topic = await bench.topic(TOPIC, PARTITIONS)
    found = records.messages(count, CONVERSATIONS)
    return await records.fill(bench.stack.bootstrap, records.by_conversation(topic, found))


async def drain(bench: Bench, module: str, count: int, topic: str = TOPIC) -> dict[str, Any]:
    """One process reads `count` records from the beginning, into tables of its own."""
    async with bench.schema(module) as schema:
        task = {"topic": topic, "group": schema, "schema": schema, "total": count, "publish": True}
        return await bench.child(module, task)


def _result(ours: list[dict[str, Any]], bare: list[dict[str, Any]], count: int) -> Result:
    def of(runs: list[dict[str, Any]], name: str) -> float:
        return median(float(run[name]) for run in runs)

    return in_turn(
        "consumer",
        "events/s",
        [o["per_s"] for o in ours],
        [b["per_s"] for b in bare],
        goal=Goal(0.8),
        higher_is_better=True,
        measured_on=f"{count:,} protobuf messages of 250 bytes in {PARTITIONS} partitions, {CONVERSATIONS:,} "
        "conversations, one process, from the first batch in hand to the last COMMIT; the outbox is relayed meanwhile",
        baseline_is="aiokafka getmany + asyncpg, one transaction per poll, the same parse, upsert, outbox and relay",
        details={
            "until published events/s ours": of(ours, "published_per_s"),
            "bare": of(bare, "published_per_s"),
            "cpu us/event ours": of(ours, "cpu_us"),
            "cpu us/event bare": of(bare, "cpu_us"),
        },
    )


BENCHMARK = Benchmark("consumer", "our consumer loop against getmany + asyncpg", measure)
