"""The demo's chapters: each does what customers, agents and integrators do, and tells it as it happens."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import aiohttp
import aiosmtplib
import grpc
from trunkline.router.v1 import router_service_pb2 as router
from trunkline.timeline.v1 import timeline_service_pb2 as timeline
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common.kafka import Outgoing

from deploy.local.demo_config import TENANT
from deploy.local.story import PATIENCE_S, Shortfall, Story, new_id

PHONE_NUMBER_ID = "100200300400500"
CUSTOMER, NAME = "15550101", "Kim"


async def handshake(story: Story, verify_token: str) -> None:
    """The provider asks whether the webhook is ours, until ingest has the configuration and answers."""
    query = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": "1158201444"}
    deadline = time.monotonic() + PATIENCE_S
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < deadline:
            async with http.get(story.webhook("whatsapp", "wa-main"), params=query) as answer:
                if answer.status == 200 and await answer.text() == query["hub.challenge"]:
                    return
            await asyncio.sleep(0.1)
    raise Shortfall("the webhook's handshake was not answered")


async def whatsapp(story: Story) -> str:
    """A signed webhook, the reply through the Graph API's double, the receipt back."""
    text = "Where is my parcel?"
    story.tell(f"{NAME} writes on WhatsApp (a signed webhook): {text}")
    await story.graph.post_text(story.webhook("whatsapp", "wa-main"), PHONE_NUMBER_ID, CUSTOMER, NAME, text)
    story.sent += 1
    conversation = await story.until("the message in the log", lambda: story.conversation_with(text))
    queued = await story.until("queueing", lambda: story.first(conversation, "conversation_queued"))
    story.tell(f"  conversation {conversation[:8]} is queued for team {queued.conversation_queued.team}")
    agent = await story.take(conversation)
    await story.reply(conversation, agent, "It arrives tomorrow before noon.")
    message = await story.until("the reply at the Graph API", lambda: next(iter(story.graph.received), None))
    story.tell(f"  {agent} answers; the Graph API receives: {message.text}")
    for status in ("delivered", "read"):
        await story.graph.post_status(story.webhook("whatsapp", "wa-main"), message, status)
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
        status = await story.graph.post_webhook(story.webhook("whatsapp", "wa-main"), PHONE_NUMBER_ID, value)
        if status != 200:
            raise Shortfall(f"the webhook answered {status}")
    story.sent += 1
    conversation = await story.until("the message", lambda: story.conversation_with(text))
    await story.until(
        "the second one dropped", lambda: story.otlp.metric_sum("trunkline.inbox.duplicates") >= 1 or None
    )
    story.tell(f"The same webhook is delivered twice; conversation {conversation[:8]} has it once")


async def sms_unanswered(story: Story) -> str:
    """An SMS that nobody answers."""
    text = "My number does not work"
    await story.twilio.post_text(story.webhook("sms", "sms-main"), "+15550102", "+15550100", text)
    story.sent += 1
    conversation = await story.until("the SMS in the log", lambda: story.conversation_with(text))
    story.tell(f"An SMS arrives, conversation {conversation[:8]}; nobody will answer it in the promised 10 s")
    return conversation


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
    second = await story.take(conversation, offers=2)
    await read_brief(story, conversation, text, agent, second)
    return conversation


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
    story.tell(f"  {second} reads the brief: “{text}”, was with {first}, {brief.handoffs[0].reason}")
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
    webhook = story.webhook("whatsapp", "wa-main")

    async def write(n: int, text: str) -> None:
        await story.graph.post_text(webhook, PHONE_NUMBER_ID, f"1555020{n:02d}", f"Customer {n}", text)

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
