"""From a signed webhook to the offer on the agent's stream, through ingest, Kafka, router and PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import yaml
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_ingest.ids import conversation_id

from deploy.local.demo_config import DEMO_TENANT
from deploy.local.services import Services
from tests import kit
from tests.bench import whatsapp
from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.webhook import PATH, TENANT, configure, knows
from tests.bench.workbench import Bench, Benchmark

AGENTS = ("ana", "ben", "dan")
PER_SECOND, SECONDS = 10, 12
LATE_S = 10.0
TARGET_MS = 100.0


class Watch:
    """When each conversation's offer was first seen on any agent's stream."""

    def __init__(self) -> None:
        self._seen: dict[str, asyncio.Future[float]] = {}

    def expect(self, conversation: str) -> asyncio.Future[float]:
        """The moment, once it comes."""
        return self._seen.setdefault(conversation, asyncio.get_running_loop().create_future())

    async def follow(self, stream: Any) -> None:
        """Read a stream until it is cancelled."""
        with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            while (change := await stream.read()) is not grpc.aio.EOF:
                conversation = change.conversation
                if conversation.offered_agent_id and not self.expect(conversation.conversation_id).done():
                    self.expect(conversation.conversation_id).set_result(time.perf_counter())


async def measure(bench: Bench) -> list[Result]:
    """About ten a second, each a new customer; the agents have room for all of them."""
    async with bench.services("ingest", "router", "timeline") as services:
        secret = await configure(services, bench.folder, _roomy())
        address = services.address("ingest", "http")
        await knows(address, secret)
        async with _watching(services) as watch:
            offers, posts = [], []
            for number in range(bench.runs):
                seen, answered = await _load(bench, watch, address, secret, number)
                offers.append(seen)
                posts.append(answered)
                bench.say(f"run {number + 1}: p50 {_ms(seen, 0.5):.1f} ms, p99 {_ms(seen, 0.99):.1f} ms")
    return [_result(offers, posts)]


def _roomy() -> str:
    """The demo tenant with agents who can hold everything, and offers that outlast the measurement."""
    document = yaml.safe_load(DEMO_TENANT.read_text())
    for team in document["teams"]:
        team["offer_timeout_s"] = 3600
    for agent in document["agents"]:
        agent["capacity"] = 1000
    return yaml.safe_dump(document)


@asynccontextmanager
async def _watching(services: Services) -> AsyncIterator[Watch]:
    watch = Watch()
    async with AsyncExitStack() as blocks:
        supervisor = await blocks.enter_async_context(kit.desk(services, TENANT))
        tasks = []
        for agent in AGENTS:
            desk = await blocks.enter_async_context(kit.desk(services, TENANT, "agent", agent))
            stream = desk.stub.WatchAgent(api.WatchAgentRequest(agent_id=agent), metadata=desk._metadata)
            await stream.read()  # the snapshot: from here on nothing is missed
            tasks.append(asyncio.create_task(watch.follow(stream)))
            await supervisor.presence(agent)
        try:
            yield watch
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks)


async def _load(bench: Bench, watch: Watch, address: str, secret: Path, run: int) -> tuple[list[float], list[float]]:
    """Seconds to the offer, and to the webhook's own answer, of each request."""
    connection = await whatsapp.Connection.open(address)
    key, count = whatsapp.key(secret), bench.count(PER_SECOND * SECONDS, 10)
    offers, posts = [], []
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.perf_counter()))
        sender = f"1555{run}{number:06}"
        whole = whatsapp.request(address, PATH, whatsapp.body(sender, kit.new_id()), key)
        offer = watch.expect(conversation_id(TENANT, "whatsapp", whatsapp.ACCOUNT, sender))
        sent = time.perf_counter()
        if await connection.post(whole) != 200:
            raise RuntimeError("a webhook was refused")
        posts.append(time.perf_counter() - sent)
        async with asyncio.timeout(LATE_S):
            offers.append(await offer - sent)
    connection.close()
    return offers, posts


def _ms(seconds: list[float], share: float) -> float:
    return percentile(seconds, share) * 1000


def _result(offers: list[list[float]], posts: list[list[float]]) -> Result:
    return in_turn(
        "webhook_to_offer",
        "ms p99",
        [_ms(run, 0.99) for run in offers],
        [_ms(run, 0.99) for run in posts],
        goal=Goal(TARGET_MS, on="value"),
        higher_is_better=False,
        measured_on=f"{PER_SECOND} signed webhooks a second for {SECONDS} s a run, each a new customer, to the offer "
        "on the agent's WatchAgent stream; ingest, router, timeline, Kafka and PostgreSQL on one machine",
        baseline_is="the answer to the same webhooks (acks=all)",
        details={
            "p50 ms": median(_ms(run, 0.5) for run in offers),
            "p50 ms of the answer": median(_ms(run, 0.5) for run in posts),
            "worst ms": max(max(run) for run in offers) * 1000,
        },
    )


BENCHMARK = Benchmark("webhook_to_offer", "from a signed webhook to the offer on the agent's stream", measure)
