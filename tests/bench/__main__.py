"""python -m tests.bench [--only NAME] [--list] [--quick]: every benchmark, or one; files in build/bench, then a table.

Exit 0 also where a goal is missed (the table says so), 1 where a benchmark broke, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from deploy.local.stack import Stack
from tests.bench import (
    beside_simulation,
    calendar_speed,
    command,
    consumer,
    engine_log,
    engine_memory,
    engine_restart,
    engine_scale,
    faust_table,
    machine,
    matching,
    memory,
    report,
    sla_armed,
    sla_herd,
    sla_projector,
    sla_steady,
    webhook,
    webhook_to_offer,
)
from tests.bench.workbench import Bench, Benchmark

ALL: tuple[Benchmark, ...] = (
    consumer.BENCHMARK,
    faust_table.BENCHMARK,
    webhook.BENCHMARK,
    memory.BENCHMARK,
    engine_memory.BENCHMARK,
    matching.BENCHMARK,
    engine_log.BENCHMARK,
    engine_scale.BENCHMARK,
    engine_restart.BENCHMARK,
    calendar_speed.BENCHMARK,
    sla_projector.BENCHMARK,
    sla_armed.BENCHMARK,
    sla_herd.BENCHMARK,
    sla_steady.BENCHMARK,
    command.BENCHMARK,
    beside_simulation.BENCHMARK,
    webhook_to_offer.BENCHMARK,
)
INTERRUPTED = 130


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=[b.name for b in ALL], help="run one benchmark")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--quick", action="store_true", help="tiny counts: shows that it works, measures nothing")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{b.name.ljust(18)}{b.about}" for b in ALL))
        return 0
    chosen = [b for b in ALL if args.only in (None, b.name)]
    try:
        return uvloop.run(_interruptible(chosen, quick=args.quick))
    except asyncio.CancelledError:
        print("bench: interrupted; everything it started is stopped", file=sys.stderr)
        return INTERRUPTED


async def _interruptible(chosen: list[Benchmark], *, quick: bool) -> int:
    """SIGINT and SIGTERM leave every block in order, which stops what it started."""
    task = asyncio.ensure_future(_run(chosen, quick=quick))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


async def _run(chosen: list[Benchmark], *, quick: bool) -> int:
    found, results, broken = machine.facts(), [], []
    print(f"bench: {machine.describe(found)}", flush=True)
    for benchmark in chosen:
        print(f"bench: {benchmark.name}: {benchmark.about}", flush=True)
        began = time.monotonic()
        try:
            measured = await _measure(benchmark, quick=quick)
        except Exception:  # noqa: BLE001 - a benchmark that breaks does not take the others with it; exit 1 in the end
            traceback.print_exc()
            broken.append(benchmark.name)
            continue
        _keep(measured, found, quick=quick)
        results += measured
        print(f"  took {time.monotonic() - began:.0f} s", flush=True)
    _conclude(results, broken, quick=quick)
    return 1 if broken else 0


async def _measure(benchmark: Benchmark, *, quick: bool) -> list[report.Result]:
    async with AsyncExitStack() as blocks:
        folder = Path(blocks.enter_context(tempfile.TemporaryDirectory(prefix="trunkline-bench-")))
        stack = await blocks.enter_async_context(Stack(folder)) if benchmark.needs_stack else None
        return await benchmark.measure(Bench(folder, stack, quick=quick, say=_say))


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def _keep(results: list[report.Result], found: dict[str, Any], *, quick: bool) -> None:
    for result in results:
        report.save(result, found, report.FOLDER / "quick" if quick else report.FOLDER)


def _conclude(results: list[report.Result], broken: list[str], *, quick: bool) -> None:
    print("\n" + report.table(results))
    if quick:
        print("\nquick: these figures mean nothing")
    if missed := report.shortfalls(results):
        print(f"\nfalls short of its goal: {', '.join(missed)}")
    if broken:
        print(f"\nbroke, see above: {', '.join(broken)}")


if __name__ == "__main__":
    sys.exit(main())
