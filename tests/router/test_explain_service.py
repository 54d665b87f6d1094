"""ExplainService of a router process, on real Kafka and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from trunkline.router.v1 import explain_service_pb2 as api
from trunkline.router.v1 import router_service_pb2 as router
from trunkline.router.v1.explain_service_pb2_grpc import ExplainServiceStub
from trunkline.router.v1.pool_event_pb2 import PoolEvent
from trunkline_common.kafka import Producer
from trunkline_router.simulation_store import MOST

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
CONFIG = Path("deploy/local/demo_tenant.yaml").read_text()
LIVES_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(stack: Stack) -> AsyncIterator[Services]:
    """A router that has everything but a timeline, and one that owns nothing."""
    async with Services(stack) as running:
        await running.start("router")
        await running.start("router", instance="router-api", env={"TRUNKLINE_ROLE": "api"})
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def producer(stack: Stack) -> AsyncIterator[Producer]:
    """Writes inbound events as ingest does."""
    async with Producer(stack.bootstrap, "test") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(services: Services) -> str:
    """A tenant of its own with the demo configuration."""
    name = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, name, CONFIG)
    return name


@asynccontextmanager
async def explains(services: Services, tenant: str, process: str = "router") -> AsyncIterator[Any]:
    """Calls of ExplainService as a supervisor of the tenant."""
    metadata = kit.token_metadata(services.keys, "supervisor", tenant, "sam")
    async with grpc.aio.insecure_channel(services.address(process)) as channel:
        stub: Any = ExplainServiceStub(channel)

        async def call(method: str, **fields: Any) -> Any:
            request = getattr(api, f"{method}Request")(**fields)
            return await kit.patiently(lambda: getattr(stub, method)(request, metadata=metadata, timeout=25))

        yield call


async def served(services: Services, producer: Producer, tenant: str) -> str:
    """A conversation that cleo was offered, accepted and resolved."""
    async with kit.desk(services, tenant) as desk:
        await desk.presence("cleo")
        conversation = kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
        await desk.accept(await desk.offered(conversation), "cleo")
        resolve = router.ResolveConversationRequest(
            request_id=kit.new_id(), conversation_id=conversation, agent_id="cleo", waive_reason="no question"
        )
        await desk.until_done("ResolveConversation", resolve)
    return conversation


def reason(error: grpc.aio.AioRpcError) -> str:
    """The reason of an error."""
    info = error_details_pb2.ErrorInfo()
    status: Any = rpc_status.from_call(error)
    assert any(d.Unpack(info) for d in status.details)
    return str(info.reason)


async def test_a_past_decision_is_explained_and_comes_out_the_same(
    services: Services, producer: Producer, tenant: str
) -> None:
    """The offer by its own seq and by that of its acceptance; asked of a process that owns nothing too."""
    conversation = await served(services, producer, tenant)
    for process in ("router", "router-api"):
        async with explains(services, tenant, process) as ask:
            made = await ask("ExplainDecision", conversation_id=conversation, seq=4)
            assert made == await ask("ExplainDecision", conversation_id=conversation, seq=5)
            assert list(made.agent_ids) == [v.agent for v in made.explanation.chosen] == ["cleo"]
            again = await ask("ReplayDecision", conversation_id=conversation, seq=4)
            assert (again.equal, again.events) == (True, 4)


async def test_a_log_that_was_tampered_with_is_found_by_its_first_difference(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """Somebody wrote another agent into a stored offer."""
    conversation = await served(services, producer, tenant)
    connection = await asyncpg.connect(stack.database_url)
    try:
        offer = "select * from router.pool_log where conversation_id = $1 order by pool_seq offset 3 limit 1"
        (row,) = await connection.fetch(offer, conversation)
        event = PoolEvent.FromString(row["event"])
        event.conversation.offer_made.agent_id = "ana"
        update = "update router.pool_log set event = $3 where pool = $1 and pool_seq = $2"
        await connection.execute(update, row["pool"], row["pool_seq"], event.SerializeToString())
    finally:
        await connection.close()
    async with explains(services, tenant) as ask:
        again = await ask("ReplayDecision", conversation_id=conversation, seq=1)
    assert not again.equal
    assert (again.difference.index, again.difference.path) == (3, "payload.agent_id")
    assert (again.difference.recorded, again.difference.now) == ('"ana"', '"cleo"')


async def test_what_a_conversation_waits_for_is_told_by_the_owner(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Nobody is online: who would have to be. Asked of a process that has to pass it on."""
    conversation = kit.new_id()
    await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
    async with kit.desk(services, tenant) as desk:
        await kit.eventually(lambda: desk.get(conversation), what="the conversation")
    async with explains(services, tenant, "router-api") as ask:
        made = await ask("ExplainWaiting", conversation_id=conversation)
    assert (made.conversation, made.status, made.position) == (conversation, router.CONVERSATION_STATUS_QUEUED, 0)
    assert made.changes
    assert api.AGENT_REASON_OFFLINE in [g.reason for g in made.groups]


async def test_a_period_is_simulated_under_another_configuration(
    services: Services, producer: Producer, tenant: str
) -> None:
    """As it was under its own; another process tells the result, and nothing was published."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    for _ in range(3):
        await served(services, producer, tenant)
    until = datetime.now(UTC)
    begin = {"request_id": kit.new_id(), "since": since, "until": until, "yaml": CONFIG}
    async with explains(services, tenant) as ask, explains(services, tenant, "router-api") as other:
        begun = await ask("StartSimulation", **begin)
        assert begun.simulation.simulation_id == begin["request_id"]

        async def done() -> Any:
            found = (await other("GetSimulation", simulation_id=begin["request_id"])).simulation
            return found if found.done else None

        found = await kit.eventually(done, what="the simulation", seconds=LIVES_S)
        assert (found.error, found.progress, found.state) == ("", 1, api.SIMULATION_STATE_SUCCEEDED)
        assert (await other("CancelSimulation", simulation_id=begin["request_id"])).simulation == found
        compared = found.comparison
        assert (compared.conversations, compared.moved, compared.other_agent, compared.impossible) == (3, 0, 0, 0)
        assert compared.recorded == compared.simulated
        assert sum(t.served for t in compared.simulated) == 3
        assert (await ask("StartSimulation", **begin)).simulation == found
        with pytest.raises(grpc.aio.AioRpcError) as reused:
            await ask("StartSimulation", **begin | {"until": until - timedelta(seconds=1)})
        assert reason(reused.value) == "REQUEST_ID_REUSED"
    async with kit.desk(services, tenant) as desk:
        agents = await desk.call("ListAgents", router.ListAgentsRequest())
        assert {a.load for a in agents.agents} == {0}


async def test_a_simulation_whose_process_has_ended_is_told_as_that(
    services: Services, stack: Stack, tenant: str
) -> None:
    """It has been silent for longer than a minute."""
    simulation = kit.new_id()
    connection = await asyncpg.connect(stack.database_url)
    try:
        begun = datetime.now(UTC) - timedelta(seconds=61)
        await connection.execute(
            "insert into router.simulation (tenant, id, fingerprint, pool, since, until, begun_at, alive_at, progress)"
            " values ($1, $2, '', $3, $4, $4, $4, $4, 0.5)",
            tenant,
            simulation,
            f"{tenant}/default",
            begun,
        )
    finally:
        await connection.close()
    async with explains(services, tenant) as ask:
        found = (await ask("GetSimulation", simulation_id=simulation)).simulation
    assert (found.done, found.state) == (True, api.SIMULATION_STATE_FAILED)
    assert found.error == "the process that ran it has ended; begin another one"


@asynccontextmanager
async def unfinished(stack: Stack, tenant: str, count: int) -> AsyncIterator[list[str]]:
    """Simulations that another process runs, the newest first."""
    names, now = [kit.new_id() for _ in range(count)], datetime.now(UTC)
    compared = api.Comparison(conversations=1).SerializeToString()
    connection = await asyncpg.connect(stack.database_url)
    try:
        await connection.executemany(
            "insert into router.simulation"
            " (tenant, id, fingerprint, pool, since, until, begun_at, alive_at, comparison)"
            " values ($1, $2, '', $3, $4, $4, $4, $5, $6)",
            [
                (tenant, name, f"{tenant}/default", now - timedelta(seconds=n), now + timedelta(hours=1), compared)
                for n, name in enumerate(names)
            ],
        )
        yield names
    finally:
        await connection.close()


async def test_simulations_are_listed_newest_first_in_pages(services: Services, stack: Stack, tenant: str) -> None:
    """Without their results, which would not fit."""
    seen, token = list[Any](), ""
    async with unfinished(stack, tenant, 5) as names, explains(services, tenant) as ask:
        while len(seen) < 9:
            page = await ask("ListSimulations", page_size=2, page_token=token)
            seen += page.simulations
            if not (token := page.next_page_token):
                break
    assert [s.simulation_id for s in seen] == names
    assert {s.state for s in seen} == {api.SIMULATION_STATE_RUNNING}
    assert not any(s.HasField("comparison") for s in seen)


async def test_a_tenant_has_a_few_simulations_at_a_time(services: Services, stack: Stack, tenant: str) -> None:
    """The next is refused until one has ended or is cancelled; cancelling again changes nothing."""
    span = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 2, tzinfo=UTC)}
    begin = {"request_id": kit.new_id(), "yaml": CONFIG, **span}
    async with unfinished(stack, tenant, MOST) as names, explains(services, tenant) as ask:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask("StartSimulation", **begin)
        assert (refused.value.code(), reason(refused.value)) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "SIMULATION_LIMIT",
        )
        for _ in range(2):
            ended = (await ask("CancelSimulation", simulation_id=names[0])).simulation
            assert (ended.state, ended.done) == (api.SIMULATION_STATE_CANCELLED, True)
        begun = (await ask("StartSimulation", **begin)).simulation
        assert begun.simulation_id == (await ask("StartSimulation", **begin)).simulation.simulation_id


@pytest.mark.parametrize(
    ("method", "fields", "why"),
    [
        ("GetSimulation", {"simulation_id": kit.new_id()}, "SIMULATION_NOT_FOUND"),
        ("GetSimulation", {"simulation_id": "the-first"}, "SIMULATION_NOT_FOUND"),
        ("CancelSimulation", {"simulation_id": kit.new_id()}, "SIMULATION_NOT_FOUND"),
        ("CancelSimulation", {"simulation_id": "the-first"}, "SIMULATION_NOT_FOUND"),
        ("ListSimulations", {"page_token": "mine"}, "INVALID_PAGE_TOKEN"),
        ("ExplainDecision", {"conversation_id": kit.new_id(), "seq": 1}, "CONVERSATION_NOT_FOUND"),
        ("ExplainWaiting", {"conversation_id": kit.new_id()}, "CONVERSATION_NOT_FOUND"),
        ("ReplayDecision", {"conversation_id": kit.new_id(), "seq": 1}, "CONVERSATION_NOT_FOUND"),
        ("StartSimulation", {"yaml": "teams: 3"}, "INVALID_CONFIG"),
        ("StartSimulation", {"yaml": CONFIG, "pool": "other/default"}, "INVALID_REQUEST"),
        ("StartSimulation", {"yaml": CONFIG, "until": datetime(2100, 1, 1, tzinfo=UTC)}, "INVALID_REQUEST"),
        ("StartSimulation", {"yaml": CONFIG, "until": datetime(2000, 1, 1, tzinfo=UTC)}, "INVALID_REQUEST"),
        ("StartSimulation", {"yaml": CONFIG, "since": Timestamp(nanos=-1)}, "INVALID_REQUEST"),
        ("StartSimulation", {"yaml": CONFIG, "until": Timestamp(seconds=2**63 - 1)}, "INVALID_REQUEST"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    services: Services, tenant: str, method: str, fields: dict[str, Any], why: str
) -> None:
    """With a reason that programs can tell apart."""
    if method == "StartSimulation":
        span = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 2, tzinfo=UTC)}
        fields = span | fields | {"request_id": kit.new_id()}
    async with explains(services, tenant) as ask:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(method, **fields)
    assert reason(refused.value) == why


async def test_another_tenant_is_told_nothing(services: Services, producer: Producer, tenant: str) -> None:
    """P8: neither decisions nor simulations of others."""
    conversation, simulation = await served(services, producer, tenant), kit.new_id()
    other = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, other, CONFIG)
    span = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 2, tzinfo=UTC)}
    async with explains(services, tenant) as ours:
        await ours("StartSimulation", request_id=simulation, yaml=CONFIG, **span)
    async with explains(services, other) as theirs:
        for method, fields in (
            ("ExplainDecision", {"conversation_id": conversation, "seq": 4}),
            ("ReplayDecision", {"conversation_id": conversation, "seq": 4}),
            ("ExplainWaiting", {"conversation_id": conversation}),
            ("GetSimulation", {"simulation_id": simulation}),
            ("CancelSimulation", {"simulation_id": simulation}),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await theirs(method, **fields)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert not (await theirs("ListSimulations")).simulations
