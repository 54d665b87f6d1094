"""How long a command takes until it is durable: AddNote and AcceptOffer against one INSERT behind a bare grpc.aio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Any

import grpc
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.kafka import Producer

from deploy.local.demo_config import DEMO_TENANT
from deploy.local.ports import free_address
from deploy.local.services import Services
from tests import kit
from tests.bench.report import Goal, Result, in_turn, percentile
from tests.bench.workbench import Bench, Benchmark

TENANT, ACCEPTING, AGENT = "bench", "bench-accept", "cleo"
AGENTS = [f"a{number}" for number in range(180)]
#: Agents with room for all, ten each, asked for as long as it takes.
ROOMY = f"""
teams: [{{id: billing, offer_timeout_s: 3600}}]
agents: [{", ".join(f"{{id: {agent}, teams: [billing], capacity: 10}}" for agent in AGENTS)}]
accounts: [{{id: own-app, channel: app, team: billing}}]
channel_classes: [{{id: app, channels: [app], weight: 1}}]
"""
CALLERS = 16
TURN = 25  # calls of one, then as many of the other
Call = Callable[[], Awaitable[Any]]
Offer = tuple[str, str, str]  # conversation, offer, who is asked


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
        nobody = kit.Desk(channel, services.keys.mint("supervisor", TENANT, "sam", timedelta(hours=1)))
        ours: Call = lambda: desk.call("AddNote", note(conversation))  # noqa: E731
        bare: Call = lambda: nobody.call("AddNote", note(conversation))  # noqa: E731
        noted = await _in_turn(bench, ours, bare, many=True)
        offers = await _offered(bench, services, _asked(bench) * bench.runs)
        async with kit.desk(services, ACCEPTING) as other:
            accepted = await _in_turn(bench, lambda: _accept(other, offers), bare, many=False)
        return [_result("command", "AddNote", noted), _result("command_accept", "AcceptOffer", accepted)]


async def _accept(desk: kit.Desk, offers: list[Offer]) -> None:
    conversation, offer, agent = offers.pop()
    await desk.call(
        "AcceptOffer",
        api.AcceptOfferRequest(request_id=kit.new_id(), conversation_id=conversation, offer_id=offer, agent_id=agent),
    )


async def _offered(bench: Bench, services: Services, count: int) -> list[Offer]:
    """As many running offers, in a pool of their own."""
    await kit.apply_config(services, ACCEPTING, ROOMY)
    async with kit.desk(services, ACCEPTING) as desk, Producer(bench.stack.bootstrap, "bench") as producer:
        await asyncio.gather(*(desk.presence(agent) for agent in AGENTS))
        await asyncio.gather(*(kit.send(producer, kit.inbound(ACCEPTING, kit.new_id(), "hello")) for _ in range(count)))

        async def all_offered() -> list[Offer] | None:
            found, token = list[Offer](), ""
            while True:
                request = asks.ListConversationsRequest(filter="status = OFFERED", page_size=500, page_token=token)
                page = await desk.call("ListConversations", request)
                found += [(c.conversation_id, c.offer_id, c.offered_agent_id) for c in page.conversations]
                if not (token := page.next_page_token):
                    return found if len(found) == count else None

        return await kit.eventually(all_offered, what="every offer")


def _asked(bench: Bench) -> int:
    return bench.count(50, 5) + TURN * bench.count(20, 1)


async def _conversation(bench: Bench, desk: kit.Desk) -> str:
    async with Producer(bench.stack.bootstrap, "bench") as producer:
        event = await kit.send(producer, kit.inbound(TENANT, kit.new_id(), "hello"))

    async def there() -> Any:
        return await desk.get(event.conversation_id)

    await kit.eventually(there, what="the conversation")
    return event.conversation_id


def note(conversation: str) -> api.AddNoteRequest:
    """The cheapest command there is."""
    return api.AddNoteRequest(
        request_id=kit.new_id(), conversation_id=conversation, agent_id=AGENT, text="called back, will call again"
    )


@dataclass(slots=True)
class Found:
    """Latencies of each run, and acknowledgements a second where many called at once."""

    latencies: dict[str, list[list[float]]] = field(default_factory=lambda: {"ours": [], "bare": []})
    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "bare": []})


async def _in_turn(bench: Bench, ours: Call, bare: Call, *, many: bool) -> Found:
    found = Found()
    calls = {"bare": bare, "ours": ours}
    for number in range(bench.runs):
        for name, call in calls.items():
            await _one_by_one(call, bench.count(50, 5))
            found.latencies[name].append([])
        for _ in range(bench.count(20, 1)):  # the speed of a machine may change within seconds
            for name, call in calls.items():
                found.latencies[name][-1] += await _one_by_one(call, TURN)
        for name, call in calls.items() if many else ():
            found.rates[name].append(await _at_once(call, bench.count(800, 32)))
        p50 = {name: percentile(runs[-1], 0.5) * 1000 for name, runs in found.latencies.items()}
        bench.say(f"run {number + 1}: p50 ours {p50['ours']:.2f} ms, bare {p50['bare']:.2f} ms")
    return found


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


def _result(name: str, command: str, found: Found) -> Result:
    def of(who: str, share: float) -> list[float]:
        return [percentile(run, share) * 1000 for run in found.latencies[who]]

    rates = {f"acks/s of {CALLERS} callers {who}": median(runs) for who, runs in found.rates.items() if runs}
    return in_turn(
        name,
        "ms p50",
        of("ours", 0.5),
        of("bare", 0.5),
        goal=Goal(3.0),
        higher_is_better=False,
        measured_on=f"{command} at the router process that owns the pool, one caller, one call at a time, answered "
        "after COMMIT (token checked, fence, log, stored answer, outbox)",
        baseline_is="a bare grpc.aio server, one asyncpg INSERT and COMMIT per call, no checks; asked in the same way, "
        "with token and deadline",
        details={"p99 ms ours": median(of("ours", 0.99)), "p99 ms bare": median(of("bare", 0.99)), **rates},
    )


BENCHMARK = Benchmark("command", "time to the acknowledgement of a command", measure)
