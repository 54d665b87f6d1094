"""A day of 200 agents and 6,000 conversations through the real engine; `python -m tests.router.day` runs others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from trunkline_router.engine import handle
from trunkline_router.events import ConversationAssigned, Event, OfferMade
from trunkline_router.facts import Presence
from trunkline_router.inputs import AcceptOffer, Configure, Input, SetPresence
from trunkline_router.pool import Pool
from trunkline_router.state import Engine

from tests.router import day as days
from tests.router.audit import Audit
from tests.router.given import ANA, CUSTOMER, DESK, POOL, at, configured, message, offer_id


def test_a_day_keeps_every_promise_and_its_figures_are_printed(record_property: Callable[[str, object], None]) -> None:
    """Room, one holder, seq without gaps at every event; order within a class; work conserved whenever looked at."""
    found = days.whole(days.Size())
    for name, value in found.items():
        record_property(name, value)
    teams = found["teams"]
    assert isinstance(teams, list)
    assert found["overtakes_beyond_boost"] == 0
    assert sum(t["served"] + t["abandoned"] for t in teams) > 6000
    assert int(str(found["most_waiting"])) > 50  # a day on which nobody waits shows nothing
    assert all(0.3 < t["utilisation"] < 1 and t["jain"] > 0.5 for t in teams)


def log() -> list[Event]:
    """Ana, with room for one, is offered c1 and accepts; c2 and c3 wait."""
    engine, found = Engine(Pool(POOL)), list[Event]()
    found += handle(engine, Input(Configure(configured(agents=[ANA])), "1", DESK), at(0))
    found += handle(engine, Input(SetPresence("ana", Presence.ONLINE), "2", DESK), at(0))
    for name in ("c1", "c2", "c3"):
        found += handle(engine, Input(message(name), name, CUSTOMER), at(1))
    return found + handle(engine, Input(AcceptOffer("c1", offer_id("c1", 4), "ana"), "3", DESK), at(2))


def seen(events: list[Event]) -> Audit:
    """The books after these events."""
    audit = Audit()
    for event in events:
        audit.see(event)
    return audit


def more(name: str, seq: int, payload: OfferMade | ConversationAssigned) -> Event:
    """One more event after the log."""
    last = log()[-1]
    return replace(last, pool_seq=last.pool_seq + 1, conversation_id=name, seq=seq, payload=payload)


def test_the_audit_finds_nothing_where_nothing_is_wrong() -> None:
    """And counts what there was."""
    audit = seen(log())
    assert (audit.offers, audit.assignments, audit.overtakes, audit.units("ana")) == (1, 1, 0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param([*log()[:5], *log()[6:]], id="an event is missing"),
        pytest.param([*log(), more("c2", 4, OfferMade("o2", "ana", at(30)))], id="no room"),
        pytest.param([*log(), more("c1", 6, ConversationAssigned("ana", "billing", "", by_hand=True))], id="held"),
        pytest.param([*log(), more("c2", 5, ConversationAssigned("ana", "billing", "", by_hand=True))], id="seq"),
    ],
)
def test_the_audit_finds_what_must_not_be(wrong: list[Event]) -> None:
    """It can fail."""
    with pytest.raises((AssertionError, KeyError)):
        seen(wrong)


def test_the_audit_counts_who_is_asked_for_before_an_earlier_one() -> None:
    """c3 entered after c2."""
    events = log()
    roomy = replace(events[0], payload=configured(agents=[replace(ANA, capacity=5)]))
    assert seen([roomy, *events[1:], more("c3", 4, OfferMade("o3", "ana", at(30)))]).overtakes == 1
    assert seen([roomy, *events[1:], more("c2", 4, OfferMade("o2", "ana", at(30)))]).overtakes == 0
