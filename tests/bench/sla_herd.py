"""The herd of the opening hour: 100,000 deadlines in the same second, until each breach is committed and published."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psutil
from trunkline_common.postgres import Pool, transaction
from trunkline_sla.evaluation_model import Metric

from tests.bench import sla_load
from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.sla_clones import ALL_DAY, LATENESS_S, Clones, Said, committed, prepared, said
from tests.bench.workbench import Bench, Benchmark

CLOCKS, GOAL, PER_TRANSACTION = 100_000, 15_000, 2000
READY_S = 30  # to fill the tables and start the service
#: The same rows written by PostgreSQL alone, in its own session: no engine, no driver, no wire.
COPIES = (
    "create table bare_breach (like breach including all)",
    "create table bare_outbox (like outbox including all)",
    "create table bare_clock (like clock including all)",
    "insert into bare_clock select * from clock where next_at is not null "
    "and conversation_id not in (select conversation_id from history)",
)
IDS = "select clock_id from bare_clock order by part, clock_id"
BARE = (
    "update bare_clock set next_at = null, breached_at = due_at, doc = doc || '{\"repeats\": 0}' "
    "where clock_id = any($1)",
    "insert into bare_breach select clock_id, 0, tenant, conversation_id, metric, cycle, team, channel, policy_id, "
    "due_at, now(), 0 from bare_clock where clock_id = any($1)",
    "insert into bare_outbox (grp, part, topic, key, value, headers) select 'sla', part, 'trunkline.sla.v1', "
    "conversation_id::bytea, substr(doc::text, 1, 250)::bytea, substr(doc::text || doc::text, 1, 350) "
    "from bare_clock where clock_id = any($1)",
)


async def measure(bench: Bench) -> list[Result]:
    """One herd; then PostgreSQL alone writes as much."""
    count = bench.count(CLOCKS, 2400)
    promised = sla_load.promises({"first_response": 3600}, ALL_DAY, no_warnings=True)
    async with prepared(bench, promised, Metric.FIRST_RESPONSE) as clones:
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=bench.count(READY_S, 15))
        await clones.due(count, at)
        for statement in COPIES:
            await clones.database.execute(statement)
        await clones.start_before(at)
        seconds, cpu = await _drained(clones, at, count)
        bench.say(f"{count:,} breaches committed in {seconds:.1f} s")
        told = await said(bench, clones.database, at, at, count)
        await clones.services.stop("sla")
        bare = await _bare(clones.database)
    return [_result(count, seconds, bare, cpu, told)]


async def _drained(clones: Clones, at: datetime, count: int) -> tuple[float, float]:
    """Seconds from the first moment a timer may fire to the COMMIT of the last breach, and of the processor."""
    process = psutil.Process(clones.services.process("sla").pid)
    before = sum(process.cpu_times()[:2])
    seconds = await committed(clones.database, at, at, count) - at.timestamp() - LATENESS_S
    return seconds, sum(process.cpu_times()[:2]) - before


async def _bare(database: Pool) -> float:
    ids = [row[0] for row in await database.fetch(IDS)]
    began = time.perf_counter()
    for start in range(0, len(ids), PER_TRANSACTION):
        async with transaction(database) as tx:
            for statement in BARE:
                await tx.execute(statement, ids[start : start + PER_TRANSACTION])
    return time.perf_counter() - began


def _result(count: int, seconds: float, bare: float, cpu: float, told: Said) -> Result:
    return in_turn(
        "sla_herd",
        "clocks/s",
        [count / seconds],
        [count / bare],
        goal=Goal(GOAL, on="value"),
        higher_is_better=True,
        measured_on=f"{count:,} clocks of {sla_load.PARTITIONS} partitions due in the same second, one process, from "
        f"the first moment they may fire ({LATENESS_S:g} s after it) to the COMMIT of the last breach; the outbox is "
        "relayed meanwhile",
        baseline_is=f"PostgreSQL alone: the three statements on as many rows, {PER_TRANSACTION:,} a transaction",
        details={
            "drained s": seconds,
            "fired late p50 s": percentile(told.fired, 0.5),
            "fired late p99 s": percentile(told.fired, 0.99),
            "published late p50 s": percentile(told.sent, 0.5),
            "published late p99 s": percentile(told.sent, 0.99),
            "published clocks/s": count / (max(told.sent) - LATENESS_S),
            "records sent again": told.again,
            "cpu us a clock until committed": cpu / count * 1e6,
        },
    )


BENCHMARK = Benchmark("sla_herd", "100,000 deadlines in one second", measure)
