"""The past of a pool, from a log in memory."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from trunkline.router.v1 import explain_service_pb2 as api
from trunkline_common.errors import Refused
from trunkline_router import past, simulation_figures, wire
from trunkline_router.engine import handle
from trunkline_router.events import Event, OfferMade
from trunkline_router.explain import Explanation, NextStep, Requirement, Rule, Waiting
from trunkline_router.explain_agents import Reason
from trunkline_router.facts import Actor, Presence
from trunkline_router.history import History, Log
from trunkline_router.inputs import AcceptOffer, Assign, Body, Configure, Input, SetPresence
from trunkline_router.policy_simulation import Comparison, Elsewhere
from trunkline_router.pool import Pool
from trunkline_router.routing import ChannelClass
from trunkline_router.state import Engine
from trunkline_router.tools import PLAIN

from tests.router.given import ANA, CUSTOMER, DESK, POOL, at, configured, message, offer_id
from tests.router.test_engine_properties import TOOLS, drawn
from tests.router.test_replay import Recorded


class MemoryLog:
    """A log as bytes, with a snapshot after one of its events."""

    def __init__(self, events: Sequence[Event], snapshot: Pool | None = None) -> None:
        self._rows = [wire.to_pool_event(e, POOL, 1, e.occurred_at).SerializeToString() for e in events]
        self._ids = [e.conversation_id for e in events]
        self._snapshot = snapshot

    def after(self, pool_seq: int, most: int) -> Sequence[bytes]:
        """The events after one, in order."""
        return self._rows[pool_seq : pool_seq + most]

    def of_conversation(self, conversation_id: str) -> Sequence[bytes]:
        """The events of a conversation, in order."""
        return [row for name, row in zip(self._ids, self._rows, strict=True) if name == conversation_id]

    def snapshot_before(self, pool_seq: int) -> bytes | None:
        """The snapshot, if it was taken before that event."""
        return wire.dump_pool(self._snapshot) if self._snapshot and self._snapshot.seq < pool_seq else None

    def last_seq(self) -> int:
        """Of the last event."""
        return len(self._rows)


@cache
def run() -> Recorded:
    """Many inputs."""
    made, chance = Recorded(), random.Random(5)  # noqa: S311 - the same numbers every time are the point
    for _ in range(250):
        made.step(drawn(chance))
    return made


@pytest.mark.parametrize("snapshot", [None, 0, 60])
def test_the_state_before_every_decision_is_as_it_was(snapshot: int | None) -> None:
    """From the beginning, or from a snapshot where that is older."""
    kept = run().decided[snapshot][0] if snapshot is not None else None
    history = History(POOL, MemoryLog(run().log, kept), TOOLS)
    for before, _, events in run().decided[::7]:
        assert history.before(events[0].pool_seq).pool == before


def test_the_decision_of_every_event_is_found_whole() -> None:
    """Whichever of its events is asked for."""
    history = History(POOL, MemoryLog(run().log), TOOLS)
    for _, _, events in run().decided[::5]:
        assert history.decision(events[0]) == history.decision(events[-1]) == events


def test_a_decision_longer_than_what_is_read_at_once_is_found_whole() -> None:
    """120 conversations lose their team at once."""
    engine, log = Engine(Pool(POOL)), list[Event]()
    log += handle(engine, Input(Configure(configured()), "config/1", DESK), at(0))
    for number in range(120):
        log += handle(engine, Input(message(f"c{number}"), f"m{number}", CUSTOMER), at(1))
    long = handle(
        engine, Input(Configure(configured(2, teams=configured().teams[1:], account="returns")), "2", DESK), at(2)
    )
    assert len(long) > 120
    assert History(POOL, MemoryLog(log + long), PLAIN).decision(long[70]) == long


def test_the_first_event_since_an_instant_is_found() -> None:
    """By halves; none: the one after the last."""
    log = run().log
    history = History(POOL, MemoryLog(log), TOOLS)
    for event in log[::20]:
        first = next(e.pool_seq for e in log if e.occurred_at >= event.occurred_at)
        assert history.first_since(event.occurred_at) == first
    assert history.first_since(log[-1].occurred_at + timedelta(seconds=1)) == len(log) + 1
    assert History(POOL, MemoryLog([]), TOOLS).first_since(at(0)) == 1


# -- what the process that knows the past answers


def asked(log: Log, conversation_id: str, seq: int, kind: str = "explain") -> Any:
    """Its answer."""
    request = {"kind": kind, "conversation_id": conversation_id, "seq": seq}
    return past.KINDS[kind](History(POOL, log, PLAIN), request, lambda _line: None)


def offered() -> list[Event]:
    """c1 is asked of two at once, of whom ana accepts; c2 waits and is taken by hand."""
    engine, log = Engine(Pool(POOL)), list[Event]()
    chat = ChannelClass("chat", ("app",), broadcast=2)
    agents = [ANA, replace(ANA, id="zoe"), replace(ANA, id="eve", teams=("returns",))]
    new = replace(configured(agents=agents), channel_classes=(chat,))
    steps: list[tuple[float, Body, Actor]] = [
        (0, Configure(new), DESK),
        (0, SetPresence("ana", Presence.ONLINE), DESK),
        (0, SetPresence("zoe", Presence.ONLINE), DESK),
        (1, message("c1"), CUSTOMER),
        (2, message("c2"), CUSTOMER),
        (3, AcceptOffer("c1", offer_id("c1", 4), "ana"), DESK),
    ]
    for number, (seconds, body, actor) in enumerate(steps):
        log += handle(engine, Input(body, f"i{number}", actor, supervising=True), at(seconds))
    return log + handle(engine, Input(Assign("c2", "ana", "ana"), "by hand", DESK, supervising=True), at(4))


def test_offers_made_at_once_are_explained_as_one_choice_and_so_is_their_acceptance() -> None:
    """Who was asked, by which rule, and why the others were not; asked for by any of its events."""
    log = MemoryLog(offered())
    made = asked(log, "c1", 4)
    assert made == asked(log, "c1", 5) == asked(log, "c1", 7)
    assert list(made.agent_ids) == ["ana", "zoe"]
    assert [v.agent for v in made.explanation.chosen] == ["ana", "zoe"]
    groups = {api.AgentReason.Name(g.reason).removeprefix("AGENT_REASON_"): g for g in made.explanation.groups}
    assert {name: [v.agent for v in g.agents] for name, g in groups.items()} == {
        "NOT_IN_TEAM": ["eve"],
    }
    assert (made.explanation.rule.team, made.explanation.requirement.channel_class) == ("billing", "chat")
    assert made.explanation.inputs["channel"] == '"app"'
    assert made.decided_at.ToDatetime(tzinfo=at(1).tzinfo) == at(1)
    assert not made.by_hand


def test_an_entry_into_a_queue_is_explained_with_who_could_not_take_it() -> None:
    """Nobody had room for c2."""
    made = asked(MemoryLog(offered()), "c2", 3)
    assert list(made.explanation.chosen) == []
    full = next(g for g in made.explanation.groups if g.reason == api.AGENT_REASON_NO_ROOM)
    assert [v.agent for v in full.agents] == ["ana", "zoe"]
    assert full.agents[0].says == "ana is full: 1 of 1"
    assert dict(full.agents[0].facts) == {"load": "1", "weight": "1", "capacity": "1"}


def test_what_somebody_did_by_hand_is_told_as_that() -> None:
    """Who did it is in the actor."""
    log = offered()
    made = asked(MemoryLog(log), "c2", log[-1].seq)
    assert (made.by_hand, list(made.agent_ids), made.actor.id, made.HasField("explanation")) == (
        True,
        ["ana"],
        "desk",
        False,
    )


@pytest.mark.parametrize(
    ("conversation", "seq", "reason"),
    [("c1", 1, "INVALID_REQUEST"), ("c1", 99, "EVENT_NOT_FOUND"), ("c9", 1, "CONVERSATION_NOT_FOUND")],
)
def test_what_cannot_be_explained_is_refused(conversation: str, seq: int, reason: str) -> None:
    """With what is wrong."""
    with pytest.raises(Refused) as refused:
        asked(MemoryLog(offered()), conversation, seq)
    assert refused.value.reason == reason


def test_a_decision_is_replayed_from_any_of_its_events() -> None:
    """Equal; with another agent in an offer, the first difference."""
    log = offered()
    made = asked(MemoryLog(log), "c1", 2, "replay")
    assert (made.equal, made.cause, made.first_pool_seq, made.events) == (True, "i3", 4, 5)
    at_offer = next(n for n, e in enumerate(log) if isinstance(e.payload, OfferMade))
    changed = wire.to_pool_event(log[at_offer], POOL, 1, at(1))
    changed.conversation.offer_made.agent_id = "eve"
    log[at_offer] = wire.from_pool_event(changed.SerializeToString())
    made = asked(MemoryLog(log), "c1", 2, "replay")
    assert (made.equal, made.difference.index, made.difference.path) == (False, 3, "payload.agent_id")
    assert (made.difference.recorded, made.difference.now) == ('"eve"', '"ana"')


@pytest.mark.parametrize(
    ("kind", "message_type"),
    [
        (Explanation, api.Explanation),
        (Waiting, api.ExplainWaitingResponse),
        (Rule, api.Rule),
        (Requirement, api.Requirement),
        (NextStep, api.NextStep),
        (Comparison, api.Comparison),
        (simulation_figures.TeamFigures, api.TeamFigures),
        (Elsewhere, api.Elsewhere),
    ],
)
def test_callers_see_all_that_is_known(kind: type, message_type: Any) -> None:
    """Each field has its like; a new one without is found here."""
    assert {f.name for f in fields(kind)} == {f.name for f in message_type.DESCRIPTOR.fields}


def test_callers_know_every_reason() -> None:
    """By its name."""
    assert {f"AGENT_REASON_{r}" for r in Reason} | {"AGENT_REASON_UNSPECIFIED"} == set(api.AgentReason.keys())
