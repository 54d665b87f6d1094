"""A webhook written bare: aiohttp takes the body, aiokafka writes it with acks=all, 200.

Asked with a `secret_file` it does the work too: checks the signature, parses, makes the inbound event with its ids and
its CloudEvents headers; straight on, for the one shape of body that the benchmark sends, with no error it could name.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from aiokafka import AIOKafkaProducer
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.inbound.v1.inbound_event_pb2 import CustomerMessage, InboundEvent

from tests.bench.children import task

KEY = b"bench/default"
Made = tuple[bytes, list[tuple[str, bytes]]]


def as_it_came(_request: web.Request, body: bytes) -> Made:
    """The body is the record."""
    return body, []


def inbound_event(secret: bytes) -> Callable[[web.Request, bytes], Made]:
    """The record that ingest makes of the same body."""

    def make(request: web.Request, body: bytes) -> Made:
        expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers["X-Hub-Signature-256"]):
            raise web.HTTPUnauthorized
        place = request.match_info
        value = json.loads(body)["entry"][0]["changes"][0]["value"]
        message = value["messages"][0]
        owner = (place["tenant"], place["channel"], place["account"])
        now = datetime.now(UTC)
        event = InboundEvent(
            event_id=_id("event", *owner, message["id"], "message"),
            tenant=place["tenant"],
            pool="bench/default",
            channel=place["channel"],
            account=place["account"],
            conversation_id=_id("conversation", *owner, message["from"]),
            provider_message_id=message["id"],
            message=CustomerMessage(
                contact=Contact(address=message["from"], display_name=value["contacts"][0]["profile"]["name"]),
                content=Content(text=message["text"]["body"]),
            ),
        )
        event.received_time.FromDatetime(now)
        event.provider_time.FromSeconds(int(message["timestamp"]))
        return event.SerializeToString(), _headers(event, now)

    return make


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(parts)))


def _headers(event: InboundEvent, now: datetime) -> list[tuple[str, bytes]]:
    return [
        ("content-type", b"application/protobuf"),
        ("ce_specversion", b"1.0"),
        ("ce_id", event.event_id.encode()),
        ("ce_type", b"trunkline.inbound.v1.InboundEvent"),
        ("ce_source", b"trunkline/ingest"),
        ("ce_subject", event.conversation_id.encode()),
        ("ce_time", now.isoformat().encode()),
        ("ce_tenant", event.tenant.encode()),
    ]


async def main(asked: task.Task) -> None:
    """Serve until killed."""
    producer = AIOKafkaProducer(bootstrap_servers=task.bootstrap(), acks="all")
    await producer.start()
    secret_file = asked.get("secret_file")
    make = inbound_event(Path(secret_file).read_bytes().strip()) if secret_file else as_it_came  # noqa: ASYNC240 - once

    async def post(request: web.Request) -> web.Response:
        value, headers = make(request, await request.read())
        await producer.send_and_wait(asked["topic"], value, KEY, headers=headers)
        return web.Response(text="EVENT_RECEIVED")

    app = web.Application()
    app.router.add_post("/webhooks/{channel}/{tenant}/{account}", post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = asked["address"].rpartition(":")
    await web.TCPSite(runner, host, int(port), backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    task.run(main)
