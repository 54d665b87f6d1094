"""The streams of RouterService on real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.kafka import Producer

from deploy.local.services import Services
from tests import kit
from tests.router.service import CONFIG, reason

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


def watch(desk: kit.Desk, method: str, **fields: Any) -> Any:
    """A stream."""
    kind = getattr(asks, f"{method}Request", None) or getattr(api, f"{method}Request")
    return getattr(desk.stub, method)(kind(**fields), metadata=desk._metadata)


async def next_of(stream: Any) -> Any:
    """The next change."""
    return await asyncio.wait_for(stream.read(), 15)


def seen(change: Any) -> tuple[str, str]:
    """What a queue's change says of whom."""
    kind = change.WhichOneof("change")
    return kind, getattr(change, kind).conversation_id


async def arrive(producer: Producer, tenant: str, desk: kit.Desk) -> str:
    """A new conversation that waits."""
    conversation = kit.new_id()
    await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
    await kit.eventually(lambda: desk.get(conversation), what="the conversation")
    return conversation


async def pull(desk: kit.Desk, conversation: str) -> None:
    """Out of the queue."""
    request = asks.PullConversationRequest(request_id=kit.new_id(), conversation_id=conversation, agent_id="cleo")
    await desk.until_done("PullConversation", request)


@pytest.mark.parametrize("router", ["router", "router-api"])
async def test_a_queues_watcher_that_was_cut_off_misses_nothing_and_hears_nothing_twice(
    services: Services, producer: Producer, tenant: str, router: str
) -> None:
    """Also through a process that owns nothing, and across a restart of the owner."""
    if router != "router":
        await services.start("router", instance=router, env={"TRUNKLINE_ROLE": "api"})
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, router=router) as watching:
        first = await arrive(producer, tenant, desk)
        stream = watch(watching, "WatchQueue", team="billing")
        begun = await next_of(stream)
        assert [c.conversation_id for c in begun.snapshot.conversations] == [first]
        second = await arrive(producer, tenant, desk)
        change = await next_of(stream)
        assert seen(change) == ("entered", second)
        stream.cancel()
        await pull(desk, first)
        third = await arrive(producer, tenant, desk)
        if router == "router":
            await services.stop("router")
            await services.start("router")
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, router=router) as watching:
        await kit.eventually(lambda: desk.get(third), what="the owner")
        stream = watch(watching, "WatchQueue", team="billing", resume_token=change.resume_token)
        missed = [await next_of(stream), await next_of(stream)]
        assert list(map(seen, missed)) == [("left", first), ("entered", third)]
        await pull(desk, second)
        last = await next_of(stream)
        assert seen(last) == ("left", second)
        assert last.pool_seq > missed[1].pool_seq > missed[0].pool_seq > change.pool_seq
        stream.cancel()
    if router != "router":
        await services.stop(router)


async def test_a_teams_pulse_shows_each_change_of_its_agents_and_queue(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Who is there, with what in hand, how many wait."""
    async with kit.desk(services, tenant) as desk:
        stream = watch(desk, "WatchTeam", team="billing")
        pulse = (await next_of(stream)).snapshot
        assert [(a.agent_id, a.presence) for a in pulse.agents] == [
            ("cleo", api.PRESENCE_OFFLINE),
            ("dan", api.PRESENCE_OFFLINE),
        ]
        conversation = await arrive(producer, tenant, desk)
        assert (await next_of(stream)).pulse.queue.waiting == 1
        await desk.presence("cleo")
        there, offered = await next_of(stream), await next_of(stream)
        assert [a.presence for a in there.pulse.agents] == [api.PRESENCE_ONLINE]
        assert [list(a.conversation_ids) for a in offered.pulse.agents] == [[conversation]]
        assert (offered.pulse.queue.waiting, offered.pulse.queue.HasField("first_entered_at")) == (0, False)
        stream.cancel()
        stream = watch(desk, "WatchTeam", team="billing", resume_token=there.resume_token)
        assert (await next_of(stream)).pool_seq == offered.pool_seq
        stream.cancel()


async def test_a_watch_ends_with_its_team_and_takes_only_its_own_tokens(services: Services, tenant: str) -> None:
    """A token of another watch is refused, and so is a team that there is none of."""
    async with kit.desk(services, tenant) as desk:
        stream = watch(desk, "WatchQueue", team="billing")
        begun = await next_of(stream)
        refused = watch(desk, "WatchQueue", team="support", resume_token=begun.resume_token)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await next_of(refused)
        assert reason(error.value) == ("INVALID_PAGE_TOKEN", {"field": "resume_token"})
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await next_of(watch(desk, "WatchTeam", team="nowhere"))
        assert reason(error.value)[0] == "TEAM_NOT_FOUND"
        await kit.apply_config(services, tenant, CONFIG.replace("billing", "invoices"))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await next_of(stream)
        assert reason(error.value)[0] == "TEAM_NOT_FOUND"
