"""The heap of instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from trunkline_sla.timers import SLACK, Timers

T0 = datetime(2025, 3, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    """So many seconds in."""
    return T0 + timedelta(seconds=seconds)


def test_due_takes_what_is_before_now_oldest_first() -> None:
    """An instant equal to now is not yet past."""
    timers = Timers([("b", at(2)), ("a", at(1)), ("c", at(3))])
    assert timers.due(at(3), 10) == ["a", "b"]
    assert timers.first() == at(3)


def test_due_takes_at_most_so_many() -> None:
    """The rest stays armed."""
    timers = Timers((str(n), at(n)) for n in range(5))
    assert timers.due(at(9), 2) == ["0", "1"]
    assert timers.first() == at(2)


def test_many_cycles_of_one_conversation_do_not_grow_the_heap() -> None:
    """Memory follows the clocks that run, not those that ran."""
    timers = Timers()
    for n in range(3 * SLACK):
        timers.arm("a", at(n))
    assert len(timers) == 1
    assert len(timers._heap) <= SLACK + 3
    assert timers.due(at(3 * SLACK), 10) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 20))))
def test_the_heap_agrees_with_a_dictionary(steps: list[tuple[str, int | None]]) -> None:
    """Arming again moves, arming with None removes."""
    timers, model = Timers(), dict[str, int]()
    for key, seconds in steps:
        timers.arm(key, None if seconds is None else at(seconds))
        model.pop(key, None)
        if seconds is not None:
            model[key] = seconds
        assert timers.first() == (at(min(model.values())) if model else None)
    assert sorted(timers.due(at(21), 100)) == sorted(model)
    assert timers.first() is None
