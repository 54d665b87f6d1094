"""Many writers of one process share a producer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from trunkline_common.kafka import Outgoing, Producer

from deploy.local.stack import Stack
from tests.common.effects import Service, service

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
WRITERS, CHUNKS = 24, 30


@pytest_asyncio.fixture(name="one", loop_scope="session")
async def _one(stack: Stack) -> AsyncIterator[Service]:
    """A service whose topics have one partition."""
    async with service(stack) as made:
        yield made


async def test_none_that_waits_for_a_partition_is_given_up(one: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many relays as there are partitions write to the same one, each in order. aiokafka would let them overtake
    each other, and give one up after a part of its time-out (200 ms here, for 40 s).
    """
    queued = AIOKafkaProducer.send_batch

    async def impatient(producer: AIOKafkaProducer, *batch: object, **place: int) -> object:
        producer._request_timeout_ms = 200
        return await queued(producer, *batch, **place)

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", impatient)

    async def write(producer: Producer, writer: int) -> None:
        for chunk in range(CHUNKS):
            assert await producer.send_all([Outgoing(one.out, b"k", f"{writer}:{chunk}".encode())]) == 1

    async with Producer(one.bootstrap, "many") as producer, asyncio.TaskGroup() as tasks:
        for writer in range(WRITERS):
            tasks.create_task(write(producer, writer))
    said = [(record.value or b"").decode().split(":") for record in await one.said(one.out, WRITERS * CHUNKS)]
    for writer in range(WRITERS):
        assert [int(chunk) for by, chunk in said if by == str(writer)] == list(range(CHUNKS))
