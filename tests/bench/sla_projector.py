"""The conversations log -> clocks on a business calendar, history, events: the projector against the bare loop."""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.bench import consumer, records, sla_load
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark
from tests.sla.talk import LOG


async def measure(bench: Bench) -> list[Result]:
    """Drain as many records with either, in turn."""
    talks = bench.count(2000, 100)
    count = await consumer.prepare(bench, talks * sla_load.PER_TALK)
    await _fill(bench, talks)
    ours, bare = [], []
    for number in range(bench.runs):
        bare.append(await consumer.drain(bench, "bare", count))
        ours.append(await _drain(bench, count))
        bench.say(f"run {number + 1}: ours {ours[-1]['per_s']:,.0f}/s, bare {bare[-1]['per_s']:,.0f}/s")
    return [_result(ours, bare, count)]


async def _fill(bench: Bench, talks: int) -> None:
    """A record that is never read in each partition, then the log."""
    first = [talk.records()[0] for talk in sla_load.one_in_each(sla_load.PARTITIONS)]
    config = sla_load.promises(sla_load.TARGETS, [["08:00", "12:00"], ["13:00", "18:00"]])
    await records.fill(bench.stack.bootstrap, [config, *first])
    await records.fill(bench.stack.bootstrap, sla_load.log(talks))


async def _drain(bench: Bench, count: int) -> dict[str, Any]:
    async with bench.schema("sla", "trunkline_sla") as schema:
        task = {"topic": LOG, "group": schema, "schema": schema, "total": count, "partitions": sla_load.PARTITIONS}
        return await bench.child("sla", task)


def _result(ours: list[dict[str, Any]], bare: list[dict[str, Any]], count: int) -> Result:
    def of(runs: list[dict[str, Any]], name: str) -> float:
        return median(float(run[name]) for run in runs)

    return in_turn(
        "sla_projector",
        "events/s",
        [o["per_s"] for o in ours],
        [b["per_s"] for b in bare],
        goal=Goal(0.5),
        higher_is_better=True,
        measured_on=f"{count:,} events of {count // sla_load.PER_TALK:,} conversations side by side in "
        f"{sla_load.PARTITIONS} partitions (begun, three messages, three replies, put off, taken up, resolved), three "
        "metrics with two warnings on business hours, one process, from the first batch in hand to the last COMMIT; "
        "the outbox is relayed meanwhile",
        baseline_is="the bare consumer of `consumer` on as many records of its own (an upsert and a message for each)",
        details={
            "until published events/s ours": of(ours, "published_per_s"),
            "bare": of(bare, "published_per_s"),
            "cpu us/event ours": of(ours, "cpu_us"),
            "cpu us/event bare": of(bare, "cpu_us"),
        },
    )


BENCHMARK = Benchmark("sla_projector", "the SLA projector against getmany + asyncpg", measure)
