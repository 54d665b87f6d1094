"""Out of the public over gRPC, on real Kafka and PostgreSQL: what is sent, what is owed, what a desk lists."""

from __future__ import annotations

import pytest
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline_common.kafka import Producer

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
CONFIG = """
teams: [{id: desk}]
agents: [{id: cleo, teams: [desk]}]
accounts:
  - {id: own-app, channel: app, team: desk}
  - {id: post, channel: email, team: desk, options: {public_address: help@acme.example}}
policies:
  - {id: personal, when: public && has(attributes.pii), invite_private: true, steps: [{team: desk}]}
  - {id: rest, steps: [{team: desk}]}
texts: [{kind: private, text: "Please write to {{ alternative.address }}."}]
"""
OWED = "tag = public AND unanswered = true"


async def written(producer: Producer, tenant: str, *tags: str) -> InboundEvent:
    """A customer wrote something personal."""
    event = kit.inbound(tenant, kit.new_id(), "call me at any time")
    event.message.tags.extend(tags)
    event.message.attributes["pii"] = "phone"
    return await kit.send(producer, event)


async def listed(desk: kit.Desk, text: str) -> list[str]:
    """The conversations that a filter shows."""
    found = await desk.call("ListConversations", asks.ListConversationsRequest(filter=text))
    return [c.conversation_id for c in found.conversations]


async def test_an_invitation_is_sent_and_the_public_reply_owed_until_an_agent_gives_it(
    services: Services, stack: Stack, producer: Producer
) -> None:
    """Delivery gets the text as an automatic one; the desk sees what is owed, and what was only said to us is not."""
    tenant = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, tenant, CONFIG)
    async with kit.desk(services, tenant) as desk:
        await desk.presence("cleo")
        told, open_ = await written(producer, tenant), await written(producer, tenant, "public")
        await desk.offered(told.conversation_id)
        offered = await desk.offered(open_.conversation_id)
        assert offered.public_reply_owed_since == offered.unanswered_since
        assert offered.HasField("public_reply_owed_since")
        assert await listed(desk, OWED) == [open_.conversation_id]
        await desk.accept(offered, "cleo")
        answer = await desk.reply(open_.conversation_id, "cleo", "We have written to you.")
        assert not answer.conversation.HasField("public_reply_owed_since")
        assert await listed(desk, OWED) == []
        assert await listed(desk, "unanswered = true") == [told.conversation_id]

        async def sent() -> list[OutboundMessage] | None:
            found = await kit.outbound_messages(stack.bootstrap)
            ours = [m for m in found if m.conversation_id in (told.conversation_id, open_.conversation_id)]
            return ours if any(not m.automatic for m in ours) else None

        messages = await kit.eventually(sent, what="the reply")
        assert [(m.automatic, m.content.text, m.conversation_id) for m in messages] == [
            (True, "Please write to help@acme.example.", open_.conversation_id),
            (False, "We have written to you.", open_.conversation_id),
        ]
