"""The outbox: what a batch wants published is written in its transaction and sent, in order, by the partition's owner.

Rows are deleted by id list after the broker's acknowledgement, never by `id > last`: ids of concurrent transactions
become visible out of order. A crash between the two sends the rows again with the same event ids.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

import structlog

from trunkline_common import telemetry
from trunkline_common.faultpoints import crash_point, sabotaged
from trunkline_common.kafka import KafkaError, Outgoing, Producer
from trunkline_common.postgres import OUTAGES, Connection, Pool

log = structlog.get_logger(__name__)

INSERT = """
insert into outbox (grp, part, topic, key, value, headers)
select $1, $2, m.topic, m.key, m.value, m.headers
from unnest($3::text[], $4::bytea[], $5::bytea[], $6::text[]) with ordinality as m (topic, key, value, headers, place)
order by m.place
"""
#: Nothing for whom a newer owner has replaced: it publishes what is there, in its order.
SELECT = """
select id, topic, key, value, headers from outbox where grp = $1 and part = $2 and id > $3 and ($5::bigint is null
or exists (select from consumer_partition where grp = $1 and topic = $6 and part = $2 and epoch = $5))
order by id limit $4
"""
#: Not waited for on disk: a crash of PostgreSQL that loses it has the rows sent again, as a crash before it does.
DELETE = """
with relaxed as materialized (select set_config('synchronous_commit', 'off', true))
delete from outbox using relaxed where grp = $1 and part = $2 and id = any($3::bigint[])
"""
CHUNK = 2000
#: After a look: what is committed meanwhile goes together. A look takes three round trips and the time of the loop that
#: handles the next batch; the first commit after a quiet time is published at once.
PAUSE_S = 0.025
#: A crash of PostgreSQL brings back what was deleted, and nobody says so; nor of a COMMIT whose answer was lost.
LOOK_EVERY_S = 5.0
MAX_VALUE = 1_000_000  # bytes; the broker takes 1 MiB with everything around it


class TooLarge(Exception):
    """A service wrote a message no broker takes: a defect of its limits, found before the outbox is blocked by it."""

    def __init__(self, topic: str, size: int) -> None:
        super().__init__(f"a message of {size} bytes for {topic}; at most {MAX_VALUE} can be published")
        self.topic, self.size = topic, size


async def write(tx: Connection, group: str, partition: int, messages: Sequence[Outgoing]) -> None:
    """Put messages into the outbox in this order, inside the batch's transaction."""
    for message in messages:
        if len(message.value or b"") > MAX_VALUE:
            raise TooLarge(message.topic, len(message.value or b""))
    if sabotaged("no_outbox"):
        Relay.sabotage_unwritten += messages
    elif messages:
        columns = zip(*((m.topic, m.key, m.value, _dump(m.headers)) for m in messages), strict=True)
        await tx.execute(INSERT, group, partition, *map(list, columns))


def _dump(headers: Mapping[str, bytes]) -> str:
    return json.dumps({name: value.decode("latin-1") for name, value in headers.items()})


def _load(headers: str) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in json.loads(headers).items()}


class Relay:
    """Publishes the outbox of one owned partition until cancelled; `wake` it after a commit.

    It begins with what a predecessor left, because rows are read in order of id. A record for `source`, the topic that
    the owners of the group themselves read, leaves when all before it is acknowledged: who reads it goes on with
    something from there, and says so behind what was said of it here.
    """

    _sabotage_last = 0  # relay_id_gt: one cursor for the whole process, as a naive relay has
    sabotage_unwritten: ClassVar[list[Outgoing]] = []  # no_outbox: what is to be sent is in memory alone

    def __init__(self, pool: Pool, producer: Producer, group: str, partition: int, source: str = "",
                 epoch: int | None = None) -> None:  # fmt: skip
        self._pool, self._producer, self._group, self._partition = pool, producer, group, partition
        self._source, self._epoch = source, epoch
        self._wake = asyncio.Event()
        self._wake.set()

    def wake(self) -> None:
        """There may be something to publish."""
        self._wake.set()

    async def run(self) -> None:
        """Publish; an outage of Kafka or PostgreSQL is waited out, nothing is skipped."""
        delay = 0.1
        while True:
            await self._woken()
            try:
                while await self.drain() == CHUNK:
                    pass
                delay = 0.1
                await asyncio.sleep(PAUSE_S)
            except (KafkaError, *OUTAGES) as error:
                log.warning("outbox waits", group=self._group, partition=self._partition, error=repr(error))
                telemetry.count("trunkline.outbox.failures", 1, group=self._group)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                self._wake.set()

    async def _woken(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._wake.wait()
        self._wake.clear()

    async def drain(self) -> int:
        """Publish one chunk; returns how many rows it was."""
        if Relay.sabotage_unwritten:
            await self._producer.send_all([Relay.sabotage_unwritten.pop(0)])
            return CHUNK
        after = Relay._sabotage_last if sabotaged("relay_id_gt") else 0
        epoch = None if sabotaged("no_fence") else self._epoch
        rows = await self._pool.fetch(SELECT, self._group, self._partition, after, CHUNK, epoch, self._source)
        if not rows:
            return 0
        Relay._sabotage_last = max(Relay._sabotage_last, rows[-1]["id"])
        messages = [Outgoing(r["topic"], r["key"], r["value"], _load(r["headers"])) for r in rows]
        with telemetry.sends(messages):
            sent = 0
            while sent < len(messages):  # never decoded again: what does not fit in one batch goes in the next
                sent += await self._producer.send_all(messages[sent : self._next_pause(messages, sent)])
        crash_point("relay.after_send", messages)
        ids = [r["id"] for r in rows]
        await self._pool.execute(DELETE, self._group, self._partition, ids)
        telemetry.count("trunkline.outbox.sent", sent, group=self._group)
        return sent

    def _next_pause(self, messages: Sequence[Outgoing], start: int) -> int:
        """Where to wait for acknowledgements: before a record for the source that follows something else."""
        own = [message.topic == self._source for message in messages]
        return next((i for i in range(start + 1, len(own)) if own[i] and not own[i - 1]), len(own))
