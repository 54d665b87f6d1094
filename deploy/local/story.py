"""The demo's chapters: each does what customers, agents and integrators do, and tells it as it happens."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, TypeVar

import aiosmtplib
import grpc
from trunkline.common.v1.common_pb2 import Content
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.router.v1 import router_service_pb2 as router
from trunkline.router.v1.router_service_pb2_grpc import RouterServiceStub
from trunkline.timeline.v1 import timeline_service_pb2 as timeline
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common.kafka import Outgoing, Producer

from deploy.local.demo_config import TENANT
from deploy.local.services import Services
from deploy.local.topiclog import TopicLog
from tests.doubles.graph import GraphDouble

T = TypeVar("T")
PHONE_NUMBER_ID = "100200300400500"
CUSTOMER, NAME = "15550101", "Kim"
PATIENCE_S = 30.0


class Shortfall(Exception):
    """Something that should have happened did not."""


@dataclass(slots=True)
class Story:
    """What the chapters share."""

    services: Services
    graph: GraphDouble
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

    async def take(self, conversation: str) -> str:
        """Wait for an offer and accept it; the agent."""
        offer = await self.until("an offer", lambda: (self.events(conversation, "offer_made") or [None])[-1])
        agent, offer_id = offer.offer_made.agent_id, offer.offer_made.offer_id
        self.tell(f"  offered to {agent}, who accepts")
        await self.desk(
            "AcceptOffer",
            router.AcceptOfferRequest(
                request_id=new_id(), conversation_id=conversation, offer_id=offer_id, agent_id=agent
            ),
        )
        return agent

    async def reply(self, conversation: str, agent: str, text: str) -> str:
        """The agent answers; the message id."""
        answer = await self.desk(
            "SendReply",
            router.SendReplyRequest(
                request_id=new_id(), conversation_id=conversation, agent_id=agent, content=Content(text=text)
            ),
        )
        return str(answer.message_id)

    @property
    def webhook(self) -> str:
        """Where WhatsApp posts."""
        return f"http://{self.services.address('ingest', 'http')}/webhooks/whatsapp/{TENANT}/wa-main"


def new_id() -> str:
    """A request id."""
    return str(uuid.uuid4())


async def whatsapp(story: Story) -> str:
    """A signed webhook, the reply through the Graph API's double, the receipt back."""
    text = "Where is my parcel?"
    story.tell(f"{NAME} writes on WhatsApp (a signed webhook): {text}")
    await story.graph.post_text(story.webhook, PHONE_NUMBER_ID, CUSTOMER, NAME, text)
    story.sent += 1
    conversation = await story.until("the message in the log", lambda: story.conversation_with(text))
    queued = await story.until("queueing", lambda: (story.events(conversation, "conversation_queued") or [None])[0])
    story.tell(f"  conversation {conversation[:8]} is queued for team {queued.conversation_queued.team}")
    agent = await story.take(conversation)
    await story.reply(conversation, agent, "It arrives tomorrow before noon.")
    message = await story.until("the reply at the Graph API", lambda: (story.graph.received or [None])[0])
    story.tell(f"  {agent} answers; the Graph API receives: {message.text}")
    for status in ("delivered", "read"):
        await story.graph.post_status(story.webhook, message, status)
    await story.until("the receipts", lambda: len(story.events(conversation, "delivery_updated")) >= 3 or None)
    story.tell("  receipts come back as inbound events: sent, delivered, read")
    return conversation


async def twice(story: Story) -> None:
    """The provider delivers the same webhook again."""
    wamid, text = f"wamid.{uuid.uuid4().hex}", "Is it the blue one?"
    message = {
        "from": CUSTOMER,
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    value = {"contacts": [{"profile": {"name": NAME}, "wa_id": CUSTOMER}], "messages": [message]}
    for _ in range(2):
        status = await story.graph.post_webhook(story.webhook, PHONE_NUMBER_ID, value)
        if status != 200:
            raise Shortfall(f"the webhook answered {status}")
    story.sent += 1
    conversation = await story.until("the message", lambda: story.conversation_with(text))
    story.tell(f"The same webhook is delivered twice; conversation {conversation[:8]} has it once")


async def sms_unanswered(story: Story) -> str:
    """An SMS that nobody answers."""
    from tests.doubles.twilio import TwilioDouble  # noqa: F401 - the signature helper lives with the double

    text = "My number does not work"
    await post_sms(story, text)
    story.sent += 1
    conversation = await story.until("the SMS in the log", lambda: story.conversation_with(text))
    story.tell(f"An SMS arrives, conversation {conversation[:8]}; nobody will answer it in the promised 10 s")
    return conversation


async def post_sms(story: Story, text: str) -> None:
    """What Twilio posts, signed."""
    import base64
    import hashlib
    import hmac

    import aiohttp

    from deploy.local.services import secrets_folder

    url = f"http://{story.services.address('ingest', 'http')}/webhooks/sms/{TENANT}/sms-main"
    fields = {
        "MessageSid": f"SM{uuid.uuid4().hex}",
        "From": "+15550102",
        "To": "+15550100",
        "Body": text,
        "NumMedia": "0",
    }
    token = (secrets_folder(story.services.keys.jwks.parent.parent) / "sms-auth-token").read_bytes().strip()
    signed = url + "".join(k + fields[k] for k in sorted(fields))
    signature = base64.b64encode(hmac.new(token, signed.encode(), hashlib.sha1).digest()).decode()
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=fields, headers={"X-Twilio-Signature": signature}) as answer,
    ):
        if answer.status != 200:
            raise Shortfall(f"the SMS webhook answered {answer.status}: {await answer.text()}")


async def mail_handed_over(story: Story) -> str:
    """An e-mail, a transfer, and a second agent who knows what was said."""
    text = "The invoice lists the lamp twice."
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Lee <lee@customer.example>", "support@demo.example", "Invoice 17"
    mail["Message-ID"], mail["Date"] = f"<{uuid.uuid4()}@customer.example>", datetime.now(UTC)
    mail.set_content(text)
    host, _, port = story.services.address("ingest", "smtp").rpartition(":")
    await aiosmtplib.send(mail, hostname=host, port=int(port), start_tls=False)
    story.sent += 1
    conversation = await story.until("the mail in the log", lambda: story.conversation_with(text))
    story.tell(f"An e-mail arrives (Invoice 17), conversation {conversation[:8]}")
    agent = await story.take(conversation)
    transfer = router.TransferConversationRequest(
        request_id=new_id(), conversation_id=conversation, agent_id=agent, to_team="billing", reason="about an invoice"
    )
    await story.desk("TransferConversation", transfer)
    story.tell(f"  {agent} transfers it to billing: about an invoice")
    second = await take_next(story, conversation)
    await read_brief(story, conversation, text, agent, second)
    return conversation


async def take_next(story: Story, conversation: str) -> str:
    """The offer after the transfer, accepted."""
    offers = lambda: story.events(conversation, "offer_made")  # noqa: E731
    offer = await story.until("an offer in billing", lambda: offers()[-1] if len(offers()) > 1 else None)
    made = offer.offer_made
    await story.desk(
        "AcceptOffer",
        router.AcceptOfferRequest(
            request_id=new_id(), conversation_id=conversation, offer_id=made.offer_id, agent_id=made.agent_id
        ),
    )
    return str(made.agent_id)


async def read_brief(story: Story, conversation: str, text: str, first: str, second: str) -> None:
    """The second agent's brief holds what was said and who had it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        brief = await get_brief(story, conversation)
        said = [e.content.text.strip() for e in brief.said]
        if text in said and first in brief.previous_agents and brief.handoffs:
            break
        if time.monotonic() > deadline:
            raise Shortfall(f"the handoff brief lacks what was said: {said}, agents {list(brief.previous_agents)}")
        await asyncio.sleep(0.2)
    story.tell(f"  {second} accepts and reads the brief: “{text}”, was with {first}, {brief.handoffs[0].reason}")
    await story.reply(conversation, second, "You are right, a corrected invoice is on its way.")


async def get_brief(story: Story, conversation: str) -> Any:
    """GetHandoffBrief; an empty one where the timeline has not got there yet."""
    async with grpc.aio.insecure_channel(story.services.address("timeline")) as channel:
        try:
            return await TimelineServiceStub(channel).GetHandoffBrief(
                timeline.GetHandoffBriefRequest(conversation_id=conversation), metadata=story.metadata, timeout=5
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return timeline.GetHandoffBriefResponse()


async def integrator(story: Story) -> None:
    """An event of one's own, straight to the ingress topic, and a broken one that comes back."""
    text = "I cannot log in to the app"
    good = ingress_event(text)
    await story.producer.send(Outgoing("trunkline.ingress.v1", b"any-key", *good), timeout=10)
    story.sent += 1
    conversation = await story.until("the integrator's event in the log", lambda: story.conversation_with(text))
    story.tell(f"An integrator produces a JSON event to trunkline.ingress.v1: conversation {conversation[:8]}")
    value, headers = ingress_event("never")
    broken = Outgoing("trunkline.ingress.v1", b"any-key", value.replace(b"thread_key", b"thread_kee"), headers)
    await story.producer.send(broken, timeout=10)
    letter = await story.until("the dead letter", lambda: story.log.letters[0] if story.log.letters else None)
    story.tell(f"  a broken one comes back on trunkline.ingress.dlq.v1: {letter['dlq.reason']}: {letter['dlq.detail']}")


def ingress_event(text: str) -> tuple[bytes, Mapping[str, bytes]]:
    """A CloudEvent in binary mode with JSON data: value and headers."""
    data = {
        "tenant": TENANT,
        "account": "own-app",
        "message_id": new_id(),
        "thread_key": f"user-{text[:6]}",
        "contact": {"address": "user-7", "display_name": "Robin"},
        "content": {"text": text},
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": new_id(),
        "ce_source": "https://crm.demo.example",
        "ce_type": "trunkline.ingest.v1.IngressMessage",
        "content-type": "application/json",
    }
    return json.dumps(data).encode(), {k: v.encode() for k, v in headers.items()}


async def killed(story: Story, restart: Callable[[], Awaitable[object]]) -> None:
    """The engine dies by SIGKILL while customers write; nothing is lost."""
    texts = [f"Question {n}" for n in range(1, 31)]

    async def write(n: int, text: str) -> None:
        await story.graph.post_text(story.webhook, PHONE_NUMBER_ID, f"1555020{n:02d}", f"Customer {n}", text)

    story.tell(f"{len(texts)} customers write on WhatsApp; in the middle the router engine is killed with SIGKILL")
    first = [asyncio.create_task(write(n, text)) for n, text in enumerate(texts[:15])]
    await asyncio.gather(*first[:8])
    await story.services.kill("router")
    await asyncio.gather(*first[8:], *(write(n, text) for n, text in enumerate(texts[15:], 15)))
    story.sent += len(texts)
    await restart()
    await story.until(
        "every message of the thirty", lambda: all(story.conversation_with(text) for text in texts) or None, 60
    )
    story.tell("  a new engine took over; every message is in the log, once")
