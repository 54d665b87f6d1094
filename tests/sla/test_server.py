"""SlaService's lists and reports over real tables: filters, pages, tenants, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.sla.v1 import sla_event_pb2 as events
from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common.errors import Refused
from trunkline_common.postgres import Pool
from trunkline_sla.server_lists import ListCalls

from deploy.local.stack import Stack
from tests.sla.reads import NOW, BreachRow, Row, as_caller, config, put, schema, sources

pytestmark = pytest.mark.stack
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def pool(stack: Stack) -> AsyncIterator[Pool]:
    """Empty tables."""
    async with schema(stack.database_url) as found:
        yield found


@pytest.fixture
def asked(pool: Pool) -> ListCalls:
    """The handlers, for a supervisor of acme."""
    as_caller()
    return ListCalls(sources(pool, config(), config("other")))


def stamp(at: datetime) -> Timestamp:
    """On the wire."""
    found = Timestamp()
    found.FromDatetime(at)
    return found


async def refused(call: Awaitable[Any]) -> Refused:
    """The error of a call."""
    with pytest.raises(Refused) as found:
        await call
    return found.value


async def wrong(call: Awaitable[Any]) -> list[str]:
    """The fields that a call is refused for."""
    error = await refused(call)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    return [violation.field for violation in error.violations]


# -- GetClocks


async def test_clocks_come_oldest_first_with_what_they_have_counted(pool: Pool, asked: ListCalls) -> None:
    """A running clock's seconds are its calendar's; the others' are what was stored."""
    paused = Row("p", metric="agent_work", started_at=NOW - 9 * HOUR, state="paused", consumed_s=77, due_at=None)
    night = Row("n", metric="resolution", since=NOW - 24 * HOUR, started_at=NOW - 25 * HOUR, consumed_s=5)
    always = replace(night, clock_id="a", metric="requester_wait", started_at=NOW - 8 * HOUR, business=False)
    ended = Row("e", state="fulfilled", met=True, ended_at=NOW, consumed_s=60, reason="agent_message", cycle=2)
    late = replace(ended, clock_id="l", met=False, breached_at=NOW, cycle=3)
    gone = Row("g", metric="next_response", state="cancelled", ended_at=NOW, reason="merged", cycle=4)
    await put(pool, ended, late, gone, always, paused, night, Row("x", conversation_id="d"), Row("y", tenant="other"))
    found = (await asked.GetClocks(pb.GetClocksRequest(conversation_id="c"), None)).clocks
    assert [c.clock_id for c in found] == ["n", "p", "a", "e", "l", "g"]
    assert [c.elapsed_s for c in found] == [5 + 8 * 3600, 77, 5 + 24 * 3600, 60, 60, 0]
    states = [pb.CLOCK_STATE_RUNNING, pb.CLOCK_STATE_PAUSED, pb.CLOCK_STATE_RUNNING]
    assert [c.state for c in found] == [*states, *[pb.CLOCK_STATE_FULFILLED] * 2, pb.CLOCK_STATE_CANCELLED]
    assert [c.HasField("due_at") for c in found] == [True, False, True, False, False, False]
    assert [c.met if c.HasField("met") else None for c in found] == [None, None, None, True, False, None]
    assert [c.breached for c in found] == [False, False, False, False, True, False]
    assert [c.target_text for c in found][:3] == ["4 h of calendar office", "4 h of calendar office", "4 h"]
    assert (found[2].calendar_id, found[5].reason, found[1].channel) == ("", "merged", "app")


async def test_a_configuration_that_has_not_arrived_is_asked_for_again(pool: Pool, asked: ListCalls) -> None:
    """No number is invented."""
    await put(pool, Row("a", config_version=9))
    error = await refused(asked.GetClocks(pb.GetClocksRequest(conversation_id="c"), None))
    assert (error.code, error.retry_after) == ("UNAVAILABLE", 1.0)


# -- ListBreaches


async def test_breaches_are_filtered_by_everything_that_is_named(pool: Pool, asked: ListCalls) -> None:
    """Each filter alone takes one of them away."""
    await put(
        pool,
        BreachRow("all", NOW),
        BreachRow("team", NOW, team="billing"),
        BreachRow("metric", NOW, metric="resolution"),
        BreachRow("channel", NOW, channel="sms"),
        BreachRow("policy", NOW, policy_id="vip"),
        BreachRow("before", NOW - HOUR - timedelta(seconds=1)),
        BreachRow("after", NOW + HOUR),
        BreachRow("tenant", NOW, tenant="other"),
    )
    bounds: dict[str, Any] = {"from": stamp(NOW - HOUR), "to": stamp(NOW + HOUR)}
    whole: dict[str, Any] = {
        "team": "support",
        "metric": events.METRIC_FIRST_RESPONSE,
        "channel": "app",
        "policy_id": "standard",
    }
    request = pb.ListBreachesRequest(**whole, **bounds)
    [only] = (await asked.ListBreaches(request, None)).breaches
    assert (only.clock_id, only.policy_id, only.channel, only.late_ms) == ("all", "standard", "app", 7)
    taken = {"team": "team", "metric": "metric", "channel": "channel", "policy_id": "policy", "from": "before"}
    for field, clock_id in {**taken, "to": "after"}.items():
        less = pb.ListBreachesRequest()
        less.CopyFrom(request)
        less.ClearField(field)  # type: ignore[arg-type] # a name of the request
        found = {b.clock_id for b in (await asked.ListBreaches(less, None)).breaches}
        assert found == {"all", clock_id}, field


async def test_pages_are_stable_and_bound_to_their_question(pool: Pool, asked: ListCalls) -> None:
    """What is new does not move the rest; a token is good for nobody else and nothing else."""
    await put(pool, *(BreachRow(f"b{i}", NOW - timedelta(seconds=i // 2)) for i in range(5)))
    first = await asked.ListBreaches(pb.ListBreachesRequest(page_size=1), None)
    await put(pool, BreachRow("new", NOW + HOUR))
    rest: list[pb.Breach] = []
    token = first.next_page_token
    while token:
        page = await asked.ListBreaches(pb.ListBreachesRequest(page_size=1, page_token=token), None)
        rest, token = [*rest, *page.breaches], page.next_page_token
    assert [b.clock_id for b in (*first.breaches, *rest)] == ["b1", "b0", "b3", "b2", "b4"]
    other = pb.ListBreachesRequest(page_size=1, page_token=first.next_page_token, channel="sms")
    assert (await refused(asked.ListBreaches(other, None))).reason == "INVALID_PAGE_TOKEN"
    as_caller("other")
    again = pb.ListBreachesRequest(page_size=1, page_token=first.next_page_token)
    assert (await refused(asked.ListBreaches(again, None))).reason == "INVALID_PAGE_TOKEN"
    assert not (await asked.ListBreaches(pb.ListBreachesRequest(), None)).breaches


# -- ListAtRisk


async def test_what_is_due_first_is_at_the_head(pool: Pool, asked: ListCalls) -> None:
    """Neither breached nor paused nor ended clocks; equal times by id; pages join to the whole."""
    due = [NOW + HOUR, NOW - HOUR, NOW + 3 * HOUR, NOW + HOUR]
    await put(
        pool,
        *(Row(f"r{i}", due_at=at, team="support" if i else "billing") for i, at in enumerate(due)),
        Row("breached", breached_at=NOW),
        Row("paused", state="paused", due_at=None),
        Row("ended", state="fulfilled", due_at=None, ended_at=NOW),
        Row("faulty", due_at=None),
        Row("other", tenant="other"),
    )

    async def ids(**question: Any) -> list[str]:
        found, token = [], ""
        while True:
            request = pb.ListAtRiskRequest(page_size=1, page_token=token, **question)
            page = await asked.ListAtRisk(request, None)
            found += [c.clock_id for c in page.clocks]
            if not (token := page.next_page_token):
                return found

    assert await ids() == ["r1", "r0", "r3", "r2"]
    assert await ids(team="support") == ["r1", "r3", "r2"]
    assert await ids(within_s=3600) == ["r1", "r0", "r3"]
    assert await ids(within_s=3599) == ["r1"]
    assert await ids(metric=events.METRIC_RESOLUTION) == []
    assert await ids(channel="sms") == []
    [clock] = (await asked.ListAtRisk(pb.ListAtRiskRequest(page_size=1), None)).clocks
    assert (clock.elapsed_s, clock.target_text) == (3600, "4 h of calendar office")


# -- GetReport


def ended(clock_id: str, seconds: int = 60, **different: Any) -> Row:
    """A clock that was met in time."""
    whole: dict[str, Any] = {"state": "fulfilled", "met": True, "due_at": None, "consumed_s": seconds, "ended_at": NOW}
    return Row(clock_id, **{**whole, **different})


def report(**question: Any) -> pb.GetReportRequest:
    """Of the day around NOW, if nothing else is said."""
    whole: dict[str, Any] = {"from": stamp(NOW - 12 * HOUR), "to": stamp(NOW + 12 * HOUR)}
    return pb.GetReportRequest(**{**whole, **question})


async def test_how_clocks_ended(pool: Pool, asked: ListCalls) -> None:
    """Met, missed, waived and cancelled, as the definitions say; percentiles of those that have a verdict."""
    gone: dict[str, Any] = {"state": "cancelled", "met": None}
    await put(
        pool,
        *(ended(f"m{i}", seconds=10 * (i + 1)) for i in range(8)),
        ended("late", 500, met=False, breached_at=NOW),
        ended("left", 400, **gone, breached_at=NOW, reason="resolved"),
        ended("waived", 9000, **gone, breached_at=NOW, reason="waived"),
        ended("stopped", 9000, **gone, reason="resolved"),
        *(ended(why, 9000, **gone, breached_at=NOW, reason=why) for why in ("no_policy", "merged", "split")),
        ended("faulty", 9000, met=None),
        ended("wall", 1, metric="resolution", business=False),
        Row("running"),
        ended("before", ended_at=NOW - 12 * HOUR - timedelta(seconds=1)),
        ended("after", ended_at=NOW + 12 * HOUR),
        ended("other", tenant="other"),
    )
    found = await asked.GetReport(report(), None)
    first, resolution = found.rows
    assert (first.metric, resolution.metric) == (events.METRIC_FIRST_RESPONSE, events.METRIC_RESOLUTION)
    assert (first.met, first.missed, first.waived, first.cancelled) == (8, 2, 1, 5)
    assert (first.met_ratio, first.elapsed_p50_s, first.elapsed_p90_s, first.seconds) == (0.8, 50, 400, "business")
    assert (resolution.met_ratio, resolution.elapsed_p50_s, resolution.seconds) == (1.0, 1, "elapsed")
    assert found.definitions["missed"].startswith("Clocks that")


async def test_a_row_without_a_verdict_has_no_ratio(pool: Pool, asked: ListCalls) -> None:
    """Not 0, not 1."""
    await put(pool, ended("a", state="cancelled", met=None, reason="waived"))
    [row] = (await asked.GetReport(report(), None)).rows
    assert (row.waived, row.HasField("met_ratio"), row.HasField("elapsed_p50_s")) == (1, False, False)


async def test_rows_are_kept_apart_by_what_is_asked(pool: Pool, asked: ListCalls) -> None:
    """Team, channel, policy, and the days of a zone; what is not grouped by stays empty."""
    await put(
        pool,
        ended("a", ended_at=NOW.replace(hour=22, minute=59)),
        ended("b", ended_at=NOW.replace(hour=23), team="billing"),
        ended("c", channel="sms"),
        ended("d", policy_id="vip"),
    )

    async def rows(by: list[Any], **question: Any) -> list[tuple[str, str, str, str, int]]:
        found = (await asked.GetReport(report(group_by=by, **question), None)).rows
        return [(r.team, r.channel, r.policy_id, r.day, r.met) for r in found]

    assert await rows([pb.REPORT_GROUP_TEAM]) == [("billing", "", "", "", 1), ("support", "", "", "", 3)]
    assert await rows([pb.REPORT_GROUP_CHANNEL]) == [("", "app", "", "", 3), ("", "sms", "", "", 1)]
    assert await rows([pb.REPORT_GROUP_POLICY]) == [("", "", "standard", "", 3), ("", "", "vip", "", 1)]
    assert await rows([pb.REPORT_GROUP_DAY]) == [("", "", "", "2026-11-20", 4)]
    berlin = await rows([pb.REPORT_GROUP_DAY], timezone="Europe/Berlin")
    assert berlin == [("", "", "", "2026-11-20", 3), ("", "", "", "2026-11-21", 1)]
    both = [pb.REPORT_GROUP_DAY, pb.REPORT_GROUP_TEAM]
    assert ("billing", "", "", "2026-11-21", 1) in await rows(both, timezone="Europe/Berlin")
    assert await rows([], team="billing") == await rows([], channel="sms") == [("", "", "", "", 1)]
    assert await rows([], policy_id="vip") == [("", "", "", "", 1)]


# -- PreviewDue


async def test_a_preview_names_its_teams_in_the_order_asked(asked: ListCalls) -> None:
    """Four hours of the office, asked an hour before it closes on Friday."""
    found = (await asked.PreviewDue(pb.PreviewDueRequest(teams=["support", "billing"]), None)).dues
    assert [(d.team, d.policy_id, d.config_version) for d in found] == [
        ("support", "standard", 1),
        ("billing", "standard", 1),
    ]
    assert found[0].due_at.ToDatetime(tzinfo=UTC) == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert (found[0].metric, found[0].target_text) == (events.METRIC_FIRST_RESPONSE, "4 h of calendar office")
    early = pb.PreviewDueRequest(teams=["support"], at=stamp(NOW - 6 * HOUR))
    assert (await asked.PreviewDue(early, None)).dues[0].due_at.ToDatetime(tzinfo=UTC) == NOW - 2 * HOUR


# -- what is refused


async def test_what_is_wrong_is_named(asked: ListCalls) -> None:
    """The path of the field."""
    backwards: dict[str, Any] = {"from": stamp(NOW), "to": stamp(NOW - HOUR)}
    assert await wrong(asked.ListAtRisk(pb.ListAtRiskRequest(within_s=-1), None)) == ["within_s"]
    assert await wrong(asked.ListBreaches(pb.ListBreachesRequest(**backwards), None)) == ["to"]
    assert await wrong(asked.GetReport(pb.GetReportRequest(**backwards), None)) == ["to"]
    assert await wrong(asked.GetReport(report(to=stamp(NOW + timedelta(days=400))), None)) == ["to"]
    assert await wrong(asked.GetReport(report(timezone="Mars/Base"), None)) == ["timezone"]
    assert await wrong(asked.GetReport(report(group_by=[pb.REPORT_GROUP_DAY] * 2), None)) == ["group_by"]
    assert await wrong(asked.GetReport(report(group_by=[pb.REPORT_GROUP_DAY, 77]), None)) == ["group_by[1]"]
    assert await wrong(asked.ListBreaches(pb.ListBreachesRequest(metric=99), None)) == ["metric"]  # type: ignore[arg-type]
    assert await wrong(asked.ListBreaches(pb.ListBreachesRequest(page_size=-1), None)) == ["page_size"]
    never: dict[str, Any] = {"from": Timestamp(seconds=10**15)}
    assert await wrong(asked.ListBreaches(pb.ListBreachesRequest(**never), None)) == ["from"]
    assert await wrong(asked.PreviewDue(pb.PreviewDueRequest(teams=["support", "x"]), None)) == ["teams[1]"]
    assert await wrong(asked.PreviewDue(pb.PreviewDueRequest(teams=["support"] * 101), None)) == ["teams"]


async def test_a_tenant_without_a_configuration_has_no_preview(asked: ListCalls) -> None:
    """There is nothing to decide with."""
    as_caller("nobody")
    error = await refused(asked.PreviewDue(pb.PreviewDueRequest(teams=["support"]), None))
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "TENANT_NOT_CONFIGURED")


OWN: dict[str, Callable[[ListCalls], Awaitable[Any]]] = {
    "GetClocks": lambda asked: asked.GetClocks(pb.GetClocksRequest(conversation_id="c"), None),
    "ListBreaches": lambda asked: asked.ListBreaches(pb.ListBreachesRequest(), None),
    "ListAtRisk": lambda asked: asked.ListAtRisk(pb.ListAtRiskRequest(), None),
    "GetReport": lambda asked: asked.GetReport(report(), None),
}


@pytest.mark.parametrize("method", OWN)
async def test_a_tenant_sees_its_own_only(pool: Pool, asked: ListCalls, method: str) -> None:
    """Whatever is asked (P8)."""
    await put(pool, Row("a"), ended("b"), BreachRow("a", NOW))
    assert len((await OWN[method](asked)).ListFields()[0][1]) > 0
    as_caller("other")
    assert not [f for f, _ in (await OWN[method](asked)).ListFields() if f.name != "definitions"]
