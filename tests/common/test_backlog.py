"""What waits for a partition is bounded by number and by size, and keeps its order."""

from __future__ import annotations

from trunkline_common.backlog import FULL_BYTES, FULL_RECORDS, MAX_BYTES, MAX_RECORDS, Backlog
from trunkline_common.kafka import Record


def records(number: int, *, first: int = 0, size: int = 0) -> list[Record]:
    """Records in order of offset."""
    return [Record("t", 0, first + n, None, b"x" * size, {}, 0) for n in range(number)]


def test_a_batch_is_bounded_by_number() -> None:
    """And the rest stays."""
    backlog = Backlog()
    backlog.add(records(MAX_RECORDS + 1))
    assert [r.offset for r in backlog.take()] == list(range(MAX_RECORDS))
    assert [r.offset for r in backlog.take()] == [MAX_RECORDS]
    assert not backlog


def test_a_batch_is_bounded_by_size() -> None:
    """One record more than fits, so that even a huge one is taken."""
    backlog = Backlog()
    backlog.add(records(20, size=1 << 20))
    assert len(backlog.take()) == MAX_BYTES >> 20
    backlog = Backlog()
    backlog.add(records(1, size=MAX_BYTES * 2))
    assert len(backlog.take()) == 1


def state(backlog: Backlog) -> tuple[bool, bool]:
    """Whether fetching should pause, and whether it may go on."""
    return backlog.full, backlog.low


def test_many_small_or_few_large_records_are_too_many() -> None:
    """Fetching pauses, and goes on below half of it."""
    small, large = Backlog(), Backlog()
    small.add(records(FULL_RECORDS))
    assert state(small) == (False, False)
    small.add(records(1))
    large.add(records(1, size=FULL_BYTES + 1))
    assert state(small) == state(large) == (True, False)
    large.take()
    assert state(large) == (False, True)
    small.take()
    assert state(small) == (False, False)
    small.take()
    assert state(small) == (False, True)


def test_what_is_given_back_comes_first_and_what_is_consumed_is_dropped() -> None:
    """In order of offset, and counted."""
    backlog = Backlog()
    backlog.add(records(3, size=10))
    taken = backlog.take()
    backlog.add(records(2, first=3, size=10))
    backlog.give_back(taken)
    backlog.drop_before(1)
    assert [r.offset for r in backlog.take()] == [1, 2, 3, 4]
    backlog.add(records(1, size=FULL_BYTES + 1))
    backlog.clear()
    assert not backlog.full
    assert not backlog
