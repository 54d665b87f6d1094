"""The process on real Kafka and PostgreSQL: briefs, pages, rebuilds, poison, tenants."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from trunkline.config.v1.config_pb2 import BusinessCalendar, SlaPolicy, SlaRule, TenantConfig
from trunkline.sla.v1.sla_event_pb2 import Metric
from trunkline.sla.v1.sla_service_pb2 import CLOCK_STATE_FULFILLED, CLOCK_STATE_PAUSED, CLOCK_STATE_RUNNING
from trunkline.timeline.v1.timeline_service_pb2 import (
    GetHandoffBriefRequest,
    ListTimelineRequest,
    LookupCustomerRequest,
)
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common.kafka import Outgoing
from trunkline_common.rpc_errors import from_rpc

from deploy.local.keys import Role
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.kit import eventually, read_topic, token_metadata
from tests.sla.talk import Talk, agent, produce

pytestmark = pytest.mark.stack


def new_tenant() -> str:
    """A tenant no other test uses."""
    return f"t-{uuid.uuid4().hex[:8]}"


class Client:
    """Asks the service as somebody of a tenant."""

    def __init__(self, channel: Any, metadata: list[tuple[str, str]]) -> None:
        self._stub, self._metadata = TimelineServiceStub(channel), metadata

    async def brief(self, talk: Talk) -> Any:
        """GetHandoffBrief; None where the conversation is not there yet."""
        request = GetHandoffBriefRequest(conversation_id=talk.conversation_id)
        try:
            return await self._stub.GetHandoffBrief(request, metadata=self._metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            if from_rpc(error).reason == "CONVERSATION_NOT_FOUND":
                return None
            raise

    async def lookup(self, address: str) -> Any:
        """LookupCustomer of the account that talks use."""
        request = LookupCustomerRequest(channel="whatsapp", account="main", address=address)
        return await self._stub.LookupCustomer(request, metadata=self._metadata, timeout=5)

    async def entries(self, **request: Any) -> list[Any]:
        """ListTimeline, page after page."""
        found, token = [], ""
        while True:
            page = await self._stub.ListTimeline(
                ListTimelineRequest(page_token=token, **request), metadata=self._metadata, timeout=5
            )
            found += page.entries
            token = page.next_page_token
            if not token:
                return found


@asynccontextmanager
async def client(services: Services, tenant: str, role: Role = "agent") -> AsyncIterator[Client]:
    """A caller."""
    async with grpc.aio.insecure_channel(services.address("timeline")) as channel:
        yield Client(channel, token_metadata(services.keys, role, tenant, "ada"))


async def rows(stack: Stack, query: str, *args: object) -> list[tuple[Any, ...]]:
    """Rows of schema timeline."""
    connection = await asyncpg.connect(stack.database_url, server_settings={"search_path": "timeline"})
    try:
        return [tuple(row) for row in await connection.fetch(query, *args)]
    finally:
        await connection.close()


def handed_over(tenant: str, address: str) -> Talk:
    """A conversation that ben had, and gave to billing."""
    talk = Talk(tenant, address=address).begin("I paid twice").later(1).assigned("ben").replies("ben", "one moment")
    moved = {"from_team": "support", "from_agent_id": "ben", "to_team": "billing", "reason": "needs a refund"}
    talk.later(1).add(agent("ben"), note_added={"agent_id": "ben", "text": "order 7"})
    return talk.add(agent("ben"), conversation_transferred=moved).queued("billing").later(1).writes("anyone?")


#: Of a conversation that was answered, written to again, and snoozed.
STATES = {
    "first_response": CLOCK_STATE_FULFILLED,
    "next_response": CLOCK_STATE_RUNNING,
    "periodic_update": CLOCK_STATE_RUNNING,
    "requester_wait": CLOCK_STATE_PAUSED,
    "agent_work": CLOCK_STATE_PAUSED,
    "resolution": CLOCK_STATE_PAUSED,
}


def everything_promised(tenant: str) -> Outgoing:
    """Every metric within four hours of a calendar."""
    hours = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    support = BusinessCalendar(id="support", document=json.dumps({"tz": "UTC", "weekly": hours}))
    rules = [SlaRule(metric=metric, target_s=14_400) for metric in STATES]
    policy = SlaPolicy(id="p", calendar="support", rules=rules)
    config = TenantConfig(tenant=tenant, version=1, sla_policies=[policy], calendars=[support])
    return Outgoing("trunkline.config.v1", f"{tenant}/1".encode(), config.SerializeToString())


async def test_the_brief_holds_what_was_said(stack: Stack, services: Services) -> None:
    """Words, agents, handoffs, what waits for an answer, earlier conversations, clocks; or why there are none."""
    tenant, address = new_tenant(), "+15550100"
    await services.start_all(["sla", "timeline"])
    before = (
        Talk(tenant, address=address).begin("first time").replies("eve").add(agent("eve"), conversation_resolved={})
    )
    talk = handed_over(tenant, address)
    talk.writes("hello?").later(1).add(agent("ben"), conversation_snoozed={})
    await produce(stack.bootstrap, [everything_promised(tenant), *before.records(), *talk.records()])
    async with client(services, tenant) as asking:

        async def whole() -> Any:
            found = await asking.brief(talk)
            return found if found and len(found.earlier) == 1 and len(found.clocks) == 6 else None

        found = await eventually(whole)
        assert [e.content.text for e in found.said] == ["I paid twice", "one moment", "order 7", "anyone?", "hello?"]
        kinds = ["message_received", "message_sent", "note_added", "message_received", "message_received"]
        assert [e.kind for e in found.said] == kinds
        assert found.previous_agents == ["ben"]
        [handoff] = found.handoffs
        assert (handoff.from_team, handoff.from_agent_id, handoff.to_team) == ("support", "ben", "billing")
        assert handoff.reason == "needs a refund"
        assert [e.content.text for e in found.unanswered] == ["anyone?", "hello?"]
        [earlier] = found.earlier
        assert (earlier.conversation_id, earlier.status, earlier.subject) == (
            before.conversation_id,
            "resolved",
            "Order 7",
        )
        assert (found.contact.address, found.contact.display_name, found.channel) == (address, "Ada", "whatsapp")
        assert {Metric.Name(c.metric)[7:].lower(): c.state for c in found.clocks} == STATES
        assert {c.target_text for c in found.clocks} == {"4 h of calendar support"}
        assert found.clocks_fallback == ""
        await services.stop("sla")
        found = await asking.brief(talk)
        assert (list(found.clocks), found.clocks_fallback) == ([], "unavailable")
        assert len(found.said) == 5


async def test_what_is_too_long_for_one_answer_is_told_in_parts(stack: Stack, services: Services) -> None:
    """History in pages that end early; a brief has the newest words and the oldest that wait for an answer."""
    tenant, words = new_tenant(), "x" * 250_000
    await services.start("timeline")
    talk = Talk(tenant).begin("first")
    for _ in range(20):
        talk.later(1).writes(words)
    talk.later(1).writes("last")
    await produce(stack.bootstrap, talk.records())
    async with client(services, tenant) as asking:

        async def whole() -> Any:
            found = await asking.brief(talk)
            return found if found and found.said[-1].content.text == "last" else None

        found = await eventually(whole)
        assert [len(e.content.text) for e in found.said] == [250_000] * 3 + [4]
        assert [len(e.content.text) for e in found.unanswered] == [5] + [250_000] * 3
        seen = await asking.entries(conversation_id=talk.conversation_id, page_size=500)
        assert [e.seq for e in seen] == list(range(1, len(talk.events) + 1))


async def test_who_is_asking_and_what_happened(stack: Stack, services: Services) -> None:
    """The router learns who served a contact last; pages of history join to the whole; a stranger sees nothing."""
    tenant, address = new_tenant(), "+15550101"
    await services.start("timeline")
    talks = [handed_over(tenant, address) for _ in range(2)]
    await produce(stack.bootstrap, [r for talk in talks for r in talk.records()])
    async with client(services, tenant, "service") as asking:

        async def known() -> Any:
            found = await asking.lookup(address)
            return found if found.conversations == 2 else None

        found = await eventually(known)
        assert found.last_agent_id == "ben"
        unseen = await asking.lookup("+15550199")
        assert (unseen.conversations, unseen.last_agent_id) == (0, "")
        assert unseen.customer_id not in ("", found.customer_id)
        number = len(talks[0].events)

        async def all_there() -> Any:
            entries = await asking.entries(customer_id=found.customer_id)
            return entries if len(entries) == 2 * number else None

        entries = await eventually(all_there)
        times = [e.occurred_at.ToNanoseconds() for e in entries]
        assert times == sorted(times)
        assert await asking.entries(customer_id=found.customer_id, page_size=3) == entries
        one = await asking.entries(conversation_id=talks[0].conversation_id, page_size=4)
        assert [e.seq for e in one] == list(range(1, number + 1))
        assert [e.event_id for e in one] == [e.event_id for e in talks[0].events]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asking.entries()
        assert from_rpc(refused.value).reason == "INVALID_REQUEST"
    async with client(services, new_tenant()) as stranger:
        assert await stranger.brief(talks[0]) is None
        assert await stranger.entries(customer_id=found.customer_id) == []
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stranger.entries(conversation_id=talks[0].conversation_id)
        assert from_rpc(refused.value).reason == "CONVERSATION_NOT_FOUND"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stranger.lookup(address)
        assert from_rpc(refused.value).reason == "ROLE_FORBIDDEN"


KEYS = {"customer": "customer_id", "conversation": "conversation_id", "entry": "conversation_id, seq"}


async def table(stack: Stack, tenant: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a tenant, all tables as of one instant: the projector commits while we read."""
    connection = await asyncpg.connect(stack.database_url, server_settings={"search_path": "timeline"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {
                name: [
                    tuple(row)
                    for row in await connection.fetch(f"select * from {name} where tenant = $1 order by {key}", tenant)  # noqa: S608
                ]
                for name, key in KEYS.items()
            }
    finally:
        await connection.close()


async def test_rebuilt_equals_live(stack: Stack, services: Services) -> None:
    """Records that come twice change nothing, and the log read again from its beginning gives the same rows (P5)."""
    tenant = new_tenant()
    await services.start("timeline")
    talks = [handed_over(tenant, f"+1555020{n % 3}") for n in range(5)]
    for talk in talks:
        await produce(stack.bootstrap, talk.records())
        await produce(stack.bootstrap, talk.records())
    number = sum(len(talk.events) for talk in talks)

    async def complete() -> Any:
        found = await table(stack, tenant)
        return found if len(found["entry"]) == number else None

    live = await eventually(complete)
    assert [len(live["customer"]), len(live["conversation"])] == [3, 5]
    await services.stop("timeline")
    assert await table(stack, tenant) == live
    messages = await rows(stack, "select messages from conversation where tenant = $1", tenant)
    assert messages == [(3,)] * 5
    await rows(stack, "truncate customer, conversation, entry, consumer_partition")
    await services.start("timeline")
    assert await eventually(complete) == live


async def test_poison_stops_nobody(stack: Stack, services: Services) -> None:
    """Bytes that are no event go to the dead letters with the reason; what surrounds them is projected (P6)."""
    tenant = new_tenant()
    await services.start("timeline")
    talk = handed_over(tenant, "+15550102")
    good = talk.records()
    poison = Outgoing(good[0].topic, good[0].key, b"\xff\xff", {"ce_id": tenant.encode()})
    await produce(stack.bootstrap, [*good[:2], poison, *good[2:]])
    async with client(services, tenant) as asking:

        async def whole() -> Any:
            found = await asking.brief(talk)
            return found if found and len(found.said) == 4 else None

        await eventually(whole)

    async def dead() -> Any:
        found = await read_topic(stack.bootstrap, "trunkline.conversations.dlq.v1")
        return [r for r in found if dict(r.headers).get("ce_id") == tenant.encode()]

    [letter] = await eventually(dead)
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (poison.key, b"\xff\xff")
    assert (headers["dlq.reason"], headers["dlq.group"]) == (b"NOT_PROTOBUF", b"timeline")
