"""A live router is killed and started again: 1,000 conversations, offers, timers and queues are as they were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import postgres
from trunkline_common.kafka import Producer
from trunkline_router import wire, wire_api
from trunkline_router.events import ConversationWoken, Event, OfferTimedOut
from trunkline_router.pool import Status
from trunkline_router.state import Engine
from trunkline_router.wire_config import config_record

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.bench.open_pool import OpenPool, configuration

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

OPENED, AGENTS, TAIL = 1000, 100, 300
#: From the moment the pool is written until its offers end and its snoozed conversations wake.
AHEAD_S = 20.0
#: A timer fires at the end of the batch that is handled, and not before its instant.
LATE = timedelta(seconds=5)
TEAMS = ("team-4", "team-9", "team-19")  # busy ones: their work waits
#: Static membership: Kafka gives a process that was killed its partitions back at once.
MEMBER = {"TRUNKLINE_INSTANCE": "restarted", "TRUNKLINE_SESSION_TIMEOUT_MS": "6000"}


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything a caller can see of a pool."""

    conversations: list[api.Conversation]
    agents: list[api.Agent]
    queues: dict[str, list[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(stack: Stack) -> AsyncIterator[Services]:
    """A router whose place in the group survives it."""
    async with Services(stack, env=MEMBER) as running:
        await running.start("router")  # makes the tables
        await running.stop("router")
        yield running


async def test_after_a_kill_offers_timers_and_queues_are_as_they_were(
    services: Services, stack: Stack, producer: Producer
) -> None:
    """Snapshot and log give back the same pool, and what is due comes at its instant, neither sooner nor twice."""
    made = OpenPool(
        f"t-{kit.new_id()[:8]}", AGENTS, OPENED, datetime.now(UTC), offer_timeout_s=int(AHEAD_S), snooze_s=int(AHEAD_S)
    )
    async with (
        postgres.connect(stack.database_url, "router", size=1) as database,
        kit.desk(services, made.tenant) as desk,
    ):
        engine = await made.write(database, TAIL)
        # As ApplyConfig does: who reads the log waits for the configuration that its events name.
        await producer.send(config_record(configuration(engine.pool), ""), timeout=15)
        await services.start("router")
        before = await look(desk)
        assert before == told_by(engine)
        asked = await live(desk, before)
        before = await look(desk)
        await services.kill("router")
        await services.start("router")
        assert await look(desk) == before
        await desk.until_done(*asked)
        assert await look(desk) == before, "a command that was answered before has another effect"
        await all_due(database, before, made.tenant)


async def look(desk: kit.Desk) -> Seen:
    """All pages of all lists."""
    conversations = await pages(desk, "ListConversations", asks.ListConversationsRequest(order_by="conversation_id"))
    agents = await pages(desk, "ListAgents", api.ListAgentsRequest())
    queues = {team: await pages(desk, "ListQueue", api.ListQueueRequest(team=team)) for team in TEAMS}
    return Seen(conversations, agents, {team: [c.conversation_id for c in found] for team, found in queues.items()})


async def pages(desk: kit.Desk, method: str, request: Any) -> list[Any]:
    """Every item of a list."""
    found: list[Any] = []
    while True:
        request.page_size = 500
        page = await desk.until_done(method, request)
        found += page.agents if method == "ListAgents" else page.conversations
        if not (token := page.next_page_token):
            return found
        request.page_token = token


def told_by(engine: Engine) -> Seen:
    """The same of the pool that the rows were made from, which never left memory."""
    pool = engine.pool
    return Seen(
        [wire_api.view(engine, name) for name in sorted(pool.conversations)],
        [wire_api.to_api_agent(pool.agents[name]) for name in sorted(pool.agents)],
        {team: [place[-1] for place in engine.waiting.of(team)] for team in TEAMS},
    )


async def live(desk: kit.Desk, seen: Seen) -> tuple[str, Any]:
    """What only the log has when the process dies: an acceptance, a refusal, work put off; one of the commands."""
    first, second, third = [c for c in seen.conversations if c.offers][:3]
    await desk.accept(first, first.offered_agent_id)
    await desk.until_done(
        "DeclineOffer",
        api.DeclineOfferRequest(
            request_id=kit.new_id(),
            conversation_id=second.conversation_id,
            offer_id=second.offer_id,
            agent_id=second.offered_agent_id,
        ),
    )
    await desk.accept(third, third.offered_agent_id)
    until = Timestamp()
    until.FromDatetime(third.offers[0].expires_at.ToDatetime() + timedelta(seconds=1))
    snooze = asks.SnoozeConversationRequest(
        request_id=kit.new_id(),
        conversation_id=third.conversation_id,
        agent_id=third.offered_agent_id,
        until=until,
    )
    await desk.until_done("SnoozeConversation", snooze)
    return "SnoozeConversation", snooze


async def all_due(database: postgres.Pool, seen: Seen, tenant: str) -> None:
    """Each offer ends and each snoozed conversation wakes, once, at its instant."""
    offers = {o.offer_id: o.expires_at.ToDatetime(UTC) for c in seen.conversations for o in c.offers}
    wakes = {c.conversation_id: c.wakes_at.ToDatetime(UTC) for c in seen.conversations if c.HasField("wakes_at")}
    assert len(offers) > 20
    assert len(wakes) > 10

    async def fired() -> list[tuple[str, datetime]] | None:
        found = [due for event in await log_of(database, tenant) if (due := due_of(event, offers, wakes))]
        return found if len(found) >= len(offers) + len(wakes) else None

    found = await kit.eventually(fired, what="everything due")
    assert len(found) == len(offers) + len(wakes)
    assert [(name, at) for name, at in found if not (offers | wakes)[name] <= at <= (offers | wakes)[name] + LATE] == []


def due_of(event: Event, offers: dict[str, datetime], wakes: dict[str, datetime]) -> tuple[str, datetime] | None:
    """What of the awaited an event is, and when it was."""
    if isinstance(event.payload, OfferTimedOut) and event.payload.offer_id in offers:
        return event.payload.offer_id, event.occurred_at
    if isinstance(event.payload, ConversationWoken) and event.conversation_id in wakes:
        return event.conversation_id, event.occurred_at
    return None


async def log_of(database: postgres.Pool, tenant: str) -> list[Event]:
    """The pool's log."""
    rows = await database.fetch("select event from pool_log where pool = $1 order by pool_seq", f"{tenant}/default")
    return [wire.from_pool_event(row["event"]) for row in rows]


async def test_the_pool_that_is_written_holds_what_it_promises() -> None:
    """The rows are of a pool with offers, snoozed and waiting work, and no queue of one."""
    made = OpenPool("t", AGENTS, OPENED, datetime.now(UTC))
    engine = made.floor()
    assert len(list(made.shift(engine, TAIL))) >= TAIL
    found = [c.status for c in engine.pool.conversations.values()]
    assert {Status.QUEUED, Status.OFFERED, Status.SNOOZED, Status.ASSIGNED, Status.RESOLVED} == set(found)
    assert min(len(engine.waiting.of(team)) for team in TEAMS) > 10
