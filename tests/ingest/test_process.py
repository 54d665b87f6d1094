"""The ingest process on a real Kafka: what it answers is what is in the topic."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import aiosmtplib
import grpc
import pytest
import pytest_asyncio
from aiohttp import ClientSession, ClientTimeout
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.ingest.v1.ingest_service_pb2 import PublishMessageRequest
from trunkline.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline_common.kafka import Outgoing, Producer

from deploy.local.services import Services, secrets_folder
from deploy.local.stack import Stack
from tests.ingest.given import change, config, hub_signature, meta, wa_text, write_secrets
from tests.kit import eventually, read_topic

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

TENANT = "ingest-process"
MAIL = "From: Ida <ida@example.org>\r\nMessage-ID: <p1@example.org>\r\nSubject: Hi\r\n\r\nby mail\r\n"


@dataclass
class Running:
    """The process and what tests need of it."""

    stack: Stack
    services: Services
    app_secret: str
    http: ClientSession

    def url(self, path: str) -> str:
        """A URL of the webhooks."""
        return f"http://{self.services.address('ingest', 'http')}{path}"

    async def meta(self, body: bytes) -> tuple[int, dict[str, str]]:
        """POST as Meta."""
        url = self.url(f"/webhooks/whatsapp/{TENANT}/wa")
        async with self.http.post(url, data=body, headers=hub_signature(self.app_secret, body)) as response:
            return response.status, dict(response.headers)

    async def events(self, text: str) -> list[tuple[bytes, InboundEvent]]:
        """(key, event) of every record with this text."""
        records = await read_topic(self.stack.bootstrap, "trunkline.inbound.v1")
        found = [(r.key, InboundEvent.FromString(r.value)) for r in records]
        return [(k, e) for k, e in found if e.tenant == TENANT and e.message.content.text == text]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stack: Stack) -> AsyncIterator[Running]:
    """One ingest process that knows the tenant; no PostgreSQL is used."""
    secrets = write_secrets(secrets_folder(stack.folder), TENANT)
    async with Producer(stack.bootstrap, "test") as producer:
        value = config(TENANT).SerializeToString()
        await producer.send(Outgoing("trunkline.config.v1", f"{TENANT}/1".encode(), value), timeout=20)
    async with Services(stack) as services, ClientSession(timeout=ClientTimeout(20)) as http:
        await services.start("ingest", env={"DATABASE_URL": ""})
        yield Running(stack, services, secrets["wa-app"], http)


async def test_the_same_webhook_twice_is_the_same_event_under_the_pools_key(running: Running) -> None:
    body = meta(change(messages=[wa_text("wamid.p1", "by webhook")]))
    assert (await running.meta(body))[0] == (await running.meta(body))[0] == 200
    found = await running.events("by webhook")
    assert len(found) == 2
    assert {key for key, _ in found} == {f"{TENANT}/default".encode()}
    assert len({event.event_id for _, event in found}) == 1


async def test_a_batch_is_in_the_topic_in_its_order(running: Running) -> None:
    texts = [f"batch {n}" for n in range(50)]
    assert (await running.meta(meta(change(messages=[wa_text(f"wamid.{t}", t) for t in texts]))))[0] == 200
    records = await read_topic(running.stack.bootstrap, "trunkline.inbound.v1")
    found = [e.message.content.text for e in (InboundEvent.FromString(r.value) for r in records) if e.tenant == TENANT]
    assert [text for text in found if text.startswith("batch ")] == texts


async def test_a_mail_answered_250_is_in_the_topic(running: Running) -> None:
    host, _, port = running.services.address("ingest", "smtp").rpartition(":")
    async with aiosmtplib.SMTP(hostname=host, port=int(port), start_tls=False) as client:
        await client.sendmail("ida@example.org", ["support@shop.example"], MAIL)
    ((key, event),) = await running.events("by mail")
    assert key == f"{TENANT}/default".encode()
    assert event.message.contact.address == "ida@example.org"


async def test_a_form_answered_202_is_in_the_topic(running: Running) -> None:
    form = {"email": "ida@example.org", "message": "by form", "nonce": "n1"}
    async with running.http.post(running.url(f"/webhooks/form/{TENANT}/web"), json=form) as response:
        assert response.status == 202
        answer = await response.json()
    ((_, event),) = await running.events("by form")
    assert (event.event_id, event.conversation_id) == (answer["event_id"], answer["conversation_id"])


async def test_a_call_that_is_answered_is_in_the_topic(running: Running) -> None:
    token = running.services.keys.mint("integrator", TENANT, "crm", timedelta(hours=1))
    message = IngressMessage(
        account="own-app", message_id="1", thread_key="t", contact=Contact(address="i"), content=Content(text="by call")
    )
    async with grpc.aio.insecure_channel(running.services.address("ingest")) as channel:
        answer = await IngestServiceStub(channel).PublishMessage(
            PublishMessageRequest(message=message), metadata=[("authorization", f"Bearer {token}")], timeout=5
        )
    ((_, event),) = await running.events("by call")
    assert event.event_id == answer.event_id


async def test_while_kafka_hangs_webhooks_are_503_in_time_and_then_200_again(running: Running) -> None:
    """Nothing that was answered 2xx is missing, and the provider's retry is the same event."""
    body = meta(change(messages=[wa_text("wamid.p2", "while kafka hangs")]))
    running.stack.kafka.pause()
    try:
        began = time.monotonic()
        status, headers = await running.meta(body)
        took = time.monotonic() - began
    finally:
        running.stack.kafka.resume()
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert took < 3.5

    async def accepted() -> bool:
        return (await running.meta(body))[0] == 200

    await eventually(accepted, seconds=30, what="a webhook after Kafka is back")
    found = await running.events("while kafka hangs")
    assert found
    assert len({event.event_id for _, event in found}) == 1
