"""The table delivery_message: what waits, what is due, what is finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_common.postgres import Connection, Pool

#: Longer than the outbound topic keeps a record, so that no duplicate of it comes later.
KEPT = timedelta(days=8)
PURGED_AT_ONCE = 5000

INSERT = """
insert into delivery_message (part, written_at, next_attempt_at, message_id, place, account, message, traceparent)
select $1, $2, $2, m.* from unnest($3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::text[]) as m
on conflict (message_id) do nothing returning account
"""
ACCOUNTS = "select distinct account from delivery_message where part = $1 and finished_at is null"
HEAD = """
select message_id, message, traceparent, written_at, attempts, next_attempt_at from delivery_message
where part = $1 and account = $2 and finished_at is null order by place limit 1
"""
FINISH = """
update delivery_message d set finished_at = $2, status = f.status, attempts = f.attempts, message = null
from unnest($3::text[], $4::text[], $5::int[]) as f (message_id, status, attempts)
where d.message_id = f.message_id and d.part = $1 and d.finished_at is null returning d.message_id
"""
POSTPONE = """
update delivery_message d set attempts = p.attempts, next_attempt_at = p.due
from unnest($2::text[], $3::int[], $4::timestamptz[]) as p (message_id, attempts, due)
where d.message_id = p.message_id and d.part = $1 and d.finished_at is null and d.attempts < p.attempts
"""
PURGE = """
delete from delivery_message where message_id in
(select message_id from delivery_message where part = $1 and finished_at < $2 limit $3)
"""


@dataclass(frozen=True, slots=True)
class New:
    """A message as it comes from the topic."""

    message_id: str
    place: int
    account: str
    message: bytes
    traceparent: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is to be sent next on its account."""

    message: OutboundMessage
    traceparent: str
    written_at: datetime
    attempts: int
    due: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    """A message that the provider took, or that is given up (`error` says why)."""

    message: OutboundMessage
    attempts: int
    provider_message_id: str
    error: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """A message that could not be sent now."""

    message_id: str
    attempts: int
    due: datetime


Outcome = Finished | Postponed


async def insert(tx: Connection, part: int, now: datetime, new: Sequence[New]) -> list[str]:
    """Keep what was not seen before; returns its accounts, one per message."""
    columns = [
        list(c) for c in zip(*((n.message_id, n.place, n.account, n.message, n.traceparent) for n in new), strict=True)
    ]
    return [row["account"] for row in await tx.fetch(INSERT, part, now, *columns)] if new else []


async def accounts(pool: Pool, part: int) -> list[str]:
    """The accounts of a partition on which something waits."""
    return [row["account"] for row in await pool.fetch(ACCOUNTS, part)]


async def head(pool: Pool, part: int, account: str) -> Waiting | None:
    """The first message that waits on an account."""
    row = await pool.fetchrow(HEAD, part, account)
    if row is None:
        return None
    message = OutboundMessage.FromString(row["message"])
    return Waiting(message, row["traceparent"], row["written_at"], row["attempts"], row["next_attempt_at"])


async def finish(tx: Connection, part: int, now: datetime, finished: Sequence[Finished]) -> list[Finished]:
    """Mark as done; returns those that were not done before."""
    if not finished:
        return []
    ids = [f.message.message_id for f in finished]
    statuses = ["failed" if f.error else "sent" for f in finished]
    rows = await tx.fetch(FINISH, part, now, ids, statuses, [f.attempts for f in finished])
    done = {row["message_id"] for row in rows}
    return [f for f in finished if f.message.message_id in done]


async def postpone(tx: Connection, part: int, postponed: Sequence[Postponed]) -> None:
    """Note the attempt and when the next one is due."""
    if postponed:
        columns = zip(*((p.message_id, p.attempts, p.due) for p in postponed), strict=True)
        await tx.execute(POSTPONE, part, *map(list, columns))


async def purge(tx: Connection, part: int, now: datetime) -> None:
    """Forget what was finished long ago."""
    await tx.execute(PURGE, part, now - KEPT, PURGED_AT_ONCE)
