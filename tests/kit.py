"""What tests on the running system share: callers with tokens, waiting for a fact, reading a topic."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
from aiokafka import AIOKafkaConsumer
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_service_pb2 import ApplyConfigRequest
from trunkline.config.v1.config_service_pb2_grpc import ConfigServiceStub
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import CustomerMessage, InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.router_service_pb2_grpc import RouterServiceStub
from trunkline_common.kafka import Outgoing, Producer

from deploy.local.keys import Keys, Role
from deploy.local.services import Services

T = TypeVar("T")


def new_id() -> str:
    """A request id."""
    return str(uuid.uuid4())


async def eventually(
    look: Callable[[], Awaitable[T | None]], *, seconds: float = 45.0, what: str = "the condition"
) -> T:
    """The first true answer of `look`; fails with what was last seen when the deadline passes."""
    deadline, seen = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        seen = await look()
        if seen:
            return seen
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {seconds} s; last seen: {seen!r}")


async def patiently(ask: Callable[[], Awaitable[Any]], *, seconds: float = 80.0) -> Any:
    """An answer, asked for again while it is UNAVAILABLE or late, as a client should; the request keeps its id."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            again = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            if not again or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


class Desk:
    """Calls as one person of one tenant."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._channel, self._metadata = channel, [("authorization", f"Bearer {token}")]
        self.stub: Any = RouterServiceStub(channel)

    async def call(self, method: str, request: Any, *, seconds: float = 10.0) -> Any:
        """One call of RouterService."""
        return await getattr(self.stub, method)(request, metadata=self._metadata, timeout=seconds)

    async def until_done(self, method: str, request: Any, *, seconds: float = 80.0) -> Any:
        """A command repeated with its request_id while the answer is UNAVAILABLE or late."""
        return await patiently(lambda: self.call(method, request, seconds=5.0), seconds=seconds)

    async def presence(self, agent: str, presence: str = "ONLINE") -> Any:
        """Set an agent's presence."""
        return await self.until_done(
            "SetAgentPresence",
            api.SetAgentPresenceRequest(
                request_id=new_id(), agent_id=agent, presence=api.Presence.Value(f"PRESENCE_{presence}")
            ),
        )

    async def get(self, conversation_id: str) -> Any:
        """A conversation, None where it is not there (yet)."""
        try:
            found = await self.until_done(
                "GetConversation", api.GetConversationRequest(conversation_id=conversation_id)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return found.conversation

    async def offered(self, conversation_id: str) -> Any:
        """The conversation once it is offered."""

        async def look() -> Any:
            found = await self.get(conversation_id)
            return found if found and found.offer_id else None

        return await eventually(look, what=f"an offer of {conversation_id}")

    async def accept(self, conversation: Any, agent: str) -> Any:
        """Accept the running offer."""
        return await self.until_done(
            "AcceptOffer",
            api.AcceptOfferRequest(
                request_id=new_id(),
                conversation_id=conversation.conversation_id,
                offer_id=conversation.offer_id,
                agent_id=agent,
            ),
        )

    async def reply(self, conversation_id: str, agent: str, text: str, request_id: str = "") -> Any:
        """Answer the customer."""
        return await self.until_done(
            "SendReply",
            api.SendReplyRequest(
                request_id=request_id or new_id(),
                conversation_id=conversation_id,
                agent_id=agent,
                content=Content(text=text),
            ),
        )


@asynccontextmanager
async def desk(services: Services, tenant: str, role: Role = "supervisor", subject: str = "sam",
               router: str = "router") -> AsyncIterator[Desk]:  # fmt: skip
    """A caller of the router."""
    token = services.keys.mint(role, tenant, subject, timedelta(hours=1))
    async with grpc.aio.insecure_channel(services.address(router)) as channel:
        yield Desk(channel, token)


async def apply_config(services: Services, tenant: str, yaml: str, router: str = "router") -> int:
    """Put a tenant's configuration in force; its version."""
    token = services.keys.mint("admin", tenant, "root", timedelta(hours=1))
    async with grpc.aio.insecure_channel(services.address(router)) as channel:
        stub: Any = ConfigServiceStub(channel)
        request = ApplyConfigRequest(request_id=new_id(), yaml=yaml)
        metadata = [("authorization", f"Bearer {token}")]
        answer = await patiently(lambda: stub.ApplyConfig(request, metadata=metadata, timeout=20))
    return int(answer.version)


def token_metadata(keys: Keys, role: Role, tenant: str, subject: str) -> list[tuple[str, str]]:
    """Metadata with a fresh token."""
    return [("authorization", f"Bearer {keys.mint(role, tenant, subject, timedelta(hours=1))}")]


def inbound(
    tenant: str, conversation_id: str, text: str, *, account: str = "own-app", event_id: str = ""
) -> InboundEvent:
    """A customer message as ingest would publish it."""
    event = InboundEvent(
        event_id=event_id or new_id(),
        tenant=tenant,
        pool=f"{tenant}/default",
        channel="app",
        account=account,
        conversation_id=conversation_id,
        provider_message_id=new_id(),
        message=CustomerMessage(contact=Contact(address=f"c-{conversation_id}"), content=Content(text=text)),
    )
    event.received_time.FromDatetime(datetime.now(UTC))
    return event


def record(event: InboundEvent) -> Outgoing:
    """The record of an inbound event."""
    return Outgoing(
        "trunkline.inbound.v1", event.pool.encode(), event.SerializeToString(), {"ce_id": event.event_id.encode()}
    )


async def send(producer: Producer, event: InboundEvent) -> InboundEvent:
    """Publish an inbound event."""
    await producer.send(record(event), timeout=15)
    return event


async def read_topic(bootstrap: str, topic: str) -> list[Any]:
    """Every record that is in a topic now."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        parts = sorted(consumer.assignment())
        ends = await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        records: list[Any] = []
        while any([await consumer.position(tp) < ends[tp] for tp in parts]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                records += found
        return records
    finally:
        await consumer.stop()


async def outbound_messages(bootstrap: str) -> list[OutboundMessage]:
    """Every message to customers that is in the topic now; who is typing is no message."""
    records = await read_topic(bootstrap, "trunkline.outbound.v1")
    ours = [r for r in records if dict(r.headers).get("ce_type") == b"trunkline.outbound.v1.OutboundMessage"]
    return [OutboundMessage.FromString(r.value) for r in ours]


async def conversation_log(bootstrap: str, tenant: str) -> dict[str, list[ConversationEvent]]:
    """The tenant's events by conversation, in order of offset, duplicates included."""
    found: dict[str, list[ConversationEvent]] = {}
    for raw in await read_topic(bootstrap, "trunkline.conversations.v1"):
        if dict(raw.headers).get("ce_tenant", b"").decode() == tenant:
            event = ConversationEvent.FromString(raw.value)
            found.setdefault(event.conversation_id, []).append(event)
    return found


def kinds(events: list[ConversationEvent]) -> list[str]:
    """Payload names, in order, without resent duplicates."""
    seen: dict[int, str] = {}
    for event in events:
        seen.setdefault(event.seq, event.WhichOneof("payload") or "")
    return [seen[seq] for seq in sorted(seen)]
