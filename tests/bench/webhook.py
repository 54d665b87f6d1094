"""Webhooks accepted per second by the real ingest process, against a bare handler that only writes to Kafka."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import yaml

from deploy.local.demo_config import DEMO_TENANT, make_secrets
from deploy.local.ports import free_address
from deploy.local.services import Services
from tests import kit
from tests.bench import whatsapp
from tests.bench.report import Goal, Result, in_turn
from tests.bench.workbench import Bench, Benchmark

TENANT, CONNECTIONS, SECONDS = "bench", 32, 6
PATH = f"/webhooks/whatsapp/{TENANT}/{whatsapp.ACCOUNT}"
TOPIC, PARTITIONS = "bench.webhook", 24


async def measure(bench: Bench) -> list[Result]:
    """The router is stopped once it has published the configuration: only ingest works."""
    await bench.topic(TOPIC, PARTITIONS)
    async with bench.services("router") as services:
        secret = await configure(services, bench.folder)
        await services.stop("router")
        await services.start("ingest")
        address = services.address("ingest", "http")
        await knows(address, secret)
        bare = free_address()
        async with bench.server("bare_http", bare, {"topic": TOPIC}):
            return [await _in_turn(bench, address, bare, secret)]


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


async def _in_turn(bench: Bench, address: str, bare_address: str, secret: Path) -> Result:
    ours, bare = [], []
    for number in range(bench.runs):
        bare.append(await _post(bench, bare_address, secret))
        ours.append(await _post(bench, address, secret))
        bench.say(f"run {number + 1}: ours {ours[-1]['per_s']:,.0f}/s, bare {bare[-1]['per_s']:,.0f}/s")
    return in_turn(
        "webhook",
        "accepted/s",
        [o["per_s"] for o in ours],
        [b["per_s"] for b in bare],
        goal=Goal(0.6),
        higher_is_better=True,
        measured_on=f"signed WhatsApp text webhooks to the ingest process over {CONNECTIONS} open connections from "
        f"one client process, {SECONDS} s a run; 200 only after acks=all",
        baseline_is="aiohttp handler + aiokafka send_and_wait, acks=all; nothing verified, nothing parsed",
        details={
            "p50 ms ours": median(o["p50_ms"] for o in ours),
            "p99 ms ours": median(o["p99_ms"] for o in ours),
            "p50 ms bare": median(b["p50_ms"] for b in bare),
            "p99 ms bare": median(b["p99_ms"] for b in bare),
        },
    )


async def _post(bench: Bench, address: str, secret: Path) -> dict[str, Any]:
    task = {
        "address": address,
        "path": PATH,
        "secret_file": str(secret),
        "connections": CONNECTIONS,
        "seconds": bench.count(SECONDS, 1),
        "warm_seconds": bench.count(1, 0),
        "requests": 80_000 if not bench.quick else 20_000,
        "run": bench.unique("post"),
    }
    found = await bench.child("post", task)
    if set(found["statuses"]) != {"200"}:
        raise RuntimeError(f"webhooks were refused: {found['statuses']}")
    return found


BENCHMARK = Benchmark("webhook", "webhooks accepted by ingest against a bare handler", measure)
