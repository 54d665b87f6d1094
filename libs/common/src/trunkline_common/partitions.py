"""Ownership of a partition in PostgreSQL: claim it with a new epoch, fence every transaction with it.

The row of consumer_partition is the truth about who may write and what comes next; Kafka's committed offset is a hint.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline_common.errors import Fenced
from trunkline_common.faultpoints import sabotaged
from trunkline_common.postgres import Connection, Pool

CLAIM = """
insert into consumer_partition as cp (grp, topic, part, epoch, owner, next_offset) values ($1, $2, $3, 1, $4, $5)
on conflict (grp, topic, part) do update set epoch = cp.epoch + 1, owner = $4
returning epoch, next_offset
"""
FENCE = """
update consumer_partition set next_offset = $6
where grp = $1 and topic = $2 and part = $3 and epoch = $4 and next_offset = $5
"""
FENCE_REMOVED = "update consumer_partition set next_offset = $4 where grp = $1 and topic = $2 and part = $3"
RELEASE = "update consumer_partition set owner = '' where grp = $1 and topic = $2 and part = $3 and epoch = $4"
OWNER = "select owner from consumer_partition where grp = $1 and topic = $2 and part = $3"
OFFSET = "select epoch, next_offset from consumer_partition where grp = $1 and topic = $2 and part = $3"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write for one partition, as long as nobody claims it after us."""

    group: str
    topic: str
    partition: int
    epoch: int


async def claim(tx: Connection, group: str, topic: str, partition: int, owner: str, first: int) -> tuple[Claim, int]:
    """Take the partition over; returns the claim and the offset to seek to (`first` where nobody ever consumed it).

    Waits for the transaction a predecessor has open, so its last batch is either whole or not at all.
    """
    row = await tx.fetchrow(CLAIM, group, topic, partition, owner, first)
    assert row is not None  # noqa: S101 - an upsert with RETURNING returns its row
    return Claim(group, topic, partition, row["epoch"]), row["next_offset"]


async def fence(tx: Connection, own: Claim, start: int, end: int) -> None:
    """First statement of a batch: consumes [start, end) once, or raises Fenced and so rolls the batch back."""
    key = (own.group, own.topic, own.partition)
    if sabotaged("no_fence"):
        await tx.execute(FENCE_REMOVED, *key, end)
        return
    if await tx.execute(FENCE, *key, own.epoch, start, end) != "UPDATE 1":
        raise Fenced(own.topic, own.partition, own.epoch)


async def position(pool: Pool, own: Claim) -> int:
    """The next offset to consume, read anew after a failure whose outcome is unknown. Raises Fenced."""
    row = await pool.fetchrow(OFFSET, own.group, own.topic, own.partition)
    if row is None or row["epoch"] != own.epoch:
        raise Fenced(own.topic, own.partition, own.epoch)
    return int(row["next_offset"])


async def release(pool: Pool, own: Claim) -> None:
    """Say that nobody answers for the partition any more, if it is still ours."""
    await pool.execute(RELEASE, own.group, own.topic, own.partition, own.epoch)


async def owner_of(pool: Pool, group: str, topic: str, partition: int) -> str:
    """The address of the process that owns the partition; empty where nobody does."""
    return str(await pool.fetchval(OWNER, group, topic, partition) or "")
