"""Post signed webhooks over connections that stay open, as fast as they are answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import whatsapp
from tests.bench.children import task
from tests.bench.report import percentile


async def main(asked: task.Task) -> dict[str, Any]:
    """For `seconds`, after a warm-up of a second that does not count."""
    secret = whatsapp.key(Path(asked["secret_file"]))
    requests = _requests(asked, secret)
    connections = [await whatsapp.Connection.open(asked["address"]) for _ in range(asked["connections"])]
    warm, _, _ = await _all(connections, requests, asked["warm_seconds"])
    latencies, statuses, elapsed = await _all(connections, requests, asked["seconds"])
    return {
        "per_s": statuses[200] / elapsed,
        "p50_ms": percentile(latencies, 0.5) * 1000,
        "p99_ms": percentile(latencies, 0.99) * 1000,
        "posted": len(warm) + len(latencies),
        "statuses": {str(status): count for status, count in statuses.items()},
    }


def _requests(asked: task.Task, secret: bytes) -> Iterator[bytes]:
    """Made before the clock starts, round and round: ingest keeps no memory of ids, so a second time costs the same."""
    made = []
    for number in range(asked["requests"]):
        content = whatsapp.body(f"1555{number % 1000:07}", f"wamid.{asked['run']}.{number}")
        made.append(whatsapp.request(asked["address"], asked["path"], content, secret))
    return itertools.cycle(made)


async def _all(
    connections: list[whatsapp.Connection], requests: Iterator[bytes], seconds: float
) -> tuple[list[float], Counter[int], float]:
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    began = time.perf_counter()

    async def one(connection: whatsapp.Connection) -> None:
        while (sent := time.perf_counter()) - began < seconds:
            statuses[await connection.post(next(requests))] += 1
            latencies.append(time.perf_counter() - sent)

    async with asyncio.TaskGroup() as tasks:
        for connection in connections:
            tasks.create_task(one(connection))
    return latencies, statuses, time.perf_counter() - began


if __name__ == "__main__":
    task.run(main)
