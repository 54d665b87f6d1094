"""What is kept of what is known of a conversation, and what a priority may say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trunkline_router import policies
from trunkline_router.events import AttributesChanged, ConversationQueued
from trunkline_router.facts import Attributes
from trunkline_router.inputs import ChangeAttributes, Configure, Resolve
from trunkline_router.known import DROPPED, MAX_BYTES, size
from trunkline_router.pool import Pool
from trunkline_router.refusals import Refusal

from tests.router.given import POOL, Step, after, ask, configured, message

WAITING = (Step(0, Configure(configured(agents=[]))), Step(1, message("c1")))


def many(prefix: str, count: int, length: int = 1000) -> tuple[tuple[str, str], ...]:
    """Attributes of so many characters each."""
    return tuple((f"{prefix}{n:03}", "x" * length) for n in range(count))


def test_a_command_that_would_make_it_too_much_is_refused() -> None:
    """With the size and what to do; what there is may be replaced and removed."""
    engine, _ = after(*WAITING, Step(2, ChangeAttributes("c1", "", set_values=many("a", 120)), supervising=True))
    before = engine.pool.conversations["c1"].attributes
    with pytest.raises(Refusal) as refused:
        ask(engine, Step(3, ChangeAttributes("c1", "", set_values=many("b", 20)), supervising=True))
    assert (refused.value.reason, refused.value.facts["most"]) == ("TOO_MANY_ATTRIBUTES", str(MAX_BYTES))
    assert engine.pool.conversations["c1"].attributes == before
    fewer = tuple((f"a{n:03}", None) for n in range(20))
    ask(engine, Step(4, ChangeAttributes("c1", "", set_values=fewer), supervising=True))
    ask(engine, Step(5, ChangeAttributes("c1", "", set_values=many("b", 20)), supervising=True))
    assert MAX_BYTES / 2 < size(engine.pool.conversations["c1"].attributes) <= MAX_BYTES


def test_a_message_is_taken_with_what_has_room() -> None:
    """It cannot be refused: what was known stays, and how much found no room is known too."""
    said = replace(message("c1", "more"), attributes=many("a", 100), tags=("late",))
    engine, _ = after(*WAITING, Step(2, said))
    again = replace(message("c1", "still more"), attributes=many("b", 100), tags=("zebra",))
    [changed] = [e.payload for e in ask(engine, Step(3, again)) if isinstance(e.payload, AttributesChanged)]
    values = dict(changed.attributes.values)
    assert {name for name in values if name.startswith("a")} >= {f"a{n:03}" for n in range(100)}
    kept = sum(name.startswith("b") for name in values)
    assert 20 < kept < 40
    assert values[DROPPED] == str(100 - kept)
    assert changed.attributes.tags == ("late", "zebra")  # as small as that
    assert size(changed.attributes) < MAX_BYTES + 100


@pytest.mark.parametrize(
    ("priority", "seconds"),
    [
        ("urgent", 7200),
        ("90", 90),
        ("-5", -5),
        ("007", 7),
        ("0", 0),
        ("unheard of", 0),
        ("", 0),
        ("-", 0),
        ("--5", 0),
        ("²", 0),
        ("9999999999", policies.MOST_BOOST_S),
        ("9" * 5000, policies.MOST_BOOST_S),
        ("-" + "9" * 5000, -policies.MOST_BOOST_S),
    ],
)
def test_a_priority_is_a_name_or_a_whole_number_that_an_event_can_say(priority: str, seconds: int) -> None:
    """Whatever a channel or an integrator wrote there."""
    assert policies.boost(Pool(POOL, config=configured()), priority) == seconds


def test_the_highest_priority_can_wait() -> None:
    """With the step's own seconds it is still a number that an event can say."""
    engine, _ = after(*WAITING)
    step = Step(2, ChangeAttributes("c1", "", priority="9" * 20), supervising=True)
    [queued] = [e.payload for e in ask(engine, step) if isinstance(e.payload, ConversationQueued)]
    assert queued.boost_s == policies.MOST_BOOST_S
    ask(engine, Step(3, Resolve("c1", "", "m1"), supervising=True))
    assert engine.pool.conversations["c1"].attributes == Attributes(priority="9" * 20)
