"""Drain a topic with a Faust agent and a RocksDB table, at least once: what one would take for a stateful consumer.

It parses, reads and writes the table (and so its changelog). It publishes nothing besides, which is less than ours.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import faust
import mode.loop
from faust.app.base import BootStrategy
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent

from tests.bench.children import task


class NoWeb(BootStrategy):
    """Faust's boot without its web server."""

    enable_web = False


class App(faust.App):
    """A worker alone."""

    BootStrategy = NoWeb


class Count:
    """Ends the process after so many events or so much time, whichever is first: Faust is slow to stop."""

    def __init__(self, total: int, seconds: float) -> None:
        self._total, self._seconds = total, seconds
        self._count, self._began = 0, 0.0

    def add(self) -> None:
        """One more is in the table."""
        if not self._began:
            self._began = time.perf_counter()
            asyncio.get_running_loop().call_later(self._seconds, self._end)
            return
        self._count += 1
        if self._count >= self._total - 1:
            self._end()

    def _end(self) -> None:
        task.keep({"count": self._count, "per_s": self._count / (time.perf_counter() - self._began)})
        os._exit(0)


def build(asked: task.Task) -> App:
    """The application."""
    app = App(
        asked["group"],
        broker=f"kafka://{task.bootstrap()}",
        store="rocksdb://",
        datadir=asked["folder"],
        processing_guarantee="at_least_once",
        topic_disable_leader=True,
        topic_partitions=asked["partitions"],
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    _add_agent(app, asked)
    return app


def _add_agent(app: App, asked: task.Task) -> None:
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
    topic = app.topic(asked["topic"], key_serializer="raw", value_serializer="raw", **raw)
    table = app.Table("last", partitions=asked["partitions"], options={"driver": "rocksdict"}, **raw)
    count = Count(asked["total"], asked["seconds"])

    @app.agent(topic)
    async def keep(stream: Any) -> None:
        async for value in stream:
            event = InboundEvent.FromString(value)
            key = event.conversation_id.encode()
            known = table.get(key)
            messages = int.from_bytes(known[:8], "big") + 1 if known else 1
            table[key] = messages.to_bytes(8, "big") + event.message.content.text.encode()
            count.add()


if __name__ == "__main__":
    mode.loop.use("uvloop")
    build(task.given()).Worker(quiet=True, loglevel="ERROR").execute_from_commandline()
