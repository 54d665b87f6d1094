"""The tables of schema sla. Bulk statements: one per table and batch, whatever the number of records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from trunkline_common.postgres import Connection, Pool, Row

from trunkline_sla.model import Breached, Clock, Conversation, Fulfilled, Metric, Opening, SlaFact, State
from trunkline_sla.wire import late_ms

CLOCK_COLUMNS = (
    "clock_id, tenant, conversation_id, metric, cycle, gen, state, breached, target_s, started_at, ended_at, "
    "warnings, warned, policy_id, config_version, team, traceparent"
)
ARMED = f"select {CLOCK_COLUMNS} from clock where part = $1 and state = 'running' and not breached"  # noqa: S608
RUNNING = f"select {CLOCK_COLUMNS} from clock where conversation_id = any($1::text[]) and state = 'running'"  # noqa: S608
OF_CONVERSATION = f"""
select {CLOCK_COLUMNS} from clock where tenant = $1 and conversation_id = $2 order by started_at, metric, cycle
"""  # noqa: S608
CONVERSATIONS = """
select conversation_id, tenant, seq, team, replied, cycles, opening_at, opening_traceparent
from conversation where conversation_id = any($1::text[])
"""
PUT_CONVERSATIONS = """
insert into conversation (conversation_id, tenant, seq, team, replied, cycles, opening_at, opening_traceparent)
select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::int[], $7::timestamptz[],
                     $8::text[])
on conflict (conversation_id) do update set
    seq = excluded.seq, team = excluded.team, replied = excluded.replied, cycles = excluded.cycles,
    opening_at = excluded.opening_at, opening_traceparent = excluded.opening_traceparent
"""
PUT_CLOCKS = """
insert into clock (part, clock_id, tenant, conversation_id, metric, cycle, gen, state, breached, target_s, started_at,
                   due_at, ended_at, warnings, warned, policy_id, config_version, team, traceparent)
select $1, c.clock_id, c.tenant, c.conversation_id, c.metric, c.cycle, c.gen, c.state, c.breached, c.target_s,
       c.started_at, c.due_at, c.ended_at, c.warnings::smallint[], c.warned, c.policy_id, c.config_version, c.team,
       c.traceparent
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[], $9::boolean[],
            $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::smallint[],
            $16::text[], $17::bigint[], $18::text[], $19::text[])
     as c (clock_id, tenant, conversation_id, metric, cycle, gen, state, breached, target_s, started_at, due_at,
           ended_at, warnings, warned, policy_id, config_version, team, traceparent)
on conflict (clock_id) do update set
    gen = excluded.gen, state = excluded.state, breached = excluded.breached, ended_at = excluded.ended_at,
    warned = excluded.warned, team = excluded.team
"""
PUT_BREACHES = """
insert into breach (emitted_at, clock_id, tenant, conversation_id, metric, cycle, team, breached_at, late_ms)
select $1, b.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::timestamptz[],
                           $9::bigint[]) as b
on conflict (clock_id) do nothing
"""
RETRACT = "delete from breach where clock_id = any($1::text[])"
BREACHES = """
select clock_id, conversation_id, metric, cycle, team, breached_at, emitted_at, late_ms from breach
where tenant = $1 and ($2 = '' or team = $2) and ($3::timestamptz is null or (breached_at, clock_id) < ($3, $4))
order by breached_at desc, clock_id desc limit $5
"""


@dataclass(frozen=True, slots=True)
class Breach:
    """A breach as it was announced."""

    clock_id: str
    conversation_id: str
    metric: Metric
    cycle: int
    team: str
    breached_at: datetime
    emitted_at: datetime
    late_ms: int


async def armed(pool: Pool, partition: int) -> list[Clock]:
    """The clocks of a partition that a timer must look at."""
    return [_clock(row) for row in await pool.fetch(ARMED, partition)]


async def conversations(tx: Connection, ids: Collection[str]) -> dict[str, Conversation]:
    """Those of the named conversations that are known, each with its running clock."""
    running = {row["conversation_id"]: _clock(row) for row in await tx.fetch(RUNNING, list(ids))}
    rows = await tx.fetch(CONVERSATIONS, list(ids))
    return {row["conversation_id"]: _conversation(row, running.get(row["conversation_id"])) for row in rows}


async def put(
    tx: Connection, partition: int, states: Sequence[Conversation], clocks: Sequence[Clock], facts: Sequence[SlaFact],
    now: datetime,
) -> None:  # fmt: skip
    """Write what a batch changed."""
    if states:
        await tx.execute(PUT_CONVERSATIONS, *_columns(_conversation_row(s) for s in states))
    if clocks:
        await tx.execute(PUT_CLOCKS, partition, *_columns(_clock_row(c) for c in clocks))
    breaches = [_breach_row(f, now) for f in facts if isinstance(f, Breached)]
    if breaches:
        await tx.execute(PUT_BREACHES, now, *_columns(breaches))
    retracted = [f.clock.clock_id for f in facts if isinstance(f, Fulfilled) and f.retracts]
    if retracted:
        await tx.execute(RETRACT, retracted)


async def clocks_of(pool: Pool, tenant: str, conversation_id: str) -> list[Clock]:
    """Every clock of a conversation, oldest cycle first."""
    return [_clock(row) for row in await pool.fetch(OF_CONVERSATION, tenant, conversation_id)]


async def breaches(pool: Pool, tenant: str, team: str, before: tuple[datetime, str] | None, most: int) -> list[Breach]:
    """Breaches of a tenant, newest first, those after the cursor `before`."""
    at, clock_id = before or (None, "")
    rows = await pool.fetch(BREACHES, tenant, team, at, clock_id, most)
    return [Breach(**{**dict(row), "metric": Metric(row["metric"])}) for row in rows]


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _conversation(row: Row, clock: Clock | None) -> Conversation:
    opening = Opening(row["opening_at"], row["opening_traceparent"]) if row["opening_at"] else None
    return Conversation(
        row["tenant"], row["conversation_id"], row["seq"], row["team"], row["replied"], row["cycles"], opening, clock
    )


def _conversation_row(s: Conversation) -> tuple[object, ...]:
    at, traceparent = (s.opening.at, s.opening.traceparent) if s.opening else (None, None)
    return s.conversation_id, s.tenant, s.seq, s.team, s.replied, s.cycles, at, traceparent


def _clock(row: Row) -> Clock:
    typed = {"metric": Metric(row["metric"]), "state": State(row["state"]), "warnings": tuple(row["warnings"])}
    return Clock(**{**dict(row), **typed})


def _clock_row(c: Clock) -> tuple[object, ...]:
    warnings = "{" + ",".join(map(str, c.warnings)) + "}"  # an array of arrays cannot be unnested row by row
    return (
        c.clock_id, c.tenant, c.conversation_id, c.metric, c.cycle, c.gen, c.state, c.breached, c.target_s,
        c.started_at, c.due_at, c.ended_at, warnings, c.warned, c.policy_id, c.config_version, c.team, c.traceparent,
    )  # fmt: skip


def _breach_row(fact: Breached, now: datetime) -> tuple[object, ...]:
    c = fact.clock
    return c.clock_id, c.tenant, c.conversation_id, c.metric, c.cycle, c.team, fact.at, late_ms(fact, now)
