"""How long a command takes until it is durable: the router's AddNote against one INSERT behind a bare grpc.aio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import grpc
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.router_service_pb2_grpc import RouterServiceStub
from trunkline_common.kafka import Producer

from deploy.local.demo_config import DEMO_TENANT
from deploy.local.ports import free_address
from tests import kit
from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.workbench import Bench, Benchmark

TENANT, AGENT = "bench", "cleo"
CALLERS = 16
Call = Callable[[], Awaitable[Any]]


async def measure(bench: Bench) -> list[Result]:
    """One caller, one call at a time; and many callers, where group commit shows."""
    bare_address = free_address()
    async with (
        bench.services("router") as services,
        bench.server("bare_grpc", bare_address, {}),
        kit.desk(services, TENANT) as desk,
        grpc.aio.insecure_channel(bare_address) as channel,
    ):
        await kit.apply_config(services, TENANT, DEMO_TENANT.read_text())
        conversation = await _conversation(bench, desk)
        stub: Any = RouterServiceStub(channel)
        ours: Call = lambda: desk.call("AddNote", _note(conversation))  # noqa: E731
        bare: Call = lambda: stub.AddNote(_note(conversation))  # noqa: E731
        return [await _in_turn(bench, ours, bare)]


async def _conversation(bench: Bench, desk: kit.Desk) -> str:
    async with Producer(bench.stack.bootstrap, "bench") as producer:
        event = await kit.send(producer, kit.inbound(TENANT, kit.new_id(), "hello"))

    async def there() -> Any:
        return await desk.get(event.conversation_id)

    await kit.eventually(there, what="the conversation")
    return event.conversation_id


def _note(conversation: str) -> api.AddNoteRequest:
    return api.AddNoteRequest(
        request_id=kit.new_id(), conversation_id=conversation, agent_id=AGENT, text="called back, will call again"
    )


async def _in_turn(bench: Bench, ours: Call, bare: Call) -> Result:
    found: dict[str, list[list[float]]] = {"ours": [], "bare": []}
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(bench.runs):
        for name, call in (("bare", bare), ("ours", ours)):
            await _one_by_one(call, bench.count(50, 5))
            found[name].append(await _one_by_one(call, bench.count(500, 20)))
            rates[name].append(await _at_once(call, bench.count(1600, 32)))
        p50 = {name: percentile(runs[-1], 0.5) * 1000 for name, runs in found.items()}
        bench.say(f"run {number + 1}: p50 ours {p50['ours']:.2f} ms, bare {p50['bare']:.2f} ms")
    return _result(found, rates)


async def _one_by_one(call: Call, count: int) -> list[float]:
    latencies = []
    for _ in range(count):
        began = time.perf_counter()
        await call()
        latencies.append(time.perf_counter() - began)
    return latencies


async def _at_once(call: Call, count: int) -> float:
    """Acknowledgements per second of many callers."""
    began = time.perf_counter()
    await asyncio.gather(*(_one_by_one(call, count // CALLERS) for _ in range(CALLERS)))
    return count / (time.perf_counter() - began)


def _result(found: dict[str, list[list[float]]], rates: dict[str, list[float]]) -> Result:
    def of(name: str, share: float) -> list[float]:
        return [percentile(run, share) * 1000 for run in found[name]]

    return in_turn(
        "command",
        "ms p50",
        of("ours", 0.5),
        of("bare", 0.5),
        goal=Goal(3.0),
        higher_is_better=False,
        measured_on="AddNote at the router process that owns the pool, one caller, one call at a time, answered after "
        "COMMIT (token checked, fence, log, stored answer, outbox)",
        baseline_is="a bare grpc.aio server, one asyncpg INSERT and COMMIT per call, no checks",
        details={
            "p99 ms ours": median(of("ours", 0.99)),
            "p99 ms bare": median(of("bare", 0.99)),
            f"acks/s of {CALLERS} callers ours": median(rates["ours"]),
            "bare": median(rates["bare"]),
        },
    )


BENCHMARK = Benchmark("command", "time to the acknowledgement of a command", measure)
