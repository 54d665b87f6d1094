"""Webhooks accepted per second by the real ingest process, against a bare handler that only writes to Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import yaml

from deploy.local.demo_config import DEMO_TENANT, make_secrets
from deploy.local.ports import free_address
from deploy.local.services import Services
from tests import kit
from tests.bench import whatsapp
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TENANT, CONNECTIONS, SECONDS = "bench", 32, 3
PATH = f"/webhooks/whatsapp/{TENANT}/{whatsapp.ACCOUNT}"
TOPIC, PARTITIONS = "bench.webhook", 24


@dataclass(frozen=True, slots=True)
class Target:
    """A process that takes webhooks."""

    address: str
    pid: int

    def cpu_s(self) -> float:
        """What it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


async def measure(bench: Bench) -> list[Result]:
    """The router is stopped once it has published the configuration: only ingest works."""
    await bench.topic(TOPIC, PARTITIONS)
    async with bench.services("router") as services:
        secret = await configure(services, bench.folder)
        await services.stop("router")
        await services.start("ingest")
        ours = Target(services.address("ingest", "http"), services.process("ingest").pid)
        await knows(ours.address, secret)
        async with bare(bench, {}) as nothing, bare(bench, {"secret_file": str(secret)}) as same_work:
            return await _in_turn(bench, [ours, nothing, same_work], secret)


@asynccontextmanager
async def bare(bench: Bench, more: dict[str, str]) -> AsyncIterator[Target]:
    """The bare handler as a process of its own."""
    address = free_address()
    async with bench.server("bare_http", address, {"topic": TOPIC, **more}) as process:
        yield Target(address, process.pid)


async def configure(services: Services, folder: Path, text: str = "") -> Path:
    """Put the demo tenant's configuration in force for ours; the file of the WhatsApp account's secret."""
    text = text or DEMO_TENANT.read_text()
    document = yaml.safe_load(text)
    make_secrets(document, folder, TENANT)
    await kit.apply_config(services, TENANT, text)
    account = next(a for a in document["accounts"] if a["id"] == whatsapp.ACCOUNT)
    return folder / "secrets" / TENANT / str(account["secrets"]["app_secret"])


async def knows(address: str, secret: Path) -> None:
    """Wait until ingest has read the configuration."""
    connection = await whatsapp.Connection.open(address)
    whole = whatsapp.request(address, PATH, whatsapp.body("15550000000", kit.new_id()), whatsapp.key(secret))

    async def accepted() -> bool:
        return await connection.post(whole) == 200

    await kit.eventually(accepted, what="a webhook accepted")
    connection.close()


async def _in_turn(bench: Bench, targets: list[Target], secret: Path) -> list[Result]:
    runs: list[list[dict[str, Any]]] = []
    for number in range(bench.runs):
        runs.append([await _post(bench, target, secret) for target in targets])
        said = ", ".join(f"{found['per_s']:,.0f}/s" for found in runs[-1])
        bench.say(f"run {number + 1}: ours, bare, the same work bare: {said}")
    ours, nothing, same_work = ([run[i] for run in runs] for i in range(3))
    return [
        _result("webhook", ours, nothing, "nothing verified, nothing parsed"),
        _result(
            "webhook_same_work", ours, same_work, "with the work written straight on: verify, parse, event, headers"
        ),
    ]


def _result(name: str, ours: list[dict[str, Any]], bare: list[dict[str, Any]], what: str) -> Result:
    return in_turn(
        name,
        "accepted/s",
        [o["per_s"] for o in ours],
        [b["per_s"] for b in bare],
        goal=Goal(0.6),
        higher_is_better=True,
        measured_on=f"signed WhatsApp text webhooks to the ingest process over {CONNECTIONS} open connections from "
        f"one client process, {SECONDS} s a run; 200 only after acks=all",
        baseline_is=f"aiohttp handler + aiokafka send_and_wait, acks=all; {what}",
        details={
            f"{figure.replace('_', ' ')} {who}": median(run[figure] for run in runs)
            for figure in ("p50_ms", "p99_ms", "cpu_us")
            for who, runs in (("ours", ours), ("bare", bare))
        },
    )


async def _post(bench: Bench, target: Target, secret: Path) -> dict[str, Any]:
    task = {
        "address": target.address,
        "path": PATH,
        "secret_file": str(secret),
        "connections": CONNECTIONS,
        "seconds": bench.count(SECONDS, 1),
        "warm_seconds": bench.count(1, 0),
        "requests": bench.count(20_000, 100),
        "run": bench.unique("post"),
    }
    used = target.cpu_s()
    found = await bench.child("post", task)
    if set(found["statuses"]) != {"200"}:
        raise RuntimeError(f"webhooks were refused: {found['statuses']}")
    return {**found, "cpu_us": (target.cpu_s() - used) / found["posted"] * 1e6}


BENCHMARK = Benchmark("webhook", "webhooks accepted by ingest against a bare handler", measure)
