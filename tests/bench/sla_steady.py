"""Deadlines that pass at a steady rate: how long after each its breach is announced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trunkline_sla.evaluation_model import Metric

from tests.bench import sla_load
from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.sla_clones import ALL_DAY, LATENESS_S, Said, committed, prepared, said
from tests.bench.workbench import Bench, Benchmark

RATE, SECONDS, GOAL_S = 400, 12, 1.0
READY_S = 15  # to fill the tables and start the service


async def measure(bench: Bench) -> list[Result]:
    """So many more are due every second."""
    rate, seconds = bench.count(RATE, 48), bench.count(SECONDS, 3)
    promised = sla_load.promises({"first_response": 3600}, ALL_DAY, no_warnings=True)
    async with prepared(bench, promised, Metric.FIRST_RESPONSE) as clones:
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=READY_S)
        for second in range(seconds):
            await clones.due(rate, first + timedelta(seconds=second))
        await clones.start_before(first)
        last = first + timedelta(seconds=seconds - 1)
        await committed(clones.database, first, last, rate * seconds)
        told = await said(bench, clones.database, first, last, rate * seconds)
    return [_result(rate, seconds, told)]


def _result(rate: int, seconds: int, told: Said) -> Result:
    return in_turn(
        "sla_steady",
        "s",
        [percentile(told.fired, 0.99)],
        [LATENESS_S],
        goal=Goal(GOAL_S, on="value"),
        higher_is_better=False,
        measured_on=f"late_ms of the breaches at the 99th percentile, {rate} due every second for {seconds} s, all at "
        f"the full second, in {sla_load.PARTITIONS} partitions of one process",
        baseline_is="TRUNKLINE_SLA_LATENESS_MS: the time that a late reply is given",
        details={
            "late p50 s": percentile(told.fired, 0.5),
            "late at most s": max(told.fired),
            "published late p50 s": percentile(told.sent, 0.5),
            "published late p99 s": percentile(told.sent, 0.99),
        },
    )


BENCHMARK = Benchmark("sla_steady", "lateness of deadlines that pass at a steady rate", measure)
