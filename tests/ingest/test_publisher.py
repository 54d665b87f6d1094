"""What is written together, what waits for what, and who is told that Kafka does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from trunkline_common.kafka import KafkaError, Outgoing, Producer
from trunkline_ingest.publisher import KafkaDown, KafkaPublisher

PATIENT = 60.0


class HeldProducer(Producer):
    """Keeps each write in the air until it is answered (with nothing, or with what went wrong), while it is `held`."""

    def __init__(self, fits: int = 100) -> None:
        super().__init__("unused:1", "test")
        self.writes: asyncio.Queue[tuple[list[bytes], asyncio.Future[None]]] = asyncio.Queue()
        self._fits, self.held = fits, True

    async def send(self, message: Outgoing, *, timeout: float) -> None:
        """One record by itself."""
        del timeout  # the publisher has its own
        await self.send_all([message])

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """As many as fit into a batch."""
        taken = messages[: self._fits]
        if not self.held:
            return len(taken)
        answer = asyncio.get_running_loop().create_future()
        self.writes.put_nowait(([m.value or b"" for m in taken], answer))
        await answer
        return len(taken)

    async def written(self) -> list[bytes]:
        """The next write, acknowledged."""
        values, answer = await self.writes.get()
        answer.set_result(None)
        return values


def records(*values: str, key: str = "acme/default") -> list[Outgoing]:
    return [Outgoing("trunkline.inbound.v1", key.encode(), value.encode()) for value in values]


def publishing(publisher: KafkaPublisher, *values: str, key: str = "acme/default") -> asyncio.Task[None]:
    return asyncio.create_task(publisher.publish(records(*values, key=key)))


async def test_what_comes_while_a_write_is_in_the_air_is_written_together_and_in_order() -> None:
    producer = HeldProducer()
    publisher = KafkaPublisher(producer, PATIENT)
    first = publishing(publisher, "a")
    values, answer = await producer.writes.get()
    later = [publishing(publisher, "b", "c"), publishing(publisher, "d")]
    await asyncio.sleep(0)  # they have asked
    assert (values, producer.writes.empty()) == ([b"a"], True)
    answer.set_result(None)
    assert await producer.written() == [b"b", b"c", b"d"]
    await asyncio.gather(first, *later)


async def test_nobody_is_answered_before_their_records_are_durable() -> None:
    producer = HeldProducer(fits=2)
    publisher = KafkaPublisher(producer, PATIENT)
    asked = [publishing(publisher, "a", "b"), publishing(publisher, "c")]
    assert await producer.written() == [b"a", b"b"]
    values, answer = await producer.writes.get()
    assert (values, [one.done() for one in asked]) == ([b"c"], [False, False])
    answer.set_result(None)
    await asyncio.gather(*asked)


async def test_one_pool_does_not_wait_for_another() -> None:
    producer = HeldProducer()
    publisher = KafkaPublisher(producer, PATIENT)
    held = publishing(publisher, "a")
    _, answer = await producer.writes.get()
    other = publishing(publisher, "b", key="acme/other")
    assert await producer.written() == [b"b"]
    await other
    assert not held.done()
    answer.set_result(None)
    await held


@pytest.mark.parametrize("error", [KafkaError(), OSError(), TimeoutError()])
async def test_a_write_that_fails_is_kafka_down_for_all_that_are_in_it_and_for_no_other(error: Exception) -> None:
    producer = HeldProducer()
    publisher = KafkaPublisher(producer, PATIENT)
    together = [publishing(publisher, "a"), publishing(publisher, "b")]
    values, answer = await producer.writes.get()
    after = publishing(publisher, "c")
    answer.set_exception(error)
    found = await asyncio.gather(*together, return_exceptions=True)
    assert (values, [type(one) for one in found]) == ([b"a", b"b"], [KafkaDown, KafkaDown])
    assert await producer.written() == [b"c"]
    await after


async def test_who_waits_for_a_write_that_hangs_is_told_within_the_budget_too() -> None:
    """And when Kafka answers again, what is sent again is written."""
    producer = HeldProducer()
    publisher = KafkaPublisher(producer, 0.05)
    hanging = publishing(publisher, "a")
    await producer.writes.get()
    waiting = publishing(publisher, "b")
    found = await asyncio.gather(hanging, waiting, return_exceptions=True)
    assert [type(one) for one in found] == [KafkaDown, KafkaDown]
    producer.held = False
    while await _refused(publisher):
        pass  # a machine so busy that it missed the budget


async def _refused(publisher: KafkaPublisher) -> bool:
    try:
        await publisher.publish(records("c"))
    except KafkaDown:
        return True
    return False


async def test_who_gives_up_takes_nobody_along() -> None:
    producer = HeldProducer()
    publisher = KafkaPublisher(producer, PATIENT)
    leaving, staying = publishing(publisher, "a"), publishing(publisher, "b")
    values, answer = await producer.writes.get()
    leaving.cancel()
    await asyncio.wait({leaving})
    answer.set_result(None)
    await staying
    assert values == [b"a", b"b"]


async def test_nothing_to_publish_asks_nobody() -> None:
    producer = HeldProducer()
    await KafkaPublisher(producer).publish([])
    assert producer.writes.empty()
