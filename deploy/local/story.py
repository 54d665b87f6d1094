"""What the demo's chapters share: telling, waiting for a fact, acting as an agent."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from trunkline.common.v1.common_pb2 import Content
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.router.v1 import router_service_pb2 as router
from trunkline.router.v1.router_service_pb2_grpc import RouterServiceStub
from trunkline_common.kafka import Producer

from deploy.local.demo_config import TENANT
from deploy.local.otlp import Receiver
from deploy.local.services import Services
from deploy.local.topiclog import TopicLog
from tests.doubles.graph import GraphDouble
from tests.doubles.twilio import TwilioDouble

T = TypeVar("T")
PATIENCE_S = 30.0


class Shortfall(Exception):
    """Something that should have happened did not."""


@dataclass(slots=True)
class Story:
    """What the chapters share."""

    services: Services
    graph: GraphDouble
    twilio: TwilioDouble
    otlp: Receiver
    log: TopicLog
    producer: Producer
    metadata: list[tuple[str, str]]
    began: float = field(default_factory=time.monotonic)
    sent: int = 0

    def tell(self, line: str) -> None:
        """A plain line with the time since the beginning."""
        print(f"{time.monotonic() - self.began:6.1f} s  {line}", flush=True)

    async def until(self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE_S) -> T:
        """The first answer of `look` that is there; Shortfall after `seconds`."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None or found is False:
            if time.monotonic() > deadline:
                raise Shortfall(f"{what}: did not happen within {seconds:g} s")
            await self.log.changed(0.2)
        return found

    def events(self, conversation: str, kind: str) -> list[ConversationEvent]:
        """The conversation's events of one kind, each once."""
        return [e for e in self.log.conversations.get(conversation, {}).values() if e.WhichOneof("payload") == kind]

    def first(self, conversation: str, kind: str) -> ConversationEvent | None:
        """The first event of a kind, None where there is none yet."""
        return next(iter(self.events(conversation, kind)), None)

    def conversation_with(self, text: str) -> str | None:
        """The conversation in which a customer wrote this."""
        for conversation, events in self.log.conversations.items():
            if any(e.message_received.content.text.strip() == text for e in events.values()):
                return conversation
        return None

    async def desk(self, method: str, request: Any) -> Any:
        """A command as agents' tools send it: repeated with its request_id while nobody answers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                async with grpc.aio.insecure_channel(self.services.address("router")) as channel:
                    call = getattr(RouterServiceStub(channel), method)
                    return await call(request, metadata=self.metadata, timeout=5)
            except grpc.aio.AioRpcError as error:
                patient = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
                if not patient or time.monotonic() > deadline:
                    raise Shortfall(f"{method}: {error.code().name} {error.details()}") from error
                await asyncio.sleep(0.2)

    async def presence(self, agent: str) -> None:
        """An agent comes online."""
        online = router.Presence.PRESENCE_ONLINE
        await self.desk(
            "SetAgentPresence", router.SetAgentPresenceRequest(request_id=new_id(), agent_id=agent, presence=online)
        )

    async def take(self, conversation: str, offers: int = 1) -> str:
        """Wait for the conversation's offer of that number and accept it; the agent."""

        def made() -> ConversationEvent | None:
            found = self.events(conversation, "offer_made")
            return found[-1] if len(found) >= offers else None

        offer = (await self.until("an offer", made)).offer_made
        self.tell(f"  offered to {offer.agent_id}, who accepts")
        request = router.AcceptOfferRequest(
            request_id=new_id(), conversation_id=conversation, offer_id=offer.offer_id, agent_id=offer.agent_id
        )
        await self.desk("AcceptOffer", request)
        return str(offer.agent_id)

    async def reply(self, conversation: str, agent: str, text: str) -> str:
        """The agent answers; the message id."""
        answer = await self.desk(
            "SendReply",
            router.SendReplyRequest(
                request_id=new_id(), conversation_id=conversation, agent_id=agent, content=Content(text=text)
            ),
        )
        return str(answer.message_id)

    def webhook(self, channel: str, account: str) -> str:
        """Where a provider posts."""
        return f"http://{self.services.address('ingest', 'http')}/webhooks/{channel}/{TENANT}/{account}"


def new_id() -> str:
    """A request id."""
    return str(uuid.uuid4())
