"""What the API reads from schema sla. Every statement filters by tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from trunkline_common.postgres import Pool, Row

from trunkline_sla.report import UNJUDGED, WAIVED, Counts, Grouping

CLOCK_COLUMNS = (
    "clock_id, conversation_id, metric, cycle, gen, state, target_s, business, started_at, since, consumed_s, due_at, "
    "breached_at, ended_at, met, reason, policy_id, calendar_id, config_version, team, channel"
)
OF_CONVERSATION = f"""
select {CLOCK_COLUMNS} from clock where tenant = $1 and conversation_id = $2 order by started_at, cycle, metric
"""  # noqa: S608 - a constant
CLOCK = f"""
select {CLOCK_COLUMNS} from clock
where tenant = $1 and conversation_id = $2 and metric = $3 and ($4 = 0 or cycle = $4) order by cycle desc limit 1
"""  # noqa: S608 - a constant
CONVERSATION = "select true from conversation where tenant = $1 and conversation_id = $2"
HISTORY = """
select entry from history
where conversation_id = (select conversation_id from conversation where tenant = $1 and conversation_id = $2)
order by n
"""
AT_RISK = f"""
select {CLOCK_COLUMNS} from clock
where tenant = $1 and state = 'running' and breached_at is null and due_at is not null
  and ($2 = '' or team = $2) and ($3 = '' or metric = $3) and ($4 = '' or channel = $4)
  and ($5::timestamptz is null or due_at <= $5) and ($6::timestamptz is null or (due_at, clock_id) > ($6, $7))
order by due_at, clock_id limit $8
"""  # noqa: S608 - a constant
BREACHES = """
select clock_id, conversation_id, metric, cycle, team, channel, policy_id, breached_at, emitted_at, late_ms from breach
where tenant = $1 and ($2 = '' or team = $2) and ($3 = '' or metric = $3) and ($4 = '' or channel = $4)
  and ($5 = '' or policy_id = $5) and ($6::timestamptz is null or breached_at >= $6)
  and ($7::timestamptz is null or breached_at < $7)
  and ($8::timestamptz is null or (breached_at, clock_id) < ($8, $9))
order by breached_at desc, clock_id desc limit $10
"""
REPORT = """
with ended as (
    select metric, team, channel, policy_id, ended_at, consumed_s, business and calendar_id <> '' as business,
           case when state = 'fulfilled' and met then 'met'
                when state = 'fulfilled' and not met then 'missed'
                when reason = $6 then 'waived'
                when state = 'cancelled' and breached_at is not null and reason <> all($7::text[]) then 'missed'
                else 'cancelled' end as verdict
    from clock
    where tenant = $1 and ended_at >= $2 and ended_at < $3 and ($4 = '' or team = $4) and ($5 = '' or channel = $5)
      and ($8 = '' or policy_id = $8)
)
select metric,
       case when $9 then team else '' end as team,
       case when $10 then channel else '' end as channel,
       case when $11 then policy_id else '' end as policy_id,
       case when $12 then width_bucket(ended_at, $13::timestamptz[]) else 0 end as day,
       count(*) filter (where verdict = 'met') as met,
       count(*) filter (where verdict = 'missed') as missed,
       count(*) filter (where verdict = 'waived') as waived,
       count(*) filter (where verdict = 'cancelled') as cancelled,
       percentile_disc(0.5) within group (order by consumed_s) filter (where verdict in ('met', 'missed')) as p50,
       percentile_disc(0.9) within group (order by consumed_s) filter (where verdict in ('met', 'missed')) as p90,
       bool_or(business) as business
from ended group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5 limit $14
"""


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock as it is stored. Running: `consumed_s` was counted before `since`; otherwise it is all that counted."""

    clock_id: str
    conversation_id: str
    metric: str
    cycle: int
    gen: int
    state: str
    target_s: int
    business: bool
    started_at: datetime
    since: datetime
    consumed_s: int
    due_at: datetime | None
    breached_at: datetime | None
    ended_at: datetime | None
    met: bool | None
    reason: str
    policy_id: str
    calendar_id: str
    config_version: int
    team: str
    channel: str

    @property
    def counts_by(self) -> str:
        """The calendar; "" where every second counts."""
        return self.calendar_id if self.business else ""


@dataclass(frozen=True, slots=True)
class Breach:
    """A breach as it was announced."""

    clock_id: str
    conversation_id: str
    metric: str
    cycle: int
    team: str
    channel: str
    policy_id: str
    breached_at: datetime
    emitted_at: datetime
    late_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """What a conversation was told, in order, as it is stored."""

    conversation_id: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BreachFilter:
    """What is "" or None is not asked for."""

    team: str = ""
    metric: str = ""
    channel: str = ""
    policy_id: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class RiskFilter:
    """What is "" or None is not asked for."""

    team: str = ""
    metric: str = ""
    channel: str = ""
    due_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Clocks that ended in [start, end); what is "" is not asked for."""

    start: datetime
    end: datetime
    team: str = ""
    channel: str = ""
    policy_id: str = ""


Place = tuple[datetime, str] | None


async def clocks_of(pool: Pool, tenant: str, conversation_id: str) -> list[Clock]:
    """Every clock of a conversation, oldest cycle first."""
    return [_clock(row) for row in await pool.fetch(OF_CONVERSATION, tenant, conversation_id)]


async def history(
    pool: Pool, tenant: str, conversation_id: str, metric: str, cycle: int
) -> tuple[Clock | None, History | None]:
    """A cycle of a metric (0: the newest) and all that its conversation was told, as of one moment.

    No clock: there is none such. No history: the tenant has no such conversation.
    """
    async with pool.acquire(timeout=10) as one, one.transaction(isolation="repeatable_read", readonly=True):
        if not await one.fetchval(CONVERSATION, tenant, conversation_id):
            return None, None
        row = await one.fetchrow(CLOCK, tenant, conversation_id, metric, cycle)
        entries = await one.fetch(HISTORY, tenant, conversation_id)
    return _clock(row) if row else None, History(conversation_id, tuple(entry["entry"] for entry in entries))


async def at_risk(pool: Pool, tenant: str, asked: RiskFilter, after: Place, most: int) -> list[Clock]:
    """Clocks that run and are not breached, the one that is due first at the head; those after the cursor."""
    at, clock_id = after or (None, "")
    found = await pool.fetch(
        AT_RISK, tenant, asked.team, asked.metric, asked.channel, asked.due_by, at, clock_id, most
    )  # fmt: skip
    return [_clock(row) for row in found]


async def breaches(pool: Pool, tenant: str, asked: BreachFilter, before: Place, most: int) -> list[Breach]:
    """Breaches, newest first, those after the cursor."""
    at, clock_id = before or (None, "")
    rows = await pool.fetch(
        BREACHES, tenant, asked.team, asked.metric, asked.channel, asked.policy_id, asked.start, asked.end, at,
        clock_id, most,
    )  # fmt: skip
    return [Breach(**dict(row)) for row in rows]


async def report(
    pool: Pool, tenant: str, asked: ReportFilter, by: Grouping, days: Sequence[tuple[date, datetime]], most: int
) -> list[Counts]:
    """How clocks ended, by metric and grouping; `days` are the dates of the period with their beginnings."""
    rows = await pool.fetch(
        REPORT, tenant, asked.start, asked.end, asked.team, asked.channel, WAIVED, list(UNJUDGED), asked.policy_id,
        by.team, by.channel, by.policy, by.day, [begins for _, begins in days], most,
    )  # fmt: skip
    return [_counts(row, days) for row in rows]


def _clock(row: Row) -> Clock:
    return Clock(**{name: row[name] for name in NAMES})


NAMES = tuple(field.name for field in fields(Clock))


def _counts(row: Row, days: Sequence[tuple[date, datetime]]) -> Counts:
    return Counts(
        metric=row["metric"],
        team=row["team"],
        channel=row["channel"],
        policy_id=row["policy_id"],
        day=days[row["day"] - 1][0] if row["day"] else None,
        met=row["met"],
        missed=row["missed"],
        waived=row["waived"],
        cancelled=row["cancelled"],
        elapsed_p50_s=row["p50"],
        elapsed_p90_s=row["p90"],
        business=row["business"],
    )
