"""What a form, a mail and an integrator know of a conversation, as the router has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiosmtplib
import grpc
import pytest
from aiohttp import ClientSession
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.ingest.v1.ingest_service_pb2 import PublishMessageRequest
from trunkline.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline_ingest.channels.email import thread_of
from trunkline_ingest.ids import conversation_id

from deploy.local.services import Services
from tests import kit

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

TENANT = "labels"
CONFIG = """
teams: [{id: support}]
agents: [{id: ana, name: Ana, teams: [support]}]
priorities: {high: 1800, low: 0}
accounts:
  - {id: web, channel: form, team: support, options: {attributes: "order", sender_priority: "true"}}
  - {id: mail, channel: email, team: support, options: {address: help@labels.example, sender_priority: "true"}}
  - {id: app, channel: app, team: support}
"""
HEADERS = "From: ida@example.org\r\nMessage-ID: <k1@example.org>\r\nImportance: low\r\nContent-Language: de\r\n"
MAIL = f"{HEADERS}\r\nHallo\r\n"


async def by_form(services: Services) -> str:
    """The conversation that a form's answer names."""
    form = {"email": "ida@example.org", "message": "hello", "order": "7", "language": "pt-br", "priority": "high"}
    async with ClientSession() as http:
        answer: dict[str, str] = {}

        async def accepted() -> bool:
            url = f"http://{services.address('ingest', 'http')}/webhooks/form/{TENANT}/web"
            async with http.post(url, json=form) as response:
                answer.update(await response.json())
                return response.status == 202

        await kit.eventually(accepted, what="the configuration at ingest")
    return answer["conversation_id"]


async def by_mail(services: Services) -> str:
    """The conversation of the mail."""
    host, _, port = services.address("ingest", "smtp").rpartition(":")
    async with aiosmtplib.SMTP(hostname=host, port=int(port), start_tls=False) as client:
        await client.sendmail("ida@example.org", ["help@labels.example"], MAIL)
    return conversation_id(TENANT, "email", "mail", thread_of("<k1@example.org>"))


async def by_call(services: Services) -> str:
    """The conversation that PublishMessage names."""
    token = services.keys.mint("integrator", TENANT, "crm", timedelta(hours=1))
    message = IngressMessage(
        account="app", message_id="1", thread_key="t", contact=Contact(address="i"), content=Content(text="hello"),
        language="fr", tags=["vip"], attributes={"tier": "gold"}, priority="low",
    )  # fmt: skip
    async with grpc.aio.insecure_channel(services.address("ingest")) as channel:
        asked: Any = IngestServiceStub(channel)
        answer = await asked.PublishMessage(
            PublishMessageRequest(message=message), metadata=[("authorization", f"Bearer {token}")], timeout=20
        )
    return str(answer.conversation_id)


async def test_the_router_knows_what_the_message_said_of_its_conversation(services: Services) -> None:
    await services.start("router")
    await kit.apply_config(services, TENANT, CONFIG)
    await services.start("ingest")
    async with kit.desk(services, TENANT) as desk:

        async def known(conversation: str) -> tuple[str, str, list[str], dict[str, str]]:
            async def there() -> Any:
                return await desk.get(conversation)

            found = (await kit.eventually(there, what="the conversation")).attributes
            return found.language, found.priority, list(found.tags), dict(found.values)

        assert await known(await by_form(services)) == ("pt-BR", "high", [], {"order": "7"})
        assert await known(await by_mail(services)) == ("de", "low", [], {})
        assert await known(await by_call(services)) == ("fr", "low", ["vip"], {"tier": "gold"})
