"""What the projector reads and writes in schema sla. Bulk statements: one per table and batch, whatever its size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from trunkline_common.postgres import Connection, Pool, Row, transaction

from trunkline_sla import codec
from trunkline_sla.conversation import Conversation
from trunkline_sla.evaluation_facts import FactKind
from trunkline_sla.evaluation_model import Clock
from trunkline_sla.journal import Entry
from trunkline_sla.wire import About, Announced
from trunkline_sla.wire_facts import clock_id

#: The settings of a tenant.
Finds = Callable[[str], codec.Find]

ARMED = "select clock_id, next_at from clock where part = $1 and next_at is not null"
#: Tenants with clocks that have not come to the version in force, or to the zone data of this build.
BEHIND = "select distinct tenant, config_version, tzdata from conversation where part = $1 and open"
STALE = """
select conversation_id from conversation
where part = $1 and tenant = $2 and open and (config_version < $3 or tzdata <> $4) order by conversation_id limit $5
"""
CONVERSATIONS = """
select conversation_id, tenant, seq, n, config_version, tzdata, doc from conversation
where conversation_id = any($1::text[])
"""
CURRENT = "select conversation_id, doc from clock where current and conversation_id = any($1::text[])"
DUE = """
select clock_id, tenant, conversation_id, team, channel, traceparent, doc from clock
where clock_id = any($1::text[]) and part = $2 and next_at is not null order by next_at, clock_id
"""
PUT_CONVERSATIONS = """
insert into conversation (part, tzdata, conversation_id, tenant, seq, n, team, channel, config_version, open, doc)
select $1, $2, c.conversation_id, c.tenant, c.seq, c.n, c.team, c.channel, c.config_version, c.open, c.doc::jsonb
from unnest($3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::text[], $9::bigint[], $10::boolean[],
            $11::text[]) as c (conversation_id, tenant, seq, n, team, channel, config_version, open, doc)
on conflict (conversation_id) do update set
    tzdata = excluded.tzdata, seq = excluded.seq, n = excluded.n, team = excluded.team, channel = excluded.channel,
    config_version = excluded.config_version, open = excluded.open, doc = excluded.doc
"""
PUT_CLOCKS = """
insert into clock (part, clock_id, tenant, conversation_id, metric, cycle, gen, state, target_s, business, started_at,
                   since, consumed_s, due_at, next_at, breached_at, ended_at, met, reason, policy_id, calendar_id,
                   config_version, team, channel, traceparent, current, doc)
select $1, c.clock_id, c.tenant, c.conversation_id, c.metric, c.cycle, c.gen, c.state, c.target_s, c.business,
       c.started_at, c.since, c.consumed_s, c.due_at, c.next_at, c.breached_at, c.ended_at, c.met, c.reason,
       c.policy_id, c.calendar_id, c.config_version, c.team, c.channel, c.traceparent, c.current, c.doc::jsonb
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[], $9::bigint[],
            $10::boolean[], $11::timestamptz[], $12::timestamptz[], $13::bigint[], $14::timestamptz[],
            $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::boolean[], $19::text[], $20::text[],
            $21::text[], $22::bigint[], $23::text[], $24::text[], $25::text[], $26::boolean[], $27::text[])
     as c (clock_id, tenant, conversation_id, metric, cycle, gen, state, target_s, business, started_at, since,
           consumed_s, due_at, next_at, breached_at, ended_at, met, reason, policy_id, calendar_id, config_version,
           team, channel, traceparent, current, doc)
on conflict (clock_id) do update set
    gen = excluded.gen, state = excluded.state, target_s = excluded.target_s, business = excluded.business,
    started_at = excluded.started_at, since = excluded.since, consumed_s = excluded.consumed_s,
    due_at = excluded.due_at, next_at = excluded.next_at, breached_at = excluded.breached_at,
    ended_at = excluded.ended_at, met = excluded.met, reason = excluded.reason, policy_id = excluded.policy_id,
    calendar_id = excluded.calendar_id, config_version = excluded.config_version, team = excluded.team,
    channel = excluded.channel, current = excluded.current, doc = excluded.doc
"""
FIRED = """
update clock set next_at = c.next_at, breached_at = c.breached_at, doc = c.doc::jsonb
from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[]) as c (clock_id, next_at, breached_at, doc)
where clock.clock_id = c.clock_id
"""
PUT_HISTORY = """
insert into history (conversation_id, n, entry)
select h.conversation_id, h.n, h.entry::jsonb
from unnest($1::text[], $2::int[], $3::text[]) as h (conversation_id, n, entry)
on conflict do nothing
"""
PUT_BREACHES = """
insert into breach (emitted_at, clock_id, retraction, tenant, conversation_id, metric, cycle, team, channel, policy_id,
                    breached_at, late_ms)
select $1, b.* from unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[],
                           $9::text[], $10::text[], $11::timestamptz[], $12::bigint[]) as b
on conflict do nothing
"""
RETRACT = """
delete from breach using unnest($1::text[], $2::int[]) as r (clock_id, retraction)
where breach.clock_id = r.clock_id and breach.retraction = r.retraction
"""
POSITION = "select next_offset from consumer_partition where grp = $1 and topic = $2 and part = $3"
REBUILDING = "select 1 from rebuild where part = $1"
REBUILD = "insert into rebuild (part) values ($1) on conflict do nothing"
REBUILT = "delete from rebuild where part = $1"


@dataclass(frozen=True, slots=True)
class ClockRow:
    """A clock and whose it is."""

    about: About
    clock: Clock
    current: bool = True

    @property
    def id(self) -> str:
        """The same for the same cycle, always."""
        return clock_id(self.about.tenant, self.about.conversation_id, self.clock.metric, self.clock.cycle)


# -- reading


async def armed(pool: Pool, partition: int) -> AsyncIterator[tuple[str, datetime]]:
    """When to look at which clock of a partition, a thousand at a time: there may be a million."""
    async with transaction(pool) as tx:
        async for row in tx.cursor(ARMED, partition, prefetch=5000):
            yield row[0], row[1]


async def behind(pool: Pool, partition: int) -> list[tuple[str, int, str]]:
    """Tenant, version and zone data of the open conversations of a partition, each combination once."""
    return [tuple(row) for row in await pool.fetch(BEHIND, partition)]


async def stale(tx: Connection, partition: int, tenant: str, version: int, tzdata: str, most: int) -> list[str]:
    """Open conversations of a tenant that are not under that version and zone data yet."""
    return [row[0] for row in await tx.fetch(STALE, partition, tenant, version, tzdata, most)]


async def conversations(tx: Connection, ids: Collection[str], finds: Finds) -> dict[str, tuple[Conversation, str]]:
    """Those of the named conversations that are known, with the zone data they were left with."""
    clocks: dict[str, list[str]] = {}
    for row in await tx.fetch(CURRENT, list(ids)):
        clocks.setdefault(row[0], []).append(row[1])
    rows = await tx.fetch(CONVERSATIONS, list(ids))
    return {row["conversation_id"]: (_conversation(row, clocks, finds), row["tzdata"]) for row in rows}


def _conversation(row: Row, clocks: dict[str, list[str]], finds: Finds) -> Conversation:
    tenant, conversation_id, doc = row["tenant"], row["conversation_id"], json.loads(row["doc"])
    find = finds(tenant)
    promised = [codec.to_clock(json.loads(clock), find) for clock in clocks.get(conversation_id, ())]
    return Conversation(
        tenant,
        conversation_id,
        row["seq"],
        row["n"],
        row["config_version"],
        codec.to_situation(doc),
        codec.to_state(doc, {clock.metric: clock for clock in promised}, find),
        doc["traceparent"],
    )


async def due(tx: Connection, partition: int, ids: Sequence[str], finds: Finds) -> list[ClockRow]:
    """The named clocks as far as a timer still has to look at them, the earliest first."""
    return [
        ClockRow(
            About(row["tenant"], row["conversation_id"], row["team"], row["channel"], row["traceparent"]),
            codec.to_clock(json.loads(row["doc"]), finds(row["tenant"])),
        )
        for row in await tx.fetch(DUE, list(ids), partition)
    ]


# -- writing


async def put_conversations(tx: Connection, partition: int, found: Sequence[Conversation], tzdata: str) -> None:
    """Write conversations and what they were told; their clocks are written apart."""
    if found:
        await tx.execute(PUT_CONVERSATIONS, partition, tzdata, *_columns(_conversation_row(c) for c in found))
        entries = [(c.conversation_id, n, codec.dump(codec.from_entry(e))) for c in found for n, e in _numbered(c)]
        if entries:
            await tx.execute(PUT_HISTORY, *_columns(entries))


def _numbered(found: Conversation) -> Iterable[tuple[int, Entry]]:
    return enumerate(found.told, found.n - len(found.told) + 1)


def _conversation_row(found: Conversation) -> tuple[object, ...]:
    where = found.situation
    doc = codec.dump(codec.from_conversation(found))
    return (
        found.conversation_id, found.tenant, found.seq, found.n, where.team, where.channel, found.version, found.open,
        doc,
    )  # fmt: skip


async def put_clocks(tx: Connection, partition: int, rows: Sequence[ClockRow]) -> None:
    """Write clocks whole."""
    if rows:
        await tx.execute(PUT_CLOCKS, partition, *_columns(_clock_row(row) for row in rows))


def _clock_row(row: ClockRow) -> tuple[object, ...]:
    clock, about, terms = row.clock, row.about, row.clock.terms
    return (
        row.id, about.tenant, about.conversation_id, clock.metric, clock.cycle, clock.gen, clock.phase, terms.target_s,
        bool(terms.calendar_id), clock.started_at, clock.since, clock.consumed, clock.due_at, clock.next_at,
        clock.breached_at, clock.ended_at, clock.met, clock.reason or "", terms.policy_id, terms.calendar_id,
        terms.version, about.team, about.channel, about.traceparent, row.current, codec.dump(codec.from_clock(clock)),
    )  # fmt: skip


async def put_fired(tx: Connection, rows: Sequence[ClockRow]) -> None:
    """Write what timers have done to clocks."""
    if rows:
        found = [(r.id, r.clock.next_at, r.clock.breached_at, codec.dump(codec.from_clock(r.clock))) for r in rows]
        await tx.execute(FIRED, *_columns(found))


async def put_breaches(tx: Connection, announced: Sequence[Announced]) -> None:
    """List the breaches among what is announced; what is retracted is listed no more."""
    made = [_breach_row(a) for a in announced if a.fact.kind is FactKind.BREACHED]
    if made:
        await tx.execute(PUT_BREACHES, announced[0].at, *_columns(made))
    back = [(a.clock_id, a.fact.retracted) for a in announced if a.fact.kind is FactKind.BREACH_RETRACTED]
    if back:
        await tx.execute(RETRACT, *_columns(back))


def _breach_row(found: Announced) -> tuple[object, ...]:
    about, fact = found.about, found.fact
    return (
        found.clock_id, fact.retracted, about.tenant, about.conversation_id, fact.metric, fact.cycle, about.team,
        about.channel, fact.policy_id, fact.at, found.late_ms,
    )  # fmt: skip


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


# -- reading again from the beginning


async def rebuilding(pool: Pool, group: str, topic: str, partition: int) -> bool:
    """Whether the partition is being read from its beginning, so that what it leads to may be published already."""
    return await pool.fetchval(POSITION, group, topic, partition) == 0 or bool(
        await pool.fetchval(REBUILDING, partition)
    )


async def note_rebuild(tx: Connection, partition: int, *, going_on: bool) -> None:
    """For the next owner, if this one does not come to the end."""
    await tx.execute(REBUILD if going_on else REBUILT, partition)
