"""A schema with clocks in it, and SlaService over it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trunkline.config.v1.config_pb2 import BusinessCalendar, SlaPolicy, SlaRule, Team, TenantConfig
from trunkline_common import postgres
from trunkline_common.auth import Caller, Role, set_caller
from trunkline_common.pages import PageTokens
from trunkline_common.postgres import Pool
from trunkline_common.tenants import Tenants
from trunkline_sla.server_calls import Sources
from trunkline_sla.wire_config import Book

#: A Friday afternoon.
NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
OFFICE = {"tz": "UTC", "weekly": {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}}
TENANT = "acme"


def config(tenant: str = TENANT, version: int = 1, *policies: SlaPolicy) -> TenantConfig:
    """Two teams, office hours, and a policy on them where none is given."""
    rule = SlaRule(metric="first_response", target_s=14_400)
    found = TenantConfig(
        tenant=tenant,
        version=version,
        teams=[Team(id="support"), Team(id="billing")],
        calendars=[BusinessCalendar(id="office", document=json.dumps(OFFICE))],
        sla_policies=policies or [SlaPolicy(id="standard", rules=[rule], calendar="office")],
    )
    found.applied_at.FromDatetime(NOW - timedelta(days=30))
    return found


def known(*configs: TenantConfig) -> Tenants:
    """Configurations that have arrived."""
    tenants = Tenants("")
    for found in configs:
        tenants._take("", found.SerializeToString())
    return tenants


def sources(pool: Any, *configs: TenantConfig, now: datetime = NOW) -> Sources:
    """What SlaService answers from."""
    tenants = known(*configs)
    return Sources(pool, PageTokens(b"k" * 32), tenants, Book(tenants, NOW), lambda: now)


def as_caller(tenant: str = TENANT, role: Role = "supervisor") -> None:
    """Whom the next calls are of."""
    set_caller(Caller(tenant, role, "sam", ""))


@asynccontextmanager
async def schema(url: str) -> AsyncIterator[Pool]:
    """The tables of the service, in a schema of their own."""
    name = f"sla_{uuid.uuid4().hex[:8]}"
    async with postgres.connect(url, name, size=2) as pool:
        await postgres.migrate(pool, name, "trunkline_sla")
        yield pool
        await pool.execute(f'drop schema "{name}" cascade')


@dataclass(frozen=True)
class Row:
    """A clock as the service stores it: started an hour ago on office hours."""

    clock_id: str
    tenant: str = TENANT
    conversation_id: str = "c"
    part: int = 0
    metric: str = "first_response"
    cycle: int = 1
    gen: int = 1
    state: str = "running"
    target_s: int = 14_400
    business: bool = True
    started_at: datetime = NOW - timedelta(hours=1)
    since: datetime = NOW - timedelta(hours=1)
    consumed_s: int = 0
    due_at: datetime | None = NOW + timedelta(hours=1)
    next_at: datetime | None = None
    breached_at: datetime | None = None
    ended_at: datetime | None = None
    met: bool | None = None
    reason: str = ""
    policy_id: str = "standard"
    calendar_id: str = "office"
    config_version: int = 1
    team: str = "support"
    channel: str = "app"
    traceparent: str = ""
    current: bool = True
    doc: str = "{}"


@dataclass(frozen=True)
class BreachRow:
    """A breach as the service stores it."""

    clock_id: str
    breached_at: datetime
    retraction: int = 0
    tenant: str = TENANT
    conversation_id: str = "c"
    metric: str = "first_response"
    cycle: int = 1
    team: str = "support"
    channel: str = "app"
    policy_id: str = "standard"
    emitted_at: datetime = NOW
    late_ms: int = 7


async def put(pool: Pool, *rows: Row | BreachRow) -> None:
    """Store them."""
    for row in rows:
        values = dict(zip(row.__dataclass_fields__, vars(row).values(), strict=True))
        table = "clock" if isinstance(row, Row) else "breach"
        marks = ", ".join(f"${i + 1}" for i in range(len(values)))
        await pool.execute(f"insert into {table} ({', '.join(values)}) values ({marks})", *values.values())  # noqa: S608
