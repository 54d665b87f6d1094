"""Kafka -> parse -> fence + bulk upsert + outbox -> COMMIT: our consumer against the same thing written bare."""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.bench import records
from tests.bench.children.work import OUT
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TOPIC, PARTITIONS = "bench.consumer", 4
BARE = (
    "aiokafka getmany + asyncpg, one transaction per poll, the same parse, upsert and outbox, relayed a poll at a time"
)
Found = dict[str, Any]
CONVERSATIONS = 5000


async def measure(bench: Bench) -> list[Result]:
    """Drain the same backlog with either, in turn: the loop by itself, then with all that it publishes."""
    count = await prepare(bench, bench.count(50_000, 2000))
    both: dict[bool, tuple[list[Found], list[Found]]] = {True: ([], []), False: ([], [])}
    for number in range(bench.runs):
        for hold, (ours, bare) in both.items():
            bare.append(await drain(bench, "bare", count, hold=hold))
            ours.append(await drain(bench, "ours", count, hold=hold))
            name = "per_s" if hold else "published_per_s"
            until = "until the last COMMIT" if hold else "until all is published"
            bench.say(f"run {number + 1}, {until}: ours {ours[-1][name]:,.0f}/s, bare {bare[-1][name]:,.0f}/s")
    return [_committed(*both[True], count), _published(*both[False], count)]


async def prepare(bench: Bench, count: int) -> int:
    """The backlog and the topic that the outbox goes to."""
    await bench.topic(OUT, PARTITIONS)
    topic = await bench.topic(TOPIC, PARTITIONS)
    found = records.messages(count, CONVERSATIONS)
    return await records.fill(bench.stack.bootstrap, records.by_conversation(topic, found))


async def drain(bench: Bench, module: str, count: int, topic: str = TOPIC, *, hold: bool = False) -> Found:
    """One process reads `count` records from the beginning, into tables of its own; `hold`: publishes afterwards."""
    async with bench.schema(module) as schema:
        task = {"topic": topic, "group": schema, "schema": schema, "total": count, "publish": True, "hold": hold}
        return await bench.child(module, task)


def _committed(ours: list[Found], bare: list[Found], count: int) -> Result:
    return in_turn(
        "consumer",
        "events/s",
        _all(ours, "per_s"),
        _all(bare, "per_s"),
        goal=Goal(0.8),
        higher_is_better=True,
        measured_on=f"{_measured_on(count)} to the last COMMIT; what is in the outbox is relayed afterwards",
        baseline_is=BARE,
    )


def _published(ours: list[Found], bare: list[Found], count: int) -> Result:
    return in_turn(
        "consumer_published",
        "events/s",
        _all(ours, "published_per_s"),
        _all(bare, "published_per_s"),
        goal=Goal(0.8),
        higher_is_better=True,
        measured_on=f"{_measured_on(count)} until the outbox is empty: all is acknowledged by Kafka",
        baseline_is=BARE,
        details={"cpu us/event ours": median(_all(ours, "cpu_us")), "bare": median(_all(bare, "cpu_us"))},
    )


def _measured_on(count: int) -> str:
    return (
        f"{count:,} protobuf messages of 250 bytes in {PARTITIONS} partitions, {CONVERSATIONS:,} conversations, "
        "one process, from the first batch in hand"
    )


def _all(runs: list[Found], name: str) -> list[float]:
    return [float(run[name]) for run in runs]


BENCHMARK = Benchmark("consumer", "our consumer loop against getmany + asyncpg", measure)
