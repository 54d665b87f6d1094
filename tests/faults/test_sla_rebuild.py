"""The SLA service reads the log again from its beginning: the same rows, and nothing is published twice (P5, sla 12.5).

A check that stands in `pytest.raises` is the check of the test above it, on a build without the mechanism named.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_FAILED
from trunkline.sla.v1.sla_event_pb2 import SlaEvent
from trunkline_common.faultpoints import CrashPoint

from tests import kit
from tests.faults.builds import PATIENCE_S
from tests.faults.crowd import Crowd
from tests.faults.world import LOG, ends
from tests.sla.service import hours, new_tenant, promises, version
from tests.sla.talk import SYSTEM, Talk, agent, produce

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
#: At most so many records in a batch, so that every partition takes several.
FEW = "20"
TALKS, EVENTS = 150, 12
#: What is a pure function of the log: all but when a breach was said.
TABLES = {
    "conversation": "*",
    "clock": "*",
    "history": "*",
    "breach": "clock_id, retraction, conversation_id, metric, cycle, team, channel, policy_id, breached_at",
}
UNSAID = "select from clock where next_at < now() - interval '700 ms' union all select from rebuild limit 1"


@dataclass(slots=True)
class Past:
    """What happened in some conversations, what the service made of it, and what it published, in order."""

    many: Crowd
    talks: list[Talk]
    rows: dict[str, list[tuple[Any, ...]]]
    published: list[str]

    async def now(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows as they are."""
        ids = [talk.conversation_id for talk in self.talks]
        query = "select {1} from {0} where conversation_id = any($1) order by {0}"
        return {table: await self.many.rows(query.format(table, what), ids) for table, what in TABLES.items()}

    async def said(self) -> list[str]:
        """The ids of all that has been published of them."""
        ids = {talk.conversation_id.encode() for talk in self.talks}
        found = await kit.read_topic(self.many.stack.bootstrap, "trunkline.sla.v1")
        return [SlaEvent.FromString(r.value).event_id for r in found if r.key in ids]

    async def forget(self) -> None:
        """All tables are empty, as on the first day."""
        await self.many.rows("truncate conversation, clock, breach, history, rebuild, outbox, consumer_partition")

    async def check(self) -> None:
        """P5: rebuilt = equal, and nothing twice."""
        rows = await self.now()
        for table, before in self.rows.items():
            assert rows[table] == before, f"other rows of {table}"
        copies = {event: n for event, n in Counter(await self.said()).items() if n > 1}
        assert not copies, f"published twice: {len(copies)}"
        assert sorted(await self.said()) == sorted(self.published), "published something else"


async def settled(many: Crowd, *, relayed: bool = True) -> None:
    """Wait until the log is read to its end, and all that was due is said."""

    async def look() -> bool:
        end = await ends(many.stack, LOG)
        found = dict(await many.rows("select part, next_offset from consumer_partition where grp = 'sla'"))
        read = all(found.get(n, 0) >= at for n, at in end.items())
        left = await many.rows(UNSAID) + (await many.rows("select from outbox limit 1") if relayed else [])
        return bool(end) and read and not left

    await kit.eventually(look, seconds=PATIENCE_S, what="the end of the log")


def happened(tenant: str, chance: random.Random) -> Talk:
    """A conversation of two days ago in which anything happens."""
    talk = Talk(tenant, at=datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)).begin()
    for _ in range(chance.randrange(EVENTS)):
        talk.later(chance.randrange(4000))
        sent = [e.message_sent.message_id for e in talk.events if e.HasField("message_sent")]
        match chance.randrange(8):
            case 0 | 1:
                talk.writes()
            case 2 | 3:
                talk.replies("ben")
            case 4:
                talk.add(agent("ben"), conversation_snoozed={"agent_id": "ben"})
            case 5:
                talk.add(SYSTEM, conversation_woken={"agent_id": "ben"})
            case 6:
                talk.add(agent("ben"), attributes_changed={"attributes": {"priority": chance.choice(["high", "low"])}})
            case _ if sent:
                talk.add(SYSTEM, delivery_updated={"message_id": sent[-1], "status": DELIVERY_STATUS_FAILED})
            case _:
                talk.add(agent("ben"), conversation_resolved={"agent_id": "ben"})
    return talk


def policies() -> list[Any]:
    """Less time where it is urgent; on a calendar, repeated."""
    urgent = promises("urgent", first_response=900, next_response=600, resolution=7200)
    plain = promises("plain", first_response=3600, next_response=3600, periodic_update=5000, resolution=20_000)
    urgent.priorities[:], urgent.repeat_s, plain.calendar = ["high"], 600, "day"
    return [urgent, plain]


async def lived(many: Crowd) -> Past:
    """Most of it happens while nobody reads; then some are answered, which is read at once."""
    tenant, chance = new_tenant(), random.Random(7)  # noqa: S311 - the same on every run
    talks = [happened(tenant, chance) for _ in range(TALKS)]
    await produce(many.stack.bootstrap, [version(tenant, 1, policies(), {"day": hours("06:00", "20:00")})])
    await produce(many.stack.bootstrap, [record for talk in talks for record in talk.records()])
    await many.start()
    await settled(many)
    answers = [replace(talk, at=datetime.now(UTC)).replies("ada").records()[-1] for talk in talks[::3]]
    await produce(many.stack.bootstrap, answers)
    await settled(many)
    past = Past(many, talks, {}, [])
    past.rows, past.published = await past.now(), await past.said()
    await many.services.stop("sla")
    assert len(past.rows["breach"]) > TALKS / 2
    return past


async def killed(past: Past, point: CrashPoint, without: str = "") -> None:
    """The log is read again; in the middle of it the process dies, and another one goes on."""
    await past.forget()
    await past.many.dies(point, 40, SLA_WITHOUT=without, SLA_RECORDS=FEW)
    part = "select from consumer_partition c join rebuild r using (part) where next_offset > 0"
    assert without or await past.many.rows(part), "died before the middle"
    await past.many.start(without=without, SLA_RECORDS=FEW)
    await settled(past.many)
    await past.many.services.stop("sla")


async def test_the_log_read_again_gives_the_same_and_publishes_nothing(many: Crowd) -> None:
    """Also where the process dies in the middle of it: whoever goes on knows that it had begun."""
    past = await lived(many)
    await killed(past, "batch.before_commit")
    await past.check()
    await shadowed(past)
    await killed(past, "batch.after_commit", without="noted")
    with pytest.raises(AssertionError, match="published twice"):
        await past.check()


async def shadowed(past: Past) -> None:
    """Into another database, publishing nothing: what it would have published is what was published (12.5)."""
    name = f"shadow_{kit.new_id()[:8]}"
    await past.many.rows(f"create database {name}")
    shadow = replace(past.many, url=f"{past.many.stack.database_url.rpartition('/')[0]}/{name}")
    await shadow.start(without="relay known", DATABASE_URL=shadow.url, SLA_RECORDS=FEW)
    await settled(shadow, relayed=False)
    await shadow.services.stop("sla")
    keys = [talk.conversation_id.encode() for talk in past.talks]
    kept = await shadow.rows("select headers from outbox where key = any($1)", keys)
    assert sorted(json.loads(headers)["ce_id"] for (headers,) in kept) == sorted(past.published), "says something else"
    assert await replace(past, many=shadow).now() == past.rows
