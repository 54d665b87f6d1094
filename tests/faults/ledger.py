"""The smallest service with state: counts effects per key, publishes each count, hides no double effect.

Only the consumer pattern of libs/common stands between a crash and a wrong count; the tests check the counts.
"""

from __future__ import annotations

import asyncio
import os

from trunkline_common import postgres, run
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import InvalidMessage
from trunkline_common.faultpoints import sabotaged
from trunkline_common.kafka import Outgoing, Producer, Record
from trunkline_common.postgres import Connection
from trunkline_common.processor import Batch, Effects, Processor, decode
from trunkline_common.settings import CommonSettings
from trunkline_common.worker import Context

TABLES = """
create table if not exists effect (key text primary key, n bigint not null);
create table if not exists inbox (event_id text primary key);
"""


def parse(record: Record) -> tuple[str, str]:
    """(key, event id) of a record."""
    if record.value is None or not record.value.startswith(b"e-"):
        raise InvalidMessage("NOT_AN_EVENT", "a value begins with e-")
    return (record.key or b"").decode(), record.value.decode()


class Ledger(Processor):
    """effect.n = effect.n + 1 for every event; `inbox` drops events that come again."""

    def __init__(self, topic: str, *, inbox: bool) -> None:
        self._topic, self._inbox = topic, inbox

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Count, and publish key:count."""
        parsed, rejected = decode(batch.records, parse)
        messages = [await self._count(tx, key, event) for _, (key, event) in parsed if await self._is_new(tx, event)]
        return Effects(messages, rejected=rejected)

    async def _is_new(self, tx: Connection, event: str) -> bool:
        if not self._inbox or sabotaged("no_dedupe"):
            return True
        return await tx.execute("insert into inbox values ($1) on conflict do nothing", event) == "INSERT 0 1"

    async def _count(self, tx: Connection, key: str, event: str) -> Outgoing:
        n = await tx.fetchval(
            "insert into effect as e values ($1, 1) on conflict (key) do update set n = e.n + 1 returning n", key
        )
        return Outgoing(self._topic, key.encode(), str(n).encode(), {"ce_id": event.encode()})


async def main(settings: CommonSettings, stop: run.Stop) -> None:
    """Consume LEDGER_NAME.in for group LEDGER_NAME into schema LEDGER_NAME until stopped."""
    name = os.environ["LEDGER_NAME"]
    async with (
        postgres.connect(settings.database_url, name) as pool,
        Producer(settings.kafka, name) as producer,
    ):
        await postgres.migrate(pool, name, "trunkline_common")
        await pool.execute(TABLES)
        inbox = os.environ.get("LEDGER_INBOX") == "1"
        context = Context(
            name, "ledger", f"{name}.dlq", pool, producer, lambda _: Ledger(f"{name}.out", inbox=inbox), utc_now
        )
        consumer = Consumer.of(settings, context, f"{name}.in")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(consumer.run())
            await consumer.ready()
            run.say_ready(settings.ready_file)
            await stop.wait()
            consumer.stop()
            await running


if __name__ == "__main__":
    run.service("ledger", CommonSettings, main)
