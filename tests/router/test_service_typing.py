"""SetTyping: a record for delivery where the channel's class says so, and nothing else anywhere."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline_common.kafka import Producer

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.router.service import reason

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
CONFIG = """
teams: [{id: billing}]
agents: [{id: cleo, teams: [billing]}, {id: dan, teams: [billing]}]
accounts: [{id: own-app, channel: app, team: billing}]
"""
SHOWN = f"{CONFIG}\nchannel_classes: [{{id: live, channels: [app], typing: true}}]\n"


async def types(desk: kit.Desk, conversation_id: str, agent: str = "cleo", *, on: bool = True) -> Any:
    """The agent types."""
    asked = asks.SetTypingRequest(conversation_id=conversation_id, agent_id=agent, on=on)
    return await desk.until_done("SetTyping", asked)


async def refusal(desk: kit.Desk, *args: str) -> tuple[str, dict[str, str]]:
    """Why it is not shown."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await types(desk, *args)
    return reason(refused.value)


async def test_typing_is_told_to_delivery_and_is_no_event(services: Services, stack: Stack, producer: Producer) -> None:
    """It names the customer's last message; the reply comes after it, and the log knows nothing of it."""
    tenant = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, tenant, CONFIG)
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        conversation = kit.new_id()
        await _last_written(producer, tenant, conversation)
        await kit.eventually(lambda: desk.get(conversation), what="the conversation")
        waits = await refusal(cleo, conversation)
        assert waits[0] == "CONVERSATION_STATUS"
        await cleo.presence("cleo")
        await cleo.accept(await desk.offered(conversation), "cleo")
        assert await refusal(cleo, conversation) == ("TYPING_OFF", {"channel": "app"})
        await kit.apply_config(services, tenant, SHOWN)
        assigned = await desk.get(conversation)
        last = await _last_written(producer, tenant, conversation)
        before = await _at_seq(desk, conversation, assigned.seq + 1)
        await kit.eventually(lambda: _shown(cleo, conversation), what="typing shown")
        await types(desk, conversation, "dan", on=False)
        assert (await refusal(desk, conversation, "nobody"))[0] == "AGENT_NOT_FOUND"
        async with kit.desk(services, tenant, "agent", "dan") as dan:
            assert (await refusal(dan, conversation, "dan"))[0] == "NOT_ASSIGNED"
        assert (await desk.get(conversation)).seq == before.seq
        await cleo.reply(conversation, "cleo", "Here it is.")

        async def told() -> list[Any] | None:
            records = await kit.read_topic(stack.bootstrap, "trunkline.outbound.v1")
            mine = [r for r in records if r.key == f"{tenant}/app/own-app".encode()]
            return mine if len(mine) == 3 else None

        *shown, reply = await kit.eventually(told, what="two indicators and a reply")
        found = [TypingIndicator.FromString(r.value) for r in shown]
        assert [(f.on, f.provider_message_id) for f in found] == [(True, last), (False, last)]
        assert found[0].to.address == f"c-{conversation}"
        assert {dict(r.headers)["ce_type"] for r in shown} == {b"trunkline.outbound.v1.TypingIndicator"}
        assert OutboundMessage.FromString(reply.value).content.text == "Here it is."
        log = kit.kinds((await kit.conversation_log(stack.bootstrap, tenant))[conversation])
        assert log[-3:] == ["conversation_assigned", "message_received", "message_sent"]


async def _shown(desk: kit.Desk, conversation: str) -> bool:
    """The agent types, once the owner has heard of the document that shows it."""
    try:
        await types(desk, conversation)
    except grpc.aio.AioRpcError as error:
        if reason(error)[0] != "TYPING_OFF":
            raise
        return False
    return True


async def _last_written(producer: Producer, tenant: str, conversation: str) -> str:
    """The provider's id of a message that the customer writes."""
    return (await kit.send(producer, kit.inbound(tenant, conversation, "hello"))).provider_message_id


async def _at_seq(desk: kit.Desk, conversation: str, seq: int) -> Any:
    """The conversation once it is so far."""

    async def look() -> Any:
        found = await desk.get(conversation)
        return found if found.seq >= seq else None

    return await kit.eventually(look, what=f"seq {seq}")
