"""The commands and lists of RouterService on real Kafka and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1.common_pb2 import Attachment, Contact, Content
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.kafka import Producer
from trunkline_router import threads

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.router.service import CONFIG, reason, wrong

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
TWO_POOLS = """
pools: [{id: north}, {id: south}]
teams: [{id: n1, pool: north}, {id: n2, pool: north}, {id: s1, pool: south}]
agents: [{id: ana, teams: [n1]}]
accounts: [{id: own-app, channel: app, team: n1}]
"""


async def command(desk: kit.Desk, method: str, conversation_id: str = "", **fields: Any) -> Any:
    """A command with a request_id of its own."""
    kind = getattr(asks, f"{method}Request", None) or getattr(api, f"{method}Request")
    if conversation_id:
        fields["conversation_id"] = conversation_id
    return await desk.until_done(method, kind(request_id=kit.new_id(), **fields))


async def refusal(desk: kit.Desk, method: str, conversation_id: str = "", **fields: Any) -> tuple[str, dict[str, str]]:
    """Why a command is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await command(desk, method, conversation_id, **fields)
    return reason(refused.value)


async def waiting(desk: kit.Desk, producer: Producer, tenant: str, count: int = 1) -> list[str]:
    """New conversations, in the queue of billing in this order."""
    ids = [kit.new_id() for _ in range(count)]
    for conversation in ids:
        await kit.send(producer, kit.inbound(tenant, conversation, "hello"))
    await kit.eventually(lambda: desk.get(ids[-1]), what="the last conversation")
    return ids


async def listed(desk: kit.Desk, text: str = "", order_by: str = "", size: int = 50) -> list[str]:
    """The ids of every page."""
    seen, token = list[str](), ""
    while True:
        asked = asks.ListConversationsRequest(filter=text, order_by=order_by, page_size=size, page_token=token)
        page = await desk.call("ListConversations", asked)
        seen += [c.conversation_id for c in page.conversations]
        token = page.next_page_token
        if not token:
            return seen


def later(**since_now: float) -> datetime:
    """An instant that is still to come."""
    return datetime.now(UTC) + timedelta(**since_now)


LONG = "x" * 20_000
START = {"channel": "app", "account": "own-app", "content": Content(text="hello"), "consent": "by phone"}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("SetAgentPresence", {"agent_id": "ana", "presence": 99}, "presence"),
    ("SetAgentPresence", {"agent_id": "ana", "presence": -1}, "presence"),
    ("ScheduleCallback", {"begins_at": Timestamp(seconds=253_402_300_799)}, "begins_at"),
    ("ScheduleCallback", {"begins_at": Timestamp(nanos=-1)}, "begins_at"),
    ("PutAgent", {"agent_id": "manager", "teams": ["billing"]}, "agent_id"),
    (
        "SendReply",
        {"agent_id": "ana", "content": Content(attachments=[Attachment(ref="")])},
        "content.attachments[0].ref",
    ),
    ("StartConversation", START | {"contact": Contact(address="+1", display_name=LONG)}, "contact.display_name"),
    ("ChangeAttributes", {"priority": "9" * 30}, "priority"),
    ("ChangeAttributes", {"priority": "\u0665"}, "priority"),
    ("TransferConversation", {"to_team": "billing", "reason": "  "}, "reason"),
    ("TransferConversation", {"to_team": "billing"}, "reason"),
    ("ScheduleCallback", {"begins_at": Timestamp(seconds=1)}, "begins_at"),
    ("SnoozeConversation", {"until": Timestamp(seconds=2**63 - 1)}, "until"),
]


async def test_a_wrong_field_is_named(services: Services, producer: Producer, tenant: str) -> None:
    """Whatever a client may send: never INTERNAL."""
    async with kit.desk(services, tenant) as desk:
        (conversation,) = await waiting(desk, producer, tenant)
        for method, fields, field in WRONG:
            named = "" if method in ("SetAgentPresence", "PutAgent", "StartConversation") else conversation
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await command(desk, method, named, **fields)
            assert wrong(refused.value) == [field], (method, fields)


@pytest.mark.parametrize(
    ("method", "asked", "code"),
    [
        ("GetConversation", api.GetConversationRequest(conversation_id=LONG), "INVALID_ARGUMENT"),
        ("GetAgent", asks.GetAgentRequest(agent_id=LONG), "INVALID_ARGUMENT"),
        ("ListQueue", api.ListQueueRequest(team=LONG), "NOT_FOUND"),
        ("ListConversations", asks.ListConversationsRequest(order_by=LONG), "INVALID_ARGUMENT"),
        ("ListConversations", asks.ListConversationsRequest(filter=f"{LONG} = 1"), "INVALID_ARGUMENT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_far_too_long_is_refused_with_a_reason(
    services: Services, tenant: str, method: str, asked: Any, code: str
) -> None:
    """The answer repeats so much of it that it still arrives."""
    async with kit.desk(services, tenant) as desk:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.until_done(method, asked)
    assert refused.value.code().name == code
    assert reason(refused.value)[0] in ("INVALID_REQUEST", "TEAM_NOT_FOUND")


async def test_a_document_with_very_many_errors_is_told_the_first_of_them(services: Services, tenant: str) -> None:
    """And how many there are besides: all of them would not arrive."""
    teams = "".join(f"  - {{id: 'Not an id {n}'}}\n" for n in range(300))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await kit.apply_config(services, tenant, f"teams:\n{teams}")
    why, facts = reason(refused.value)
    assert why == "INVALID_CONFIG"
    assert 150 < int(facts["violations_left_out"]) < 300


async def test_pages_end_early_where_conversations_are_large(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Each has a tenth of a megabyte; all of them would be more than a page takes."""
    async with kit.desk(services, tenant) as desk:
        ids = await waiting(desk, producer, tenant, 20)
        values = {f"note{n}": "x" * 1000 for n in range(100)}
        for conversation in ids:
            await command(desk, "ChangeAttributes", conversation, set_values=values)
        assert await listed(desk, size=500) == ids
        seen, token = list[str](), ""
        while True:
            page = await desk.call("ListQueue", api.ListQueueRequest(team="billing", page_size=500, page_token=token))
            assert page.ByteSize() < 1_100_000
            seen += [c.conversation_id for c in page.conversations]
            if not (token := page.next_page_token):
                break
        assert seen == ids


async def test_an_agent_made_by_a_command_gets_work_and_leaves_it_when_removed(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Skills, capacity and name are theirs; the document's agents are the document's."""
    async with kit.desk(services, tenant) as desk:
        made = await command(desk, "PutAgent", agent_id="zoe", name="Zoe", teams=["billing"], capacity=1)
        assert (made.agent.capacity, made.agent.by_api) == (1, True)
        await desk.presence("zoe")
        (conversation,) = await waiting(desk, producer, tenant)
        assert (await desk.offered(conversation)).offered_agent_id == "zoe"
        seen = await desk.call("GetAgent", asks.GetAgentRequest(agent_id="zoe"))
        assert ([c.conversation_id for c in seen.conversations], seen.agent.load) == ([conversation], 1)
        await kit.apply_config(services, tenant, CONFIG)
        await command(desk, "PutAgent", agent_id="zoe", teams=["billing"], skills={"sv": 2})
        await command(desk, "DeleteAgent", agent_id="zoe")
        assert (await desk.get(conversation)).status == api.CONVERSATION_STATUS_QUEUED
        assert (await refusal(desk, "DeleteAgent", agent_id="zoe"))[0] == "AGENT_NOT_FOUND"
        assert (await refusal(desk, "PutAgent", agent_id="ana", teams=["billing"]))[0] == "AGENT_OF_DOCUMENT"
        assert (await refusal(desk, "DeleteAgent", agent_id="ana"))[0] == "AGENT_OF_DOCUMENT"
        assert (await refusal(desk, "PutAgent", agent_id="zoe", teams=["nowhere"]))[0] == "TEAM_NOT_FOUND"
        assert (await refusal(desk, "PutAgent", agent_id="zoe", teams=["billing"], caps={"x": 1}))[
            0
        ] == "INVALID_REQUEST"


async def test_an_agent_made_by_a_command_is_of_one_pool(services: Services) -> None:
    """By a command or by a document: nobody can be in two."""
    tenant = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, tenant, TWO_POOLS)
    async with kit.desk(services, tenant) as desk:
        await command(desk, "PutAgent", agent_id="zoe", teams=["s1"])
        assert (await desk.presence("zoe")).agent.presence == api.PRESENCE_ONLINE
        other = await refusal(desk, "PutAgent", agent_id="zoe", teams=["n1"])
        assert other == ("AGENT_OF_ANOTHER_POOL", {"agent_id": "zoe", "pool": f"{tenant}/south"})
        assert (await refusal(desk, "PutAgent", agent_id="kim", teams=["n1", "s1"]))[0] == "INVALID_REQUEST"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await kit.apply_config(services, tenant, TWO_POOLS.replace("{id: ana", "{id: zoe"))
        assert reason(refused.value)[0] == "INVALID_CONFIG"
        assert "agents[0].id" in str(refused.value.details())
        await command(desk, "DeleteAgent", agent_id="zoe")
        assert (await command(desk, "PutAgent", agent_id="zoe", teams=["n2"])).agent.teams == ["n2"]
        agents, token = list[str](), ""
        while not agents or token:
            page = await desk.call("ListAgents", api.ListAgentsRequest(page_token=token))
            agents, token = [*agents, *(a.agent_id for a in page.agents)], page.next_page_token
        assert agents == ["ana", "zoe"]


async def test_a_pull_goes_beyond_capacity_and_only_takes_what_waits(
    services: Services, producer: Producer, tenant: str
) -> None:
    """Nobody is robbed by a pull; a supervisor may assign anything."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        ids = await waiting(desk, producer, tenant, 4)
        for conversation in ids:
            pulled = await command(cleo, "PullConversation", conversation, agent_id="cleo")
            assert pulled.conversation.assigned_agent_id == "cleo"
        seen = await cleo.call("GetAgent", asks.GetAgentRequest(agent_id="cleo"))
        assert (seen.agent.load, seen.agent.capacity) == (4, 3)
        robbed = await refusal(desk, "PullConversation", ids[0], agent_id="dan")
        assert robbed[0] == "CONVERSATION_STATUS"
        assert (await refusal(cleo, "AssignConversation", ids[0], agent_id="cleo"))[0] == "ROLE_FORBIDDEN"
        given = await command(desk, "AssignConversation", ids[0], agent_id="dan")
        assert given.conversation.assigned_agent_id == "dan"
        assert (await refusal(desk, "AssignConversation", ids[0], agent_id="ben"))[0] == "AGENT_NOT_IN_TEAM"
        back = await command(cleo, "ReleaseConversation", ids[1], agent_id="cleo", reason="too much")
        assert (back.conversation.status, back.conversation.position) == (api.CONVERSATION_STATUS_QUEUED, 1)


async def test_a_snoozed_conversation_wakes_when_its_customer_writes(
    services: Services, producer: Producer, tenant: str
) -> None:
    """With its agent; so it does when it is due, or when the agent wants it back."""
    async with kit.desk(services, tenant) as desk:
        first, second = await waiting(desk, producer, tenant, 2)
        for conversation in (first, second):
            await command(desk, "PullConversation", conversation, agent_id="cleo")
        until = later(hours=1)
        slept = await command(desk, "SnoozeConversation", first, agent_id="cleo", until=until)
        assert slept.conversation.wakes_at.ToDatetime(UTC) == until
        await kit.send(producer, kit.inbound(tenant, first, "are you there?"))

        async def awake() -> bool:
            found = await desk.get(first)
            return bool(found.status == api.CONVERSATION_STATUS_ASSIGNED and found.assigned_agent_id == "cleo")

        await kit.eventually(awake, what="the conversation awake")
        await command(desk, "SnoozeConversation", second, agent_id="cleo", until=until)
        woken = await command(desk, "WakeConversation", second, agent_id="cleo")
        assert woken.conversation.status == api.CONVERSATION_STATUS_ASSIGNED
        past = await refusal(desk, "SnoozeConversation", second, agent_id="cleo", until=later(hours=-1))
        assert past[0] == "INVALID_REQUEST"


async def test_two_conversations_become_one_and_one_becomes_two(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """What is written to the merged one is written to the other one."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        first, second = await waiting(desk, producer, tenant, 2)
        forbidden = await refusal(cleo, "MergeConversations", first, agent_id="cleo", into_conversation_id=second)
        assert forbidden[0] == "ROLE_FORBIDDEN"
        merged = await command(desk, "MergeConversations", first, into_conversation_id=second)
        assert (merged.conversation.merged_into, merged.into.conversation_id) == (second, second)
        assert merged.into.position == 1
        again = await refusal(desk, "MergeConversations", second, into_conversation_id=first)
        assert again[0] == "CANNOT_MERGE"
        await kit.send(producer, kit.inbound(tenant, first, "one more thing"))

        async def written() -> list[str] | None:
            log = (await kit.conversation_log(stack.bootstrap, tenant)).get(second, [])
            return [e.message_received.content.text for e in log if e.HasField("message_received")][1:]

        assert await kit.eventually(written) == ["one more thing"]
        split = await command(desk, "SplitConversation", second, subject="The other matter")
        assert (split.new_conversation.team, split.new_conversation.position) == ("billing", 2)


async def test_a_command_on_a_state_that_has_passed_is_refused(
    services: Services, producer: Producer, tenant: str
) -> None:
    """The answer names the present seq; a retry of a command that was carried out is answered as before."""
    async with kit.desk(services, tenant) as desk:
        (conversation,) = await waiting(desk, producer, tenant)
        seen = await desk.get(conversation)
        request = asks.PullConversationRequest(
            request_id=kit.new_id(), conversation_id=conversation, agent_id="cleo", expected_seq=seen.seq
        )
        first = await desk.until_done("PullConversation", request)
        assert await desk.until_done("PullConversation", request) == first
        stale = await refusal(desk, "ReleaseConversation", conversation, agent_id="cleo", expected_seq=seen.seq)
        assert stale[0] == "ETAG_MISMATCH"
        assert (stale[1]["expected_seq"], stale[1]["seq"]) == (str(seen.seq), str(first.conversation.seq))
        assert stale[1]["assigned_agent"] == "cleo"


async def test_attributes_change_the_place_in_the_queue_and_the_lists(
    services: Services, producer: Producer, tenant: str
) -> None:
    """A service that is no agent changes them; filters, orders and pages agree with what it set."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "service", "crm") as crm:
        ids = await waiting(desk, producer, tenant, 5)
        changed = await command(
            crm, "ChangeAttributes", ids[4], set_values={"plan": "gold"}, add_tags=["vip"], priority="urgent"
        )
        assert (changed.conversation.position, dict(changed.conversation.attributes.values)) == (1, {"plan": "gold"})
        cleared = await command(crm, "ChangeAttributes", ids[4], remove_values=["plan"], language="de")
        assert dict(cleared.conversation.attributes.values) == {}
        assert (await refusal(crm, "ChangeAttributes", ids[4], priority="soon"))[0] == "INVALID_REQUEST"
        await command(desk, "PullConversation", ids[0], agent_id="cleo")
        assert await listed(desk, size=2) == ids
        assert await listed(desk, order_by="conversation_id desc", size=3) == sorted(ids, reverse=True)
        assert await listed(desk, "status = QUEUED AND tag != vip AND team = billing", size=1) == ids[1:4]
        assert await listed(desk, "agent = cleo") == ids[:1]
        assert await listed(desk, 'priority = "urgent" AND language = de') == ids[4:]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listed(desk, "team = billing OR team = support")
        assert reason(refused.value)[0] == "INVALID_REQUEST"
        assert "position 16" in str(refused.value.details())


async def test_work_is_handed_to_an_agent_or_scheduled(services: Services, producer: Producer, tenant: str) -> None:
    """A transfer to an agent needs no team; a callback has a window of half an hour unless it is given one."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        first, second = await waiting(desk, producer, tenant, 2)
        for conversation in (first, second):
            await command(cleo, "PullConversation", conversation, agent_id="cleo")
        moved = await command(
            cleo, "TransferConversation", first, agent_id="cleo", to_agent_id="dan", reason="knows it"
        )
        assert (moved.conversation.assigned_agent_id, moved.conversation.transfers) == ("dan", 1)
        nowhere = await refusal(cleo, "TransferConversation", second, agent_id="cleo", reason="none")
        assert nowhere[0] == "INVALID_REQUEST"
        begins = later(hours=2)
        call = await command(cleo, "ScheduleCallback", second, agent_id="cleo", begins_at=begins)
        assert call.conversation.status == api.CONVERSATION_STATUS_SCHEDULED
        assert call.conversation.callback_ends_at.ToDatetime(UTC) == begins + timedelta(minutes=30)
        nameless = await refusal(cleo, "ResolveConversation", first)
        assert nameless[0] == "INVALID_REQUEST"


async def test_we_write_first_with_consent_and_the_answer_comes_to_the_same_conversation(
    services: Services, stack: Stack, producer: Producer, tenant: str
) -> None:
    """The consent is kept; without one nothing is sent."""
    who: dict[str, Any] = {"channel": "app", "account": "own-app", "contact": Contact(address="c-7")}
    said = Content(text="Your parcel is here.")
    async with kit.desk(services, tenant, "agent", "cleo") as cleo:
        without = await refusal(cleo, "StartConversation", agent_id="cleo", content=said, **who)
        assert without[0] == "INVALID_REQUEST"
        begun = await command(
            cleo, "StartConversation", agent_id="cleo", content=said, consent="order form, 2 March", **who
        )
        conversation = begun.conversation.conversation_id
        assert conversation == threads.conversation_id(tenant, "app", "own-app", "c-7")
        assert begun.conversation.assigned_agent_id == "cleo"
        assert dict(begun.conversation.attributes.values) == {"consent": "order form, 2 March"}
        await kit.send(producer, kit.inbound(tenant, conversation, "thanks"))

        async def told() -> Sequence[str] | None:
            log = (await kit.conversation_log(stack.bootstrap, tenant)).get(conversation, [])
            return kit.kinds(log) if len(log) > 3 else None

        assert await kit.eventually(told) == [
            "conversation_started",
            "message_sent",
            "conversation_assigned",
            "message_received",
        ]
        twice = await refusal(cleo, "StartConversation", agent_id="cleo", content=said, consent="form", **who)
        assert twice[0] == "CONVERSATION_EXISTS"
        unknown = {**who, "account": "other"}
        assert (await refusal(cleo, "StartConversation", agent_id="cleo", content=said, consent="form", **unknown))[
            0
        ] == ("ACCOUNT_NOT_FOUND")


async def test_an_agent_pauses_and_answers_again(services: Services, producer: Producer, tenant: str) -> None:
    """Not accepting: what they have stays, nothing new comes."""
    async with kit.desk(services, tenant) as desk, kit.desk(services, tenant, "agent", "cleo") as cleo:
        await cleo.presence("cleo")
        paused = await command(cleo, "SetAgentAccepting", agent_id="cleo", accepting=False)
        assert (paused.agent.accepting, paused.agent.presence) == (False, api.PRESENCE_ONLINE)
        (conversation,) = await waiting(desk, producer, tenant)
        assert (await desk.get(conversation)).position == 1
        await command(cleo, "ClearNotResponding", agent_id="cleo")
        await command(cleo, "EndWrapUp", agent_id="cleo")
        await command(cleo, "SetAgentAccepting", agent_id="cleo", accepting=True)
        assert (await desk.get(conversation)).offered_agent_id == "cleo"
