"""The router process on real Kafka and PostgreSQL, through its topics and its gRPC."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import grpc
import pytest
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.kafka import Producer, partition_for

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.router.service import CONFIG, reason

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_message_is_queued_offered_accepted_answered_and_resolved(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """The whole life of a conversation stands in the log, in order, and the reply on the outbound topic."""
    async with kit.desk(services, tenant) as desk:
        await desk.presence("cleo")
        conversation = kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
        offered = await desk.offered(conversation)
        assert offered.offered_agent_id == "cleo"
        await desk.accept(offered, "cleo")
        sent = await desk.reply(conversation, "cleo", "hi there")
        await desk.until_done(
            "ResolveConversation",
            api.ResolveConversationRequest(request_id=kit.new_id(), conversation_id=conversation, agent_id="cleo"),
        )

        async def published() -> list[str] | None:
            log = (await kit.conversation_log(stack.bootstrap, tenant)).get(conversation, [])
            return kit.kinds(log) if len(log) >= 7 else None

        assert await kit.eventually(published) == [
            "conversation_started",
            "message_received",
            "conversation_queued",
            "offer_made",
            "conversation_assigned",
            "message_sent",
            "conversation_resolved",
        ]
        messages = await kit.outbound_messages(stack.bootstrap)
        assert [m.content.text for m in messages if m.message_id == sent.message_id] == ["hi there"]


async def test_the_same_request_id_gives_the_same_answer_and_other_content_an_error(
    services: Services, producer: Producer, tenant: str
) -> None:
    """A retry has one effect; a reused id is refused."""
    async with kit.desk(services, tenant) as desk:
        await desk.presence("cleo")
        conversation, request_id = kit.new_id(), kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
        await desk.accept(await desk.offered(conversation), "cleo")
        first, second = await asyncio.gather(
            desk.reply(conversation, "cleo", "once", request_id), desk.reply(conversation, "cleo", "once", request_id)
        )
        assert first == second
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.reply(conversation, "cleo", "other words", request_id)
        assert reason(refused.value) == ("REQUEST_ID_REUSED", {"request_id": request_id})


async def test_an_agents_stream_shows_what_it_holds_and_then_each_offer(
    services: Services, producer: Producer, tenant: str
) -> None:
    """WatchAgent begins with a snapshot and misses nothing after it."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        await desk.presence("cleo")
        stream = cleo.stub.WatchAgent(api.WatchAgentRequest(agent_id="cleo"), metadata=cleo._metadata)
        first = await asyncio.wait_for(stream.read(), 10)
        assert first.snapshot.agent.agent_id == "cleo"
        conversation = kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
        change = await asyncio.wait_for(stream.read(), 10)
        assert change.conversation.conversation_id == conversation
        assert change.conversation.offered_agent_id == "cleo"
        stream.cancel()


async def test_an_agent_may_not_act_as_another(services: Services, tenant: str) -> None:
    """The token decides who acts."""
    async with kit.desk(services, tenant, "agent", "ana") as ana:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ana.presence("ben")
        assert reason(refused.value)[0] == "ROLE_FORBIDDEN"


async def test_a_call_without_a_token_is_refused(services: Services) -> None:
    """There is no mode without authentication."""
    async with grpc.aio.insecure_channel(services.address("router")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await kit.Desk(channel, "nonsense").get(kit.new_id())
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_command_sent_to_another_router_process_is_forwarded_once(
    services: Services, producer: Producer, tenant: str
) -> None:
    """An api process owns nothing and answers like the owner."""
    await services.start("router", instance="router-api", env={"TRUNKLINE_ROLE": "api"})
    async with kit.desk(services, tenant, router="router-api") as desk:
        await desk.presence("cleo")
        conversation = kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
        offered = await desk.offered(conversation)
        assert (await desk.accept(offered, "cleo")).conversation.assigned_agent_id == "cleo"
        stream = desk.stub.WatchAgent(api.WatchAgentRequest(agent_id="cleo"), metadata=desk._metadata)
        first = await asyncio.wait_for(stream.read(), 10)
        assert [c.conversation_id for c in first.snapshot.conversations] == [conversation]
        stream.cancel()
    await services.stop("router-api")


async def test_queues_and_agents_are_listed_in_stable_pages(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Pages follow the order of service and end with an empty token; a token of another listing is refused."""
    async with kit.desk(services, tenant) as desk:
        ids = [kit.new_id() for _ in range(5)]
        for conversation in ids:
            await kit.send(producer, kit.inbound(tenant, conversation, "hello"))

        async def all_there() -> Any:
            return await desk.get(ids[-1])

        await kit.eventually(all_there)
        seen, token = [], ""
        while True:
            page = await desk.call("ListQueue", api.ListQueueRequest(team="billing", page_size=2, page_token=token))
            seen += [c.conversation_id for c in page.conversations]
            token = page.next_page_token
            if not token:
                break
        assert seen == ids
        agents = await desk.call("ListAgents", api.ListAgentsRequest(page_size=3))
        assert [a.agent_id for a in agents.agents] == ["ana", "ben", "cleo"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.call("ListQueue", api.ListQueueRequest(team="billing", page_token=agents.next_page_token))
        assert reason(refused.value)[0] == "INVALID_PAGE_TOKEN"


async def test_a_bad_configuration_is_refused_whole_with_every_path(services: Services, tenant: str) -> None:
    """All errors at once, each with its path; nothing changes."""
    bad = "teams: [{id: a, pool: nowhere}]\nagents: [{id: x, teams: [b]}]\n"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await kit.apply_config(services, tenant, bad)
    assert reason(refused.value)[0] == "INVALID_CONFIG"
    assert "teams[0].pool" in str(refused.value.details())
    assert "agents[0].teams[0]" in str(refused.value.details())


async def test_another_tenant_sees_and_changes_nothing(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """P8: with the ids of another tenant's conversation, offer and page every call says that there is none."""
    other = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, other, CONFIG)
    conversation = kit.new_id()
    await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
    await kit.send(producer, kit.inbound(tenant, kit.new_id(), "hello"))
    async with kit.desk(services, tenant) as ours, kit.desk(services, other) as theirs:
        await kit.eventually(lambda: ours.get(conversation), what="the conversation")
        assert await theirs.get(conversation) is None
        note = api.AddNoteRequest(
            request_id=kit.new_id(), conversation_id=conversation, agent_id="ana", text="not yours"
        )
        for metadata in ([], [("trunkline-forwarded", "1"), ("trunkline-key", f"{tenant}/default")]):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await theirs.stub.AddNote(note, metadata=[*theirs._metadata, *metadata], timeout=10)
            assert reason(refused.value)[0] in ("CONVERSATION_NOT_FOUND", "POOL_UNOWNED")
        queue = await theirs.call("ListQueue", api.ListQueueRequest(team="billing"))
        assert list(queue.conversations) == []

        async def waiting() -> Any:
            page = await ours.call("ListQueue", api.ListQueueRequest(team="billing", page_size=1))
            return page.next_page_token or None

        token = await kit.eventually(waiting, what="a second page")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await theirs.call("ListQueue", api.ListQueueRequest(team="billing", page_token=token))
        assert reason(refused.value)[0] == "INVALID_PAGE_TOKEN"
    log = await kit.conversation_log(stack.bootstrap, tenant)
    assert "note_added" not in kit.kinds(log[conversation])


async def test_a_service_may_act_for_a_tenant_it_names_and_nobody_else_may(services: Services, tenant: str) -> None:
    """A token of any tenant needs role service; its tenant comes from metadata, never from the request."""
    named = [("trunkline-tenant", tenant)]
    async with grpc.aio.insecure_channel(services.address("router")) as channel:
        stub: Any = kit.Desk(channel, "").stub
        as_service = kit.token_metadata(services.keys, "service", "*", "crm")
        found = await stub.ListAgents(api.ListAgentsRequest(), metadata=[*as_service, *named], timeout=10)
        assert len(found.agents) == 4
        for metadata in (as_service, [*kit.token_metadata(services.keys, "admin", "*", "eve"), *named]):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ListAgents(api.ListAgentsRequest(), metadata=metadata, timeout=10)
            assert reason(refused.value)[0] == "UNAUTHENTICATED"


async def test_a_tenant_nobody_configured_stops_no_other_of_its_partition(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """P6: sixty of its events are refused one by one; whoever shares the partition is served as before."""
    ours = partition_for(f"{tenant}/default".encode(), 24)
    names = (f"u-{tenant}-{n}" for n in itertools.count())
    stranger = next(n for n in names if partition_for(f"{n}/default".encode(), 24) == ours)
    refused = [kit.inbound(stranger, kit.new_id(), "hello") for _ in range(60)]
    for event in refused:
        await kit.send(producer, event)
    async with kit.desk(services, tenant) as desk:
        await desk.presence("cleo")
        conversation = kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
        assert (await desk.offered(conversation)).offered_agent_id == "cleo"
    sent = {event.event_id for event in refused}

    async def all_told() -> bool:
        letters = await kit.read_topic(stack.bootstrap, "trunkline.inbound.dlq.v1")
        return sent <= {dict(r.headers).get("ce_id", b"").decode() for r in letters}

    await kit.eventually(all_told, what="a dead letter for each")
