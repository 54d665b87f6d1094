"""The running service, asked and watched from outside."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.config.v1.config_pb2 import BusinessCalendar, SlaPolicy, SlaRule, Team, TenantConfig
from trunkline.sla.v1 import sla_service_pb2 as api
from trunkline.sla.v1.sla_event_pb2 import Metric, SlaEvent
from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from trunkline_common.kafka import Outgoing

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.kit import eventually, read_topic, token_metadata
from tests.sla.talk import Talk

Fact = tuple[SlaEvent, dict[str, bytes]]
#: Some Monday morning: long ago, so that everything that is due in a test is past due already.
MONDAY = (datetime.now(UTC) - timedelta(weeks=6)).replace(hour=8, minute=0, second=0, microsecond=0)
MONDAY -= timedelta(days=MONDAY.weekday())


def new_tenant() -> str:
    """A tenant no other test uses."""
    return f"t-{uuid.uuid4().hex[:8]}"


# -- what is configured


def promises(name: str, **targets: int) -> SlaPolicy:
    """A policy with those targets on its calendar, and no warnings."""
    rules = [SlaRule(metric=metric, target_s=seconds) for metric, seconds in targets.items()]
    return SlaPolicy(id=name, rules=rules, no_warnings=True)


def version(
    tenant: str, number: int, policies: Sequence[SlaPolicy], calendars: Mapping[str, Any] | None = None,
    teams: Mapping[str, str] | None = None, *, default: str = "", at: datetime | None = None,
) -> Outgoing:  # fmt: skip
    """A version of a tenant's configuration; `teams` by their calendars, `default` is the tenant's. In force from `at`,
    else from the beginning."""
    config = TenantConfig(
        tenant=tenant,
        version=number,
        sla_policies=policies,
        calendars=[BusinessCalendar(id=name, document=json.dumps(doc)) for name, doc in (calendars or {}).items()],
        teams=[Team(id=team, calendar=calendar) for team, calendar in (teams or {}).items()],
        calendar=default,
    )
    if at is not None:
        config.applied_at.FromDatetime(at)
    return Outgoing("trunkline.config.v1", f"{tenant}/{number}".encode(), config.SerializeToString())


def hours(opens: str, closes: str, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    """The document of a calendar with the same hours every day."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return {"tz": zone, "weekly": {day: [[opens, closes]] for day in days}, **more}


# -- what is answered


class Client:
    """Asks the service as somebody of a tenant."""

    def __init__(self, services: Services, tenant: str) -> None:
        self._address = services.address("sla")
        self._metadata = token_metadata(services.keys, "supervisor", tenant, "sam")

    async def ask(self, method: str, request: Any) -> Any:
        """One call."""
        async with grpc.aio.insecure_channel(self._address) as channel:
            call = getattr(SlaServiceStub(channel), method)
            return await call(request, metadata=self._metadata, timeout=10)

    async def clocks(self, conversation_id: str) -> list[Any]:
        """GetClocks."""
        return list((await self.ask("GetClocks", api.GetClocksRequest(conversation_id=conversation_id))).clocks)

    async def breaches(self, team: str = "", size: int = 0, token: str = "") -> Any:
        """A page of ListBreaches."""
        return await self.ask("ListBreaches", api.ListBreachesRequest(team=team, page_size=size, page_token=token))

    async def explained(self, conversation_id: str, metric: str) -> Any:
        """ExplainClock for the newest cycle."""
        request = api.ExplainClockRequest(conversation_id=conversation_id, metric=Metric.Value(f"METRIC_{metric}"))
        return await self.ask("ExplainClock", request)


# -- what is published and stored


async def facts(stack: Stack, tenant: str) -> list[Fact]:
    """What was published for a tenant, with headers."""
    found = [
        (SlaEvent.FromString(r.value), dict(r.headers)) for r in await read_topic(stack.bootstrap, "trunkline.sla.v1")
    ]
    return [(event, headers) for event, headers in found if event.tenant == tenant]


def once(found: list[Fact]) -> list[Fact]:
    """Without copies: who was killed between sending and forgetting sends again, under the same id."""
    return list({headers["ce_id"]: (event, headers) for event, headers in reversed(found)}.values())[::-1]


def kinds(found: list[Fact], talk: Talk) -> list[str]:
    """The facts of one conversation, in order of publication."""
    return [e.WhichOneof("payload") or "" for e, _ in found if e.conversation_id == talk.conversation_id]


def said(found: list[Fact], talk: Talk) -> list[tuple[str, int, int | None]]:
    """Kind, instant and deadline of what was published of one conversation, in seconds from its beginning."""
    begun = at(talk.events[0].occurred_at).replace(microsecond=0)

    def seconds(instant: Timestamp) -> int:
        return round((at(instant) - begun).total_seconds())

    mine = [e for e, _ in found if e.conversation_id == talk.conversation_id]
    return [
        (e.WhichOneof("payload") or "", seconds(e.occurred_at), seconds(e.due_at) if e.HasField("due_at") else None)
        for e in mine
    ]


def at(instant: Timestamp) -> datetime:
    """As Python says it."""
    return instant.ToDatetime(tzinfo=UTC)


async def rows(stack: Stack, query: str, *args: object) -> list[tuple[Any, ...]]:
    """Rows of schema sla."""
    connection = await asyncpg.connect(stack.database_url, server_settings={"search_path": "sla"})
    try:
        return [tuple(row) for row in await connection.fetch(query, *args)]
    finally:
        await connection.close()


QUIET = """
select (select count(*) from unnest($1::text[], $2::bigint[]) as t (id, n) join conversation c
        on c.conversation_id = t.id and c.seq >= t.n),
       (select count(*) from clock where conversation_id = any($1) and next_at < now() - interval '700 ms'),
       (select count(*) from outbox)
"""


async def heard(stack: Stack, tenant: str, *talks: Talk) -> list[Fact]:
    """What was published for a tenant, once the talks are read to their end and what was due has been said."""
    ids, seqs = [t.conversation_id for t in talks], [len(t.events) for t in talks]

    async def quiet() -> bool:
        return await rows(stack, QUIET, ids, seqs) == [(len(talks), 0, 0)]

    await eventually(quiet, what="the service at rest")
    return await facts(stack, tenant)
