"""The same request_id again: in upper case, and in two pools of a tenant at once. One process owns them all."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.kafka import partition_for
from trunkline_common.postgres import Pool

from deploy.local.services import Services
from tests import kit
from tests.router.service import reason

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]
TWO_POOLS = """
pools: [{id: north}, {id: south}]
teams: [{id: n1, pool: north}, {id: s1, pool: south}]
agents: [{id: ana, teams: [n1]}, {id: bob, teams: [s1]}]
accounts: [{id: own-app, channel: app, team: n1}]
"""


async def tenant_of_two(services: Services) -> str:
    """A tenant whose pools are of two partitions, so of two owners in that process."""
    names = (f"t-{kit.new_id()[:8]}" for _ in range(100))
    apart = next(n for n in names if len({partition_for(f"{n}/{p}".encode(), 12) for p in ("north", "south")}) == 2)
    await kit.apply_config(services, apart, TWO_POOLS)
    return apart


def accepting(request_id: str, agent: str, *, on: bool) -> asks.SetAgentAcceptingRequest:
    """A command that any pool takes."""
    return asks.SetAgentAcceptingRequest(request_id=request_id, agent_id=agent, accepting=on)


async def answer(desk: kit.Desk, request: asks.SetAgentAcceptingRequest) -> Any:
    """The agent, or the reason of the refusal."""
    try:
        return (await desk.until_done("SetAgentAccepting", request)).agent.agent_id
    except grpc.aio.AioRpcError as error:
        return reason(error)[0]


async def test_in_upper_case_it_is_the_same(services: Services, tenant: str) -> None:
    """Sent twice, in either case: one command, and its stored answer."""
    request_id = kit.new_id()
    async with kit.desk(services, tenant) as desk:
        first, *again = [
            await desk.until_done("PutAgent", asks.PutAgentRequest(request_id=made, agent_id="zoe", teams=["billing"]))
            for made in (request_id.upper(), request_id.upper(), request_id)
        ]
        assert again == [first, first]
        assert await answer(desk, accepting(request_id.upper(), "zoe", on=False)) == "REQUEST_ID_REUSED"


async def test_in_two_pools_at_the_same_moment_one_has_it(services: Services) -> None:
    """Whoever comes to write it second is told so, and goes on."""
    tenant = await tenant_of_two(services)
    async with kit.desk(services, tenant) as north, kit.desk(services, tenant) as south:
        for n in range(20):
            request_id, on = kit.new_id(), n % 2 == 0
            asked = (north, accepting(request_id, "ana", on=on)), (south, accepting(request_id, "bob", on=on))
            found = await asyncio.gather(*(answer(desk, request) for desk, request in asked))
            assert sorted(found) in (["REQUEST_ID_REUSED", "ana"], ["REQUEST_ID_REUSED", "bob"])
            again = await asyncio.gather(*(answer(desk, request) for desk, request in asked))
            assert again == found


async def test_what_another_pool_is_just_writing_is_waited_for(services: Services, db: Pool) -> None:
    """The lost race itself: what the pool had decided is undone, begun again and refused."""
    tenant, request_id = await tenant_of_two(services), kit.new_id()
    insert = "insert into command_result values ($1, $2, 'another command', 'its answer', now())"
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%command_result%'"

    async def waits() -> bool:
        return bool(await db.fetchval(waiting))

    async with kit.desk(services, tenant) as desk:
        async with db.acquire() as other:
            ends = other.transaction()
            await ends.start()
            await other.execute(insert, tenant, request_id)
            asked = asyncio.create_task(answer(desk, accepting(request_id, "ana", on=False)))
            await kit.eventually(waits, what="the owner of the pool waits for the other")
            await ends.commit()
        assert await asked == "REQUEST_ID_REUSED"
        agents = await desk.until_done("ListAgents", api.ListAgentsRequest(team="n1"))
    assert [(agent.agent_id, agent.accepting) for agent in agents.agents] == [("ana", True)]
