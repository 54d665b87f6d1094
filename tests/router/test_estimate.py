"""What a customer may be told about the wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from trunkline_router import estimate
from trunkline_router.explain import explain_waiting
from trunkline_router.facts import Presence
from trunkline_router.inputs import AcceptOffer, Configure, Resolve, SetPresence
from trunkline_router.wire_explain import to_waiting

from tests.router.given import ANA, Step, after, at, configured, message, offer_id

BUSY = (
    Step(0, Configure(configured(agents=[replace(ANA, capacity=2)]))),
    Step(0, SetPresence("ana", Presence.ONLINE)),
    Step(1, message("c1")),
    Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")),
    Step(602, Resolve("c1", "ana")),
)


def test_nothing_is_said_before_anything_is_known() -> None:
    """No conversation has ended yet."""
    engine, _ = after(*BUSY[:4])
    assert estimate.wait(engine, engine.pool.conversations["c1"]) is None


def test_the_estimate_is_a_range_with_its_age() -> None:
    """Two are before it and it is the third: three turns of 600 s, give or take half, over two slots."""
    waiting = [Step(700 + n, message(f"w{n}")) for n in range(5)]
    engine, _ = after(*BUSY, *waiting)
    found = estimate.wait(engine, engine.pool.conversations["w4"])
    assert found == estimate.Wait(3 * 300 // 2, 3 * 900 // 2, at(602))


def test_who_asks_what_a_conversation_waits_for_is_shown_the_estimate() -> None:
    """The range, and how old its figures are; nothing where there is none, or where an agent is being asked already."""
    waiting = [Step(700 + n, message(f"w{n}")) for n in range(5)]
    engine, _ = after(*BUSY, *waiting)
    found = to_waiting(explain_waiting(engine, engine.pool.conversations["w4"], at(705))).wait
    assert (found.low.ToSeconds(), found.high.ToSeconds()) == (450, 1350)
    assert found.as_of.ToDatetime(UTC) == at(602)
    asked = explain_waiting(engine, engine.pool.conversations["w0"], at(705))
    assert not to_waiting(asked).HasField("wait")
    engine, _ = after(*BUSY, *waiting, Step(706, SetPresence("ana", Presence.OFFLINE)))
    assert not to_waiting(explain_waiting(engine, engine.pool.conversations["w4"], at(706))).HasField("wait")


def test_nobody_there_is_no_estimate() -> None:
    """Rather than a figure that nobody will keep."""
    engine, _ = after(*BUSY, Step(700, message("w0")), Step(701, SetPresence("ana", Presence.OFFLINE)))
    assert estimate.wait(engine, engine.pool.conversations["w0"]) is None


def test_newer_conversations_weigh_more() -> None:
    """A tenth of the way towards each."""
    engine, _ = after(
        *BUSY,
        Step(1000, message("c2")),
        Step(1001, AcceptOffer("c2", offer_id("c2", 4), "ana")),
        Step(1101, Resolve("c2", "ana")),
    )
    known = engine.pool.handling["billing"]
    assert (known.mean_s, known.deviation_s, known.as_of) == (550.0, 320.0, at(1101))
