"""The promises as checks of what Kafka and PostgreSQL hold now: each raises AssertionError where one is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.sla.v1.sla_event_pb2 import SlaEvent

from tests import kit
from tests.faults.world import World

Log = dict[str, list[ConversationEvent]]


async def check_all(world: World, sent: Sequence[Any]) -> None:
    """P1, P2, P3 of what was sent, and P5."""
    log = await world.log()
    check_log(log, sent)
    await check_timeline(world, log)
    await check_clocks(world, log)


def check_log(log: Log, sent: Sequence[Any]) -> None:
    """P1: each message is there. P2: once. P3: first occurrences are 1, 2, 3 ... and copies are equal."""
    received: list[str] = []
    wanted = {e.conversation_id for e in sent}
    for conversation, events in log.items():
        seen: dict[int, ConversationEvent] = {}
        for event in events:
            if event.seq in seen:
                assert event == seen[event.seq], f"{conversation}: two different events have seq {event.seq}"
            else:
                assert event.seq == len(seen) + 1, f"{conversation}: {event.seq} follows {len(seen)}"
                seen[event.seq] = event
        if conversation in wanted:
            received += [e.message_received.message_id for e in seen.values() if e.HasField("message_received")]
    expected = [e.event_id for e in sent]
    assert set(expected) <= set(received), "messages lost"
    assert sorted(received) == sorted(expected), "messages counted twice"


def check_said(log: Log, texts: Sequence[str]) -> None:
    """P1: each text stands in the log. P2: once."""
    events = {(c, e.seq): e for c, found in log.items() for e in found}.values()
    heard = sorted(t for e in events if (t := e.message_received.content.text) in texts)
    assert set(heard) == set(texts), "texts lost"
    assert heard == sorted(texts), "texts counted twice"


async def check_timeline(world: World, log: Log) -> None:
    """P2, P5: the timeline has each event of the log, and has counted each message, once."""
    once = {(c, e.seq): e for c, events in log.items() for e in events}.values()
    entries = await world.rows("select event_id, kind from timeline.entry where tenant = $1", world.tenant)
    assert sorted(entries) == sorted((e.event_id, e.WhichOneof("payload")) for e in once), "timeline: other entries"
    said = dict.fromkeys(log, 0)
    for event in once:
        said[event.conversation_id] += event.WhichOneof("payload") in ("message_received", "message_sent")
    query = "select conversation_id, messages from timeline.conversation where tenant = $1"
    assert dict(await world.rows(query, world.tenant)) == said, "timeline: messages counted otherwise"


async def check_clocks(world: World, log: Log) -> None:
    """P2, P5: every conversation has the one clock of its first response, and it was said once that it began."""
    answered = {c: any(e.HasField("message_sent") for e in events) for c, events in log.items()}
    expected = sorted((c, "fulfilled" if done else "running") for c, done in answered.items())
    query = "select conversation_id, state from sla.clock where tenant = $1"
    assert sorted(await world.rows(query, world.tenant)) == expected, "sla: other clocks"
    raw = [SlaEvent.FromString(r.value) for r in await kit.read_topic(world.stack.bootstrap, "trunkline.sla.v1")]
    facts = {e.event_id: e for e in raw if e.tenant == world.tenant}.values()
    begun = sorted(e.conversation_id for e in facts if e.HasField("clock_started"))
    assert begun == sorted(answered), "sla: other facts"
