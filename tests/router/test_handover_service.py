"""Two pools of a tenant in two router processes, on real Kafka and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
import pytest_asyncio
from trunkline.common.v1.common_pb2 import Contact
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.router.v1 import explain_service_pb2 as explaining
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.explain_service_pb2_grpc import ExplainServiceStub
from trunkline.timeline.v1 import timeline_service_pb2 as history
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common.kafka import Producer, partition_for
from trunkline_router import threads

from deploy.local.process import together
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.router.service import reason

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]
CONFIG = """
pools: [{id: near}, {id: far}]
teams: [{id: support, pool: near}, {id: deals, pool: far}]
agents: [{id: ana, name: Ana, teams: [support], capacity: 3}, {id: dan, name: Dan, teams: [deals], capacity: 3}]
accounts: [{id: own-app, channel: app, team: support}, {id: sales-app, channel: chat, team: deals}]
"""
WITHOUT_FAR = """
pools: [{id: near}]
teams: [{id: support, pool: near}]
agents: [{id: ana, name: Ana, teams: [support], capacity: 3}]
accounts: [{id: own-app, channel: app, team: support}, {id: sales-app, channel: chat, team: support}]
"""
OWNERS = "select part, owner from router.consumer_partition where grp = 'router' and owner <> ''"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(stack: Stack) -> AsyncIterator[Services]:
    """Two routers, each the owner of some pools, and a timeline."""
    async with Services(stack) as running:
        await together(running.start("router"), running.start("router", instance="router-2"), running.start("timeline"))
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def producer(stack: Stack) -> AsyncIterator[Producer]:
    """Writes inbound events as ingest does."""
    async with Producer(stack.bootstrap, "test") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(stack: Stack, services: Services) -> str:
    """A tenant whose two pools are owned by different processes."""

    async def owners() -> dict[int, str] | None:
        connection = await asyncpg.connect(stack.database_url)
        try:
            found = dict(tuple(row) for row in await connection.fetch(OWNERS))
        finally:
            await connection.close()
        return found if len(found) == 24 and len(set(found.values())) == 2 else None

    owner_of = await kit.eventually(owners, what="partitions shared by two routers")

    def apart(name: str) -> bool:
        return len({owner_of[partition_for(f"{name}/{pool}".encode(), 24)] for pool in ("near", "far")}) == 2

    name = next(n for n in (f"h-{kit.new_id()[:8]}" for _ in itertools.count()) if apart(n))
    await kit.apply_config(services, name, CONFIG)
    return name


def written(tenant: str, conversation: str, text: str) -> InboundEvent:
    """A customer message, for the pool of the account's team."""
    event = kit.inbound(tenant, conversation, text)
    event.pool = f"{tenant}/near"
    return event


async def held(desk: kit.Desk, producer: Producer, tenant: str, conversation: str) -> None:
    """A conversation that ana has accepted."""
    await desk.presence("ana")
    await kit.send(producer, written(tenant, conversation, "hello"))
    await desk.accept(await desk.offered(conversation), "ana")


async def transfer(desk: kit.Desk, conversation: str, agent: str, team: str, **more: Any) -> Any:
    """To a team."""
    request = api.TransferConversationRequest(
        request_id=kit.new_id(), conversation_id=conversation, agent_id=agent, to_team=team, reason="theirs", **more
    )
    return await desk.until_done("TransferConversation", request)


async def log_until(stack: Stack, tenant: str, conversation: str, last: str, messages: int = 0) -> list[str]:
    """The kinds of a conversation's events once the last one is there; every seq once and in order, copies apart."""

    async def look() -> list[str] | None:
        events = (await kit.conversation_log(stack.bootstrap, tenant)).get(conversation, [])
        firsts = list(dict.fromkeys(e.seq for e in events))
        assert firsts == list(range(1, len(firsts) + 1))
        found = kit.kinds(events)
        return found if last in found and found.count("message_received") >= messages else None

    return await kit.eventually(look, what=last)


async def test_a_conversation_goes_to_a_team_of_another_pool_and_back(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """Its log goes on without a gap, what its customer writes follows it, and its history is whole."""
    conversation = kit.new_id()
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, router="router-2") as other:
        await held(desk, producer, tenant, conversation)
        moved = (await transfer(desk, conversation, "ana", "deals")).conversation
        assert (moved.status, moved.pool) == (api.CONVERSATION_STATUS_MOVED, f"{tenant}/far")
        await desk.presence("dan")
        follows = written(tenant, conversation, "are you still there?")
        await kit.send(producer, follows)
        await kit.send(producer, follows)
        there = await other.offered(conversation)
        assert (there.pool, there.team, there.offered_agent_id, there.transfers) == (f"{tenant}/far", "deals", "dan", 1)
        await other.accept(there, "dan")
        await desk.reply(conversation, "dan", "I am Dan")
        await transfer(other, conversation, "dan", "support")
        back = await desk.offered(conversation)
        assert (back.pool, back.offered_agent_id, back.transfers) == (f"{tenant}/near", "ana", 2)
        await desk.accept(back, "ana")
        resolve = api.ResolveConversationRequest(request_id=kit.new_id(), conversation_id=conversation, agent_id="ana")
        await desk.until_done("ResolveConversation", resolve)
        listed = await desk.call("ListConversations", asks.ListConversationsRequest(page_size=50))
        pages = [c.pool for c in listed.conversations]
        listed = await desk.call(
            "ListConversations", asks.ListConversationsRequest(page_size=50, page_token=listed.next_page_token)
        )
        assert pages + [c.pool for c in listed.conversations] == [f"{tenant}/near"]
    kinds = await log_until(stack, tenant, conversation, "conversation_resolved")
    assert [kinds.count(f"conversation_{k}") for k in ("transferred", "handed_over", "taken_over")] == [2, 2, 2]
    assert kinds.count("message_received") == 2
    await _history(services, tenant, conversation, len(kinds))
    await _explained(services, tenant, conversation, kinds)


async def _history(services: Services, tenant: str, conversation: str, events: int) -> None:
    metadata = kit.token_metadata(services.keys, "supervisor", tenant, "sam")
    async with grpc.aio.insecure_channel(services.address("timeline")) as channel:
        stub: Any = TimelineServiceStub(channel)
        listing = history.ListTimelineRequest(conversation_id=conversation, page_size=100)

        async def whole() -> Any:
            found = await stub.ListTimeline(listing, metadata=metadata, timeout=10)
            return found if len(found.entries) == events else None

        await kit.eventually(whole, what="the whole history")
        wanted = history.GetHandoffBriefRequest(conversation_id=conversation)
        brief = await stub.GetHandoffBrief(wanted, metadata=metadata, timeout=10)
    moves = [(h.from_team, h.from_agent_id, h.to_team) for h in brief.handoffs]
    assert moves == [("support", "ana", "deals"), ("deals", "dan", "support")]
    assert list(brief.previous_agents) == ["ana", "dan"]
    assert [e.content.text for e in brief.said] == ["hello", "are you still there?", "I am Dan"]


async def _explained(services: Services, tenant: str, conversation: str, kinds: list[str]) -> None:
    """Each decision by the log of the pool that took it."""
    metadata = kit.token_metadata(services.keys, "supervisor", tenant, "sam")
    offers = [seq for seq, kind in enumerate(kinds, 1) if kind == "offer_made"]
    async with grpc.aio.insecure_channel(services.address("router")) as channel:
        stub: Any = ExplainServiceStub(channel)
        asked = []
        for seq in offers:
            request = explaining.ExplainDecisionRequest(conversation_id=conversation, seq=seq)
            found = await stub.ExplainDecision(request, metadata=metadata, timeout=60)
            asked += found.agent_ids
    assert asked == ["ana", "dan", "ana"]


async def test_it_may_be_given_to_an_agent_of_the_other_pool(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Who has it at once, whatever they have in hand."""
    conversation = kit.new_id()
    async with kit.desk(services, tenant) as desk:
        await held(desk, producer, tenant, conversation)
        await transfer(desk, conversation, "ana", "deals", to_agent_id="dan")

        async def there() -> bool:
            found = await desk.get(conversation)
            return bool(found and found.pool == f"{tenant}/far" and found.assigned_agent_id == "dan")

        await kit.eventually(there, what="dan has it")


async def test_two_conversations_of_different_pools_are_not_merged(
    services: Services, producer: Producer, tenant: str
) -> None:
    """And the answer says why."""
    near, far = kit.new_id(), kit.new_id()
    async with kit.desk(services, tenant) as desk:
        await kit.send(producer, written(tenant, near, "hello"))
        other = kit.inbound(tenant, far, "hello", account="sales-app")
        other.pool, other.channel = f"{tenant}/far", "chat"
        await kit.send(producer, other)
        for conversation in (near, far):
            await kit.eventually(lambda c=conversation: desk.get(c), what="the conversation")  # type: ignore[misc]
        request = asks.MergeConversationsRequest(
            request_id=kit.new_id(), conversation_id=near, into_conversation_id=far
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.call("MergeConversations", request)
        assert reason(refused.value) == ("CANNOT_MERGE", {"conversation_id": near, "into": far})


async def test_a_team_that_moves_to_another_pool_needs_no_restart(
    services: Services, producer: Producer, tenant: str
) -> None:
    """A pool that the owner of the other has not heard of yet is known when the first conversation comes."""
    conversation = kit.new_id()
    more = CONFIG.replace("{id: far}]", "{id: far}, {id: new}]").replace(
        "{id: deals, pool: far}]", "{id: deals, pool: far}, {id: fresh, pool: new}]"
    )
    await kit.apply_config(services, tenant, more)
    async with kit.desk(services, tenant) as desk:
        await held(desk, producer, tenant, conversation)
        await transfer(desk, conversation, "ana", "fresh")

        async def there() -> bool:
            found = await desk.get(conversation)
            return bool(found and (found.pool, found.team) == (f"{tenant}/new", "fresh"))

        await kit.eventually(there, what="it waits in the new pool")


async def test_a_conversation_that_nobody_can_take_waits_again_where_it_came_from(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """Its new pool is gone from the configuration; and what follows it comes back, too."""
    coming = await _coming(stack, tenant, producer, services)
    coming.pool, coming.from_pool = f"{tenant}/gone", f"{tenant}/near"
    follows = written(tenant, coming.conversation_id, "hello?")
    follows.pool, follows.from_pool, follows.original_event_id = coming.pool, coming.from_pool, kit.new_id()
    for event in (coming, follows):
        await kit.send(producer, event)
    kinds = await log_until(stack, tenant, coming.conversation_id, "message_received")
    by_itself = [kind for kind in kinds if kind != "offer_made"]  # ana may be there
    assert by_itself == ["conversation_taken_over", "conversation_queued", "message_received"]
    async with kit.desk(services, tenant) as desk:
        found = await desk.get(coming.conversation_id)
        assert (found.pool, found.team) == (f"{tenant}/near", "support")


async def test_a_conversation_that_is_there_already_is_refused_with_its_reason(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """Somebody is told; what is there goes on."""
    coming = await _coming(stack, tenant, producer, services)
    await kit.send(producer, coming)
    await log_until(stack, tenant, coming.conversation_id, "conversation_queued")
    other = InboundEvent()
    other.CopyFrom(coming)
    other.event_id, other.hand_over.state.seq = kit.new_id(), 99
    await kit.send(producer, other)

    async def told() -> bool:
        letters = await kit.read_topic(stack.bootstrap, "trunkline.inbound.dlq.v1")
        found = [dict(r.headers)["dlq.reason"] for r in letters if dict(r.headers)["ce_id"] == other.event_id.encode()]
        return found == [b"CONVERSATION_EXISTS"]

    await kit.eventually(told, what="a dead letter")


async def test_an_account_that_goes_to_another_pool_leaves_its_conversations_where_they_are(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """What their customers write goes there, once; and nobody begins them anew."""
    person = kit.new_id()
    conversation = threads.conversation_id(tenant, "app", "own-app", person)
    async with kit.desk(services, tenant) as desk:
        await held(desk, producer, tenant, conversation)
        await kit.apply_config(services, tenant, CONFIG.replace("app, team: support", "app, team: deals"))
        follows = written(tenant, conversation, "are you still there?")
        follows.pool = f"{tenant}/far"
        await kit.send(producer, follows)
        await kit.send(producer, follows)
        new = written(tenant, kit.new_id(), "somebody else")
        new.pool = f"{tenant}/far"
        await kit.send(producer, new)
        await log_until(stack, tenant, new.conversation_id, "conversation_queued")
        kinds = await log_until(stack, tenant, conversation, "conversation_assigned", messages=2)
        assert kinds.count("conversation_started") == 1
        found = await desk.get(conversation)
        assert (found.pool, found.assigned_agent_id) == (f"{tenant}/near", "ana")
        start = asks.StartConversationRequest(
            request_id=kit.new_id(), channel="app", account="own-app", contact=Contact(address=person), consent="form"
        )
        start.content.text = "hello?"
        async with kit.desk(services, tenant, router="router-2") as other:  # knows no older document
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await other.call("StartConversation", start)
        facts = {"conversation_id": conversation, "pool": f"{tenant}/near"}
        assert reason(refused.value) == ("CONVERSATION_EXISTS", facts)


async def test_what_is_open_in_a_pool_that_the_document_drops_goes_on_in_another(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """What waits and what somebody has, at once; what has ended when its customer writes again."""
    waits, has, ended = (kit.new_id() for _ in range(3))
    async with kit.desk(services, tenant) as desk:
        await desk.presence("dan")
        for conversation in (has, ended):
            await kit.send(producer, _sold(tenant, conversation, "hello"))
            await desk.accept(await desk.offered(conversation), "dan")
        resolve = api.ResolveConversationRequest(request_id=kit.new_id(), conversation_id=ended, agent_id="dan")
        resolve.waive_reason = "done"
        await desk.until_done("ResolveConversation", resolve)
        await desk.presence("dan", "OFFLINE")
        await desk.until_done("PutAgent", _zoe("deals"))
        await kit.send(producer, _sold(tenant, waits, "hello"))
        await log_until(stack, tenant, waits, "conversation_queued")
        await kit.apply_config(services, tenant, WITHOUT_FAR)
        for conversation in (waits, has):
            await log_until(stack, tenant, conversation, "conversation_taken_over")
            found = await kit.eventually(lambda c=conversation: desk.get(c), what="it is there")  # type: ignore[misc]
            assert (found.pool, found.team, found.transfers) == (f"{tenant}/near", "support", 0)
        await desk.until_done("PutAgent", _zoe("support"))
        async with kit.desk(services, tenant, router="router-2") as other:  # knows no older document
            assert (await other.get(ended)).pool == f"{tenant}/far"
            assert await _listed(other, ended)
        again = _sold(tenant, ended, "one more thing")
        again.pool = f"{tenant}/near"
        await kit.send(producer, again)
        kinds = await log_until(stack, tenant, ended, "conversation_taken_over", messages=2)
        assert kinds.count("conversation_started") == 1
        assert (await desk.get(ended)).pool == f"{tenant}/near"


def _zoe(team: str) -> asks.PutAgentRequest:
    """An agent beside those of the document; a name belongs to one pool."""
    return asks.PutAgentRequest(request_id=kit.new_id(), agent_id="zoe", name="Zoe", teams=[team])


def _sold(tenant: str, conversation: str, text: str) -> InboundEvent:
    """A customer message to the other pool's account."""
    event = kit.inbound(tenant, conversation, text, account="sales-app")
    event.pool, event.channel = f"{tenant}/far", "chat"
    return event


async def _listed(desk: kit.Desk, conversation: str) -> bool:
    """Whether one of the pages has it."""
    token, seen = "", set[str]()
    while True:
        request = asks.ListConversationsRequest(page_size=50, page_token=token)
        page = await desk.until_done("ListConversations", request)
        seen |= {c.conversation_id for c in page.conversations}
        token = page.next_page_token
        if not token:
            return conversation in seen


async def _coming(stack: Stack, tenant: str, producer: Producer, services: Services) -> InboundEvent:
    """A hand-over to the other pool, of a conversation that nothing is known of."""
    conversation = kit.new_id()
    async with kit.desk(services, tenant) as desk:
        await held(desk, producer, tenant, conversation)
        await transfer(desk, conversation, "ana", "deals")

    async def sent() -> InboundEvent | None:
        records = await kit.read_topic(stack.bootstrap, "trunkline.inbound.v1")
        events = [InboundEvent.FromString(r.value) for r in records]
        found = [e for e in events if e.conversation_id == conversation and e.HasField("hand_over")]
        return found[0] if found else None

    made = await kit.eventually(sent, what="the hand-over")
    made.event_id, made.conversation_id, made.hand_over.state.seq = kit.new_id(), kit.new_id(), 0
    return made
