"""The last word and due times over gRPC, on real Kafka and PostgreSQL; the SLA service is a local double."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio
from trunkline.common.v1.common_pb2 import Content
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent, ConversationQueued
from trunkline.router.v1 import explain_service_pb2 as explain
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.explain_service_pb2_grpc import ExplainServiceStub
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE
from trunkline.sla.v1.sla_service_pb2 import PreviewDueRequest, PreviewDueResponse
from trunkline_common.kafka import Producer

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.router.service import reason

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
CONFIG = """
teams: [{id: desk}, {id: urgent, order: edf}]
agents: [{id: cleo, teams: [desk]}]
accounts: [{id: own-app, channel: app, team: desk}, {id: hot, channel: app, team: urgent}]
texts: [{kind: closing, text: "Thank you for writing to us."}]
sla_policies: [{id: all, metrics: {next_response: {target_s: 600}}}]
"""
TARGET = timedelta(seconds=90)


async def preview(request: PreviewDueRequest, _context: Any) -> PreviewDueResponse:
    """Every team answers within 90 s."""
    answer = PreviewDueResponse()
    for team in request.teams:
        due = answer.dues.add(team=team, metric=METRIC_FIRST_RESPONSE)
        due.due_at.FromDatetime(request.at.ToDatetime(tzinfo=UTC) + TARGET)
    return answer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(stack: Stack) -> AsyncIterator[Services]:
    """A router that asks the double when answers are due."""
    server = grpc.aio.server()
    answers = grpc.unary_unary_rpc_method_handler(
        preview,
        request_deserializer=PreviewDueRequest.FromString,
        response_serializer=PreviewDueResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("trunkline.sla.v1.SlaService", {"PreviewDue": answers})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Services(stack) as running:
        await running.start("router", env={"TRUNKLINE_SLA_TARGET": f"127.0.0.1:{port}"})
        yield running
    await server.stop(None)


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(services: Services) -> str:
    """A tenant of its own."""
    name = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, name, CONFIG)
    return name


async def held(desk: kit.Desk, producer: Producer, tenant: str) -> str:
    """A conversation that cleo has and nobody has answered."""
    await desk.presence("cleo")
    conversation = kit.new_id()
    await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
    await desk.accept(await desk.offered(conversation), "cleo")
    return conversation


async def resolved(desk: kit.Desk, conversation: str, **how: Any) -> Any:
    """The answer to ResolveConversation."""
    named: dict[str, Any] = {"request_id": kit.new_id(), "conversation_id": conversation, "agent_id": "cleo"}
    return await desk.until_done("ResolveConversation", api.ResolveConversationRequest(**named, **how))


async def refusal(desk: kit.Desk, conversation: str, **how: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Why it is not resolved."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolved(desk, conversation, **how)
    return refused.value.code(), *reason(refused.value)


async def payloads(stack: Stack, tenant: str, conversation: str, last: str) -> list[Any]:
    """The conversation's payloads once the log has one of that kind."""

    async def look() -> list[ConversationEvent] | None:
        log = (await kit.conversation_log(stack.bootstrap, tenant)).get(conversation, [])
        return log if any(e.WhichOneof("payload") == last for e in log) else None

    log = await kit.eventually(look, what=f"{last} of {conversation}")
    return [getattr(event, event.WhichOneof("payload") or "") for event in log]


async def test_an_agent_resolves_with_an_answer_or_not_at_all(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """The refusal names the message; one call sends the last word and ends the conversation."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        conversation = await held(desk, producer, tenant)
        seen = await desk.get(conversation)
        code, why, facts = await refusal(cleo, conversation)
        assert (code, why, facts["seq"]) == (grpc.StatusCode.FAILED_PRECONDITION, "UNANSWERED_MESSAGE", "2")
        since = datetime.fromisoformat(facts["unanswered_since"])
        assert since == seen.unanswered_since.ToDatetime(tzinfo=UTC)
        waived = await refusal(cleo, conversation, waive_reason="spam")
        assert (waived[0], waived[1]) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_FORBIDDEN")
        assert (await refusal(cleo, conversation, closing_content=Content(text=" ")))[1] == "INVALID_REQUEST"
        answer = await resolved(cleo, conversation, closing_text=True)
        assert (answer.conversation.status, bool(answer.message_id)) == (api.CONVERSATION_STATUS_RESOLVED, True)
        assert not answer.conversation.HasField("unanswered_since")
        *_, said, _ = await payloads(stack, tenant, conversation, "conversation_resolved")
        assert (said.message_id, said.agent_id) == (answer.message_id, "cleo")
        assert (said.content.text, said.HasField("automatic")) == ("Thank you for writing to us.", False)


async def test_a_supervisor_says_why_there_is_no_answer(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """It is kept in the log; nothing is sent."""
    async with kit.desk(services, tenant) as desk:
        conversation = await held(desk, producer, tenant)
        answer = await resolved(desk, conversation, waive_reason=" spam ")
        assert answer.message_id == ""
        *_, ended = await payloads(stack, tenant, conversation, "conversation_resolved")
        assert ended.waived_reason == "spam"


async def test_a_reply_and_a_split_say_what_becomes_of_a_question(
    services: Services, producer: Producer, tenant: str
) -> None:
    """What a reply does not answer still waits; with the part it waits there."""
    async with kit.desk(services, tenant) as desk:
        conversation = await held(desk, producer, tenant)
        await kit.send(producer, kit.inbound(tenant, conversation, "and another thing"))
        await kit.eventually(lambda: _at_seq(desk, conversation, 6), what="the second message")
        named: dict[str, Any] = {"conversation_id": conversation, "agent_id": "cleo"}
        reply = api.SendReplyRequest(
            **named, request_id=kit.new_id(), content=Content(text="first"), answers_through_seq=2
        )
        answer = await desk.until_done("SendReply", reply)
        assert answer.conversation.HasField("unanswered_since")
        split = asks.SplitConversationRequest(**named, request_id=kit.new_id(), with_unanswered=True)
        parts = await desk.until_done("SplitConversation", split)
        assert parts.new_conversation.unanswered_since == answer.conversation.unanswered_since
        assert not parts.conversation.HasField("unanswered_since")


async def _at_seq(desk: kit.Desk, conversation: str, seq: int) -> bool:
    found = await desk.get(conversation)
    return found is not None and found.seq >= seq


async def test_a_due_time_that_the_sla_service_said_is_in_the_log_and_replayed(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """One that came too late is recorded as such; sooner or later one comes in time, on any machine."""

    async def asked() -> tuple[str, ConversationQueued] | None:
        conversation = kit.new_id()
        await kit.send(producer, kit.inbound(tenant, conversation, "hello", account="hot"))
        begun, _, queued, *_ = await payloads(stack, tenant, conversation, "conversation_queued")
        assert queued.HasField("due_at") or queued.due_fallback in ("deadline", "unavailable")
        assert begun.customer.fallback
        return (conversation, queued) if queued.HasField("due_at") else None

    conversation, queued = await kit.eventually(asked, what="an answer within 50 ms")
    waits = queued.due_at.ToDatetime(tzinfo=UTC) - queued.entered_at.ToDatetime(tzinfo=UTC)
    assert abs(waits - TARGET) < timedelta(seconds=1)
    metadata = kit.token_metadata(services.keys, "supervisor", tenant, "sam")
    async with grpc.aio.insecure_channel(services.address("router")) as channel:
        stub: Any = ExplainServiceStub(channel)
        request = explain.ReplayDecisionRequest(conversation_id=conversation, seq=3)
        again = await kit.patiently(lambda: stub.ReplayDecision(request, metadata=metadata, timeout=25))
    assert again.equal
