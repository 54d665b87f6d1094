"""SlaService's explanations and trials over real tables, from the history of real conversations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any

import pytest
import pytest_asyncio
from trunkline.config.v1.config_pb2 import SlaPolicy, SlaRule, SlaStates
from trunkline.sla.v1 import sla_event_pb2 as events
from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common.errors import Refused
from trunkline_common.postgres import Pool
from trunkline_sla import codec, wire_api
from trunkline_sla.evaluation import fact_key
from trunkline_sla.evaluation_model import Metric
from trunkline_sla.journal import What
from trunkline_sla.queries import History
from trunkline_sla.server_why import AT_ONCE, WhyCalls
from trunkline_sla.wire_config import Book
from trunkline_sla.wire_facts import clock_id, event_id

from deploy.local.stack import Stack
from tests.sla.live import MONDAY, Live, talk
from tests.sla.reads import TENANT, Row, as_caller, config, known, put, schema, sources

pytestmark = pytest.mark.stack
NOW = MONDAY + timedelta(hours=8)
RULES = [SlaRule(metric="first_response", target_s=3600), SlaRule(metric="resolution", target_s=18_000)]
REAL = SlaPolicy(id="real", rules=RULES, calendar="office", repeat_s=1800, max_repeats=2)


@pytest_asyncio.fixture
async def pool(stack: Stack) -> AsyncIterator[Pool]:
    """Tables with one conversation in them."""
    async with schema(stack.database_url) as found:
        await store(found, lived())
        yield found


@pytest.fixture
def asked(pool: Pool) -> WhyCalls:
    """The handlers, for a supervisor of acme."""
    as_caller()
    return WhyCalls(sources(pool, config(TENANT, 1, REAL), now=NOW))


def lived() -> Live:
    """A talk under the real policy."""
    book = Book(known(config(TENANT, 1, REAL)), MONDAY)
    live = talk(lambda number: book.at(TENANT, number) or pytest.fail("no such version"))
    live.look(NOW)
    return live


async def store(pool: Pool, live: Live, conversation_id: str = "c") -> None:
    """As the projector would."""
    whole = "insert into conversation values ($1, $2, 0, 9, $3, 'support', 'app', 1, '', true, $4)"
    await pool.execute(whole, conversation_id, TENANT, len(live.history), "{}")
    for n, entry in enumerate(live.history):
        text = codec.dump(codec.from_entry(entry))
        await pool.execute("insert into history values ($1, $2, $3)", conversation_id, n, text)
    for (metric, cycle), clock in live.clocks().items():
        row = Row(
            clock_id(TENANT, conversation_id, metric, cycle), conversation_id=conversation_id, metric=metric,
            cycle=cycle, gen=clock.gen, state=clock.phase, target_s=clock.terms.target_s, started_at=clock.started_at,
            since=clock.since, consumed_s=clock.consumed, due_at=clock.due_at, breached_at=clock.breached_at,
            ended_at=clock.ended_at, met=clock.met, reason=clock.reason or "", policy_id="real",
        )  # fmt: skip
        await put(pool, row)


def explain(metric: Metric, **more: Any) -> pb.ExplainClockRequest:
    """Of conversation c."""
    return pb.ExplainClockRequest(conversation_id="c", metric=wire_api.METRICS[metric], **more)


async def refused(call: Any) -> Refused:
    """The error of a call."""
    with pytest.raises(Refused) as found:
        await call
    return found.value


async def test_a_running_clock_is_explained_to_now(asked: WhyCalls) -> None:
    """Every interval, its reason and its cause; what counted is what the clock has counted."""
    found = await asked.ExplainClock(explain(Metric.RESOLUTION), None)
    assert [(p.why, p.counted, p.business_s, p.cause) for p in found.intervals] == [
        ("running", True, 3600, "e3"),
        ("paused in pending", False, 0, "e4"),
        ("running", True, 5 * 3600, "e5"),
    ]
    assert found.intervals[0].begins_at == found.clock.started_at
    assert found.intervals[-1].ends_at.ToDatetime(tzinfo=UTC) == NOW
    assert sum(p.business_s for p in found.intervals) == found.clock.elapsed_s == 6 * 3600
    assert (found.clock.state, found.clock.breached) == (pb.CLOCK_STATE_RUNNING, True)


async def test_what_was_announced_has_the_ids_it_was_published_with(asked: WhyCalls) -> None:
    """Of that clock only, in order; timers have no cause."""
    found = await asked.ExplainClock(explain(Metric.FIRST_RESPONSE, cycle=1), None)
    ours = sorted((f for f in lived().facts if f.metric is Metric.FIRST_RESPONSE), key=lambda f: f.at)
    clock = clock_id(TENANT, "c", Metric.FIRST_RESPONSE, 1)
    assert {e.event_id for e in found.events} == {event_id(clock, fact_key(f)) for f in ours}
    kinds = ["clock_started", "warning", "warning", "breached", "overdue", "overdue", "fulfilled", "recovered"]
    assert [e.WhichOneof("payload") for e in found.events] == kinds
    assert found.events[0].cause == "e3"
    assert (found.events[0].cause_seq, found.events[3].cause, found.events[3].cause_seq) == (3, "", 0)
    assert {(e.clock_id, e.team, e.channel, e.tenant) for e in found.events} == {(clock, "support", "app", TENANT)}
    assert found.clock.clock_id == clock


async def test_what_is_not_there_cannot_be_explained(asked: WhyCalls) -> None:
    """Neither the clock, nor the conversation, nor another tenant's."""
    none = await refused(asked.ExplainClock(explain(Metric.AGENT_WORK), None))
    assert (none.code, none.reason) == ("NOT_FOUND", "CLOCK_NOT_FOUND")
    assert (await refused(asked.ExplainClock(explain(Metric.RESOLUTION, cycle=2), None))).reason == "CLOCK_NOT_FOUND"
    nowhere = pb.ExplainClockRequest(conversation_id="x", metric=events.METRIC_RESOLUTION)
    assert (await refused(asked.ExplainClock(nowhere, None))).reason == "CONVERSATION_NOT_FOUND"
    [wrong] = (await refused(asked.ExplainClock(explain(Metric.RESOLUTION, cycle=-1), None))).violations
    assert wrong.field == "cycle"
    as_caller("other")
    assert (await refused(asked.ExplainClock(explain(Metric.RESOLUTION), None))).reason == "CONVERSATION_NOT_FOUND"
    trial = pb.EvaluateRequest(conversation_id="c", policy=REAL)
    assert (await refused(asked.Evaluate(trial, None))).reason == "CONVERSATION_NOT_FOUND"


async def everything(pool: Pool) -> list[Any]:
    """Every row of the tables that a trial could touch."""
    tables = ("conversation", "clock", "breach", "history", "outbox")
    return [await pool.fetch(f"select * from {table} order by 1, 2") for table in tables]  # noqa: S608


async def test_another_policy_is_tried_and_nothing_is_stored(pool: Pool, asked: WhyCalls) -> None:
    """Under six hours without a pause both promises would have been kept."""
    before = await everything(pool)
    rules = [
        SlaRule(metric="first_response", target_s=7 * 3600),
        SlaRule(metric="resolution", target_s=8 * 3600, pause_on=SlaStates()),
    ]
    policy = SlaPolicy(id="try", rules=rules, calendar="office")
    found = await asked.Evaluate(pb.EvaluateRequest(conversation_id="c", policy=policy), None)
    first, resolution = sorted(found.clocks, key=lambda c: c.metric)
    assert (first.state, first.met, first.elapsed_s, first.policy_id) == (
        pb.CLOCK_STATE_FULFILLED,
        True,
        6 * 3600,
        "try",
    )
    assert (resolution.state, resolution.elapsed_s, resolution.breached) == (pb.CLOCK_STATE_RUNNING, 7 * 3600, False)
    assert (resolution.target_text, resolution.clock_id) == ("8 h of calendar office", "")
    assert {e.event_id for e in found.events} == {""}
    assert [e.WhichOneof("payload") for e in found.events if e.metric == events.METRIC_FIRST_RESPONSE] == [
        "clock_started",
        "warning",
        "fulfilled",
    ]
    assert await everything(pool) == before


async def test_a_trial_may_end_earlier(asked: WhyCalls) -> None:
    """What came later is not known then; before the beginning there is nothing."""
    request = pb.EvaluateRequest(conversation_id="c", policy=REAL)
    request.at.FromDatetime(MONDAY + timedelta(hours=2, minutes=30))
    resolution = next(c for c in (await asked.Evaluate(request, None)).clocks if c.metric == events.METRIC_RESOLUTION)
    assert (resolution.state, resolution.elapsed_s) == (pb.CLOCK_STATE_PAUSED, 3600)
    request.at.FromDatetime(MONDAY - timedelta(hours=1))
    assert not (await asked.Evaluate(request, None)).ListFields()


async def test_the_real_policy_tried_says_what_the_clocks_say(asked: WhyCalls) -> None:
    """A trial and an explanation are one engine."""
    trial = await asked.Evaluate(pb.EvaluateRequest(conversation_id="c", policy=REAL), None)
    for tried in trial.clocks:
        real = (await asked.ExplainClock(explain(Metric(events.Metric.Name(tried.metric)[7:].lower())), None)).clock
        real.clock_id = ""
        assert tried == real


async def test_a_policy_that_could_not_be_configured_is_refused(asked: WhyCalls) -> None:
    """Every wrong field with its path."""
    wrong = SlaPolicy(
        id="x",
        calendar="gone",
        rules=[
            SlaRule(metric="sleep", target_s=0, reopen="never"),
            SlaRule(metric="resolution", target_s=60, counts_first_message=True),
            SlaRule(metric="resolution", target_s=60),
        ],
        warnings_percent=[50, 100],
        warnings_remaining_s=[59, 60],
        repeat_s=-1,
        max_repeats=0,
    )
    error = await refused(asked.Evaluate(pb.EvaluateRequest(conversation_id="c", policy=wrong), None))
    assert error.code == "INVALID_ARGUMENT"
    assert sorted(v.field for v in error.violations) == [
        "policy.calendar",
        "policy.max_repeats",
        "policy.repeat_s",
        "policy.rules[0].metric",
        "policy.rules[0].reopen",
        "policy.rules[0].target_s",
        "policy.rules[1].counts_first_message",
        "policy.rules[2].metric",
        "policy.warnings_percent[1]",
        "policy.warnings_remaining_s[1]",
    ]
    nothing = pb.EvaluateRequest(conversation_id="c", policy=SlaPolicy(id="x"))
    assert [v.field for v in (await refused(asked.Evaluate(nothing, None))).violations] == ["policy.rules"]
    much = SlaPolicy(rules=RULES, warnings_percent=[50] * 21)
    error = await refused(asked.Evaluate(pb.EvaluateRequest(conversation_id="c", policy=much), None))
    assert [v.field for v in error.violations] == ["policy.warnings_percent"]


def test_the_stored_history_is_json() -> None:
    """What PostgreSQL gives back is what was told."""
    for entry in lived().history:
        assert codec.to_entry(json.loads(codec.dump(codec.from_entry(entry)))) == entry


async def test_a_long_history_leaves_others_their_turn() -> None:
    """Timers of the same process are not late because somebody asks why."""
    as_caller()
    live = lived()
    entries = [*live.history, *(live.history[-1]._replace(what=What.OTHER) for _ in range(10 * AT_ONCE))]
    stored = History("c", tuple(codec.dump(codec.from_entry(entry)) for entry in entries))
    telling = asyncio.create_task(WhyCalls(sources(None))._told(stored, live.versions))
    turns = 0
    while not telling.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10
    assert (await telling).cycles(NOW)
