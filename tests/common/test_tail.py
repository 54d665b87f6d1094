"""A compacted topic as a dictionary, when Kafka goes away while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from trunkline_common import tail
from trunkline_common.kafka import KafkaError, TopicPartition
from trunkline_common.tail import CompactedTable

ONLY = TopicPartition("t", 0)


class Reader:
    """One partition with one record. Fails where it is told to."""

    def __init__(self, fails_in: str) -> None:
        self._fails_in, self._read = fails_in, 0

    def assignment(self) -> set[TopicPartition]:
        """What it reads."""
        return {ONLY}

    async def seek_to_beginning(self, *_: TopicPartition) -> None:
        """It is there."""
        self._read = 0

    async def end_offsets(self, _partitions: object) -> dict[TopicPartition, int]:
        """Where the topic ends."""
        self._fail("end_offsets")
        return {ONLY: 1}

    async def position(self, _partition: TopicPartition) -> int:
        """What is next."""
        return self._read

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """The record, then nothing for ever."""
        del timeout_ms
        self._fail("getmany")
        if self._read:
            await asyncio.Event().wait()
        self._read = 1
        return {ONLY: [SimpleNamespace(key=b"k", value=b"v")]}

    def _fail(self, where: str) -> None:
        if where == self._fails_in:
            raise KafkaError("nobody answers")


@pytest.mark.parametrize("fails_in", ["end_offsets", "getmany"])
async def test_a_table_whose_reader_fails_is_read_again(monkeypatch: pytest.MonkeyPatch, fails_in: str) -> None:
    """The task that follows the configuration is one of every process: an outage must not end them."""
    readers = iter([Reader(fails_in), Reader("")])
    seen: list[tuple[str, bytes | None]] = []

    @asynccontextmanager
    async def reader(*_: str) -> AsyncIterator[Reader]:
        yield next(readers)

    monkeypatch.setattr(tail, "reader", reader)
    monkeypatch.setattr(tail, "AGAIN_S", 0.0)
    table = CompactedTable("nowhere", "t", lambda key, value: seen.append((key, value)))
    running = asyncio.create_task(table.run())
    waiting = asyncio.create_task(table.loaded.wait())
    await asyncio.wait({running, waiting}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert seen == [("k", b"v")]
    assert waiting.done()
    assert not running.done()
    running.cancel()
