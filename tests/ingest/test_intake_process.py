"""The real intake process between a stranger's Kafka client and the inbound topic."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer as ConfluentProducer
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.kafka import Outgoing, Producer, partition_for
from trunkline_ingest import ids

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.ingest.intake_samples import Sample, as_json, binary, config, envelope, message
from tests.kit import eventually, read_topic

pytestmark = pytest.mark.stack
INGRESS, DLQ, INBOUND = "trunkline.ingress.v1", "trunkline.ingress.dlq.v1", "trunkline.inbound.v1"
README = Path(__file__).parents[2] / "services/ingest/README.md"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def configured(stack: Stack, found: TenantConfig) -> None:
    async with Producer(stack.bootstrap, "test") as producer:
        key = f"{found.tenant}/{found.version}".encode()
        await producer.send(Outgoing("trunkline.config.v1", key, found.SerializeToString()), timeout=15)


def produce(stack: Stack, samples: list[Sample], **options: Any) -> None:
    """As an integrator would: librdkafka with its own partitioner, no key."""
    producer = ConfluentProducer(
        {
            "bootstrap.servers": stack.bootstrap,
            "acks": "all",
            "message.max.bytes": 1_048_588,
            "enable.idempotence": True,
        }
    )
    for sample in samples:
        producer.produce(INGRESS, sample.value, headers=dict(sample.headers), **options)
    assert producer.flush(20) == 0


async def inbound(stack: Stack, tenant: str, least: int) -> list[Any]:
    async def look() -> list[Any]:
        found = [
            r for r in await read_topic(stack.bootstrap, INBOUND) if InboundEvent.FromString(r.value).tenant == tenant
        ]
        return found if len(found) >= least else []

    return await eventually(look, seconds=30, what=f"{least} inbound records of {tenant}")


async def refused(stack: Stack, marker: bytes, least: int) -> list[dict[str, Any]]:
    async def look() -> list[Any]:
        found = [r for r in await read_topic(stack.bootstrap, DLQ) if marker in r.value]
        return found if len(found) >= least else []

    records = await eventually(look, seconds=30, what=f"{least} dead letters")
    return [{"value": r.value, "key": r.key, **dict(r.headers)} for r in records]


async def test_a_strangers_event_becomes_an_inbound_record_under_the_pools_key(
    stack: Stack, services: Services
) -> None:
    tenant = f"t-{uuid.uuid4().hex[:8]}"
    await configured(stack, config(tenant))
    await services.start("intake")
    one, two = message(tenant=tenant), message(tenant=tenant, message_id="m-2")
    proto = binary(one.SerializeToString())
    traced = Sample(proto.value, {**proto.headers, "traceparent": TRACE})
    structured = Sample(
        json.dumps(envelope(data=as_json(two))).encode(),
        {"content-type": b"application/cloudevents+json; charset=UTF-8"},
    )
    broken = binary(json.dumps({**as_json(two), "colour": tenant}).encode(), "application/json")
    produce(stack, [traced, structured, broken, traced])

    records = await inbound(stack, tenant, 3)
    events = [InboundEvent.FromString(r.value) for r in records]
    key = f"{tenant}/main".encode()
    assert {(r.key, r.partition) for r in records} == {(key, partition_for(key, 24))}
    expected = [ids.event_id(tenant, "crm", "tickets", name, "message") for name in ("m-1", "m-1", "m-2")]
    assert sorted(e.event_id for e in events) == sorted(expected)
    headers = {e.provider_message_id: dict(r.headers) for e, r in zip(events, records, strict=True)}
    assert headers["m-1"]["ce_id"].decode() == expected[0]
    assert headers["m-1"]["ce_type"] == b"trunkline.inbound.v1.InboundEvent"
    assert headers["m-1"]["traceparent"] == TRACE
    assert "traceparent" not in headers["m-2"]

    letter = (await refused(stack, tenant.encode(), 1))[0]
    assert letter["value"] == broken.value
    assert letter["dlq.reason"] == b"UNKNOWN_FIELD"
    assert letter["dlq.detail"].startswith(b"colour: no such field")
    assert {name: letter[name] for name in broken.headers} == dict(broken.headers)


async def test_the_readmes_python_produces_a_good_event(stack: Stack, services: Services) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    await configured(stack, config())
    await services.start("intake")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", found[1], env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap}
    )
    assert await process.wait() == 0
    event = InboundEvent.FromString((await inbound(stack, "acme", 1))[0].value)
    assert event.event_id == ids.event_id("acme", "crm", "tickets", "4711", "message")


async def test_a_flood_of_broken_events_stops_nobody_elses(stack: Stack, services: Services) -> None:
    tenant = f"t-{uuid.uuid4().hex[:8]}"
    await configured(stack, config(tenant))
    await services.start("intake")
    largest = tenant.encode() + os.urandom(1_048_000)  # as large as a broker takes: its dead letter would not fit
    flood = [Sample(f"{tenant} {n}".encode()) for n in range(120)]
    good = binary(message(tenant=tenant).SerializeToString())
    produce(stack, [Sample(largest), *flood, good], partition=3)

    assert len(await inbound(stack, tenant, 1)) == 1
    letters = await refused(stack, tenant.encode(), 121)
    assert [letter["value"] for letter in letters if letter["dlq.reason"] == b"NOT_A_CLOUDEVENT"] == [
        s.value for s in flood
    ]
    cut = next(letter for letter in letters if letter["dlq.reason"] == b"TOO_LARGE")
    assert largest.startswith(cut["value"])
    assert cut["dlq.cut"] == str(len(largest)).encode()
