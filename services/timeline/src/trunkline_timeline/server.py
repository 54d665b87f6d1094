"""gRPC: TimelineService."""

from __future__ import annotations

from datetime import datetime

from trunkline.common.v1.common_pb2 import Contact
from trunkline.timeline.v1 import timeline_service_pb2 as pb
from trunkline.timeline.v1.timeline_service_pb2_grpc import (
    TimelineServiceServicer,
    add_TimelineServiceServicer_to_server,
)
from trunkline_common import pages, rpc
from trunkline_common.auth import Role, caller
from trunkline_common.errors import Refused, Violation, invalid_request
from trunkline_common.postgres import Pool

from trunkline_timeline import store, wire
from trunkline_timeline.history import Conversation, Entry, brief, customer_id
from trunkline_timeline.promises import Promises

READERS: tuple[Role, ...] = ("agent", "supervisor", "admin", "service")
POLICY = {
    "LookupCustomer": rpc.allow("service", required=("channel", "account", "address")),
    "ListTimeline": rpc.allow(*READERS),
    "GetHandoffBrief": rpc.allow(*READERS, required=("conversation_id",)),
}
SAID = 50  # messages and notes in a brief


class TimelineServer(TimelineServiceServicer):
    """Reads the history of the caller's tenant."""

    def __init__(self, pool: Pool, tokens: pages.PageTokens, promises: Promises) -> None:
        self._pool, self._tokens, self._promises = pool, tokens, promises

    async def LookupCustomer(self, request: pb.LookupCustomerRequest, context: object) -> pb.LookupCustomerResponse:  # noqa: ARG002, N802
        """Who a contact is, and who served them last."""
        tenant = caller().tenant
        who = customer_id(tenant, request.channel, request.account, request.address)
        conversations, last_agent = await store.lookup(self._pool, tenant, who)
        return pb.LookupCustomerResponse(customer_id=who, last_agent_id=last_agent, conversations=conversations)

    async def ListTimeline(self, request: pb.ListTimelineRequest, context: object) -> pb.ListTimelineResponse:  # noqa: ARG002, N802
        """What happened, oldest first."""
        if bool(request.conversation_id) == bool(request.customer_id):
            raise invalid_request(Violation("conversation_id", "give either conversation_id or customer_id"))
        size = pages.page_size(request.page_size)
        bound = (caller().tenant, "ListTimeline", request.conversation_id, request.customer_id)
        cursor = self._tokens.open(request.page_token, *bound)
        list_ = self._of_conversation if request.conversation_id else self._of_customer
        found = await list_(request, cursor, size + 1)
        response = pb.ListTimelineResponse(entries=pages.fitting(wire.to_entry(e) for e in found[:size]))
        if len(found) > len(response.entries):
            last = found[len(response.entries) - 1].event
            place = [last.at.isoformat(), last.conversation_id, last.seq]
            response.next_page_token = self._tokens.seal(place, *bound)
        return response

    async def _of_conversation(
        self, request: pb.ListTimelineRequest, cursor: list[object] | None, most: int
    ) -> list[Entry]:
        found = await self._conversation(request.conversation_id)
        after = int(str(cursor[2])) if cursor else 0
        return await store.of_conversation(self._pool, found.tenant, found.conversation_id, after, most)

    async def _of_customer(
        self, request: pb.ListTimelineRequest, cursor: list[object] | None, most: int
    ) -> list[Entry]:
        after = None
        if cursor:
            at, conversation_id, seq = map(str, cursor)
            after = (datetime.fromisoformat(at), conversation_id, int(seq))
        return await store.of_customer(self._pool, caller().tenant, request.customer_id, after, most)

    async def GetHandoffBrief(self, request: pb.GetHandoffBriefRequest, context: object) -> pb.GetHandoffBriefResponse:  # noqa: ARG002, N802
        """What the next agent must know."""
        found = await self._conversation(request.conversation_id)
        read = brief(await store.for_brief(self._pool, found.tenant, found.conversation_id, SAID), SAID)
        earlier = await store.earlier(self._pool, found)
        clocks, why_not = await self._promises.clocks(found.tenant, found.conversation_id)
        return pb.GetHandoffBriefResponse(
            conversation_id=found.conversation_id,
            customer_id=found.customer_id,
            contact=Contact(address=found.contact, display_name=found.display_name),
            channel=found.channel,
            subject=found.subject,
            said=reversed(pages.fitting(map(wire.to_entry, reversed(read.said)))),
            previous_agents=read.previous_agents,
            handoffs=map(wire.to_handoff, read.handoffs),
            unanswered=pages.fitting(map(wire.to_entry, read.unanswered)),
            earlier=map(_earlier, earlier),
            clocks=clocks,
            clocks_fallback=why_not,
        )

    async def _conversation(self, conversation_id: str) -> Conversation:
        found = await store.conversation(self._pool, caller().tenant, conversation_id)
        if found is None:
            raise Refused(
                "NOT_FOUND",
                "CONVERSATION_NOT_FOUND",
                f"there is no conversation {conversation_id}",
                metadata={"conversation_id": conversation_id},
            )
        return found


def _earlier(found: Conversation) -> pb.EarlierConversation:
    return pb.EarlierConversation(
        conversation_id=found.conversation_id,
        channel=found.channel,
        subject=found.subject,
        status=found.status,
        last_event_at=wire.timestamp(found.last_event_at),
    )


def service(pool: Pool, tokens: pages.PageTokens, promises: Promises) -> rpc.Service:
    """The service, ready to be served."""
    descriptor = pb.DESCRIPTOR.services_by_name["TimelineService"]
    server = TimelineServer(pool, tokens, promises)
    return rpc.Service(descriptor, server, add_TimelineServiceServicer_to_server, POLICY)
