from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkline_insights.queues import (
    HEARTBEAT,
    VALIDITY,
    Assigned,
    Board,
    Figures,
    Left,
    Move,
    Partial,
    Queue,
    Shard,
    Snapshot,
    Step,
    Waits,
    add_up,
)

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
A, B = Queue("acme", "billing"), Queue("acme", "sales")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def folded(*steps: Step) -> Shard:
    shard = Shard()
    for step in steps:
        shard.apply(step)
    return shard


TABLE: list[tuple[str, list[Move | None], dict[Queue, Figures]]] = [
    ("started only: in no queue", [None], {}),
    ("queued", [Waits(A, at(0))], {A: Figures(1, 0, at(0))}),
    ("an offer leaves it waiting", [Waits(A, at(0)), None], {A: Figures(1, 0, at(0))}),
    ("queued again keeps its place", [Waits(A, at(0)), None, Waits(A, at(0))], {A: Figures(1, 0, at(0))}),
    ("assigned", [Waits(A, at(0)), Assigned(A)], {A: Figures(0, 1, None)}),
    ("assigned to an agent of another team", [Waits(A, at(0)), Assigned(B)], {A: Figures(), B: Figures(0, 1)}),
    ("transferred", [Assigned(A), Waits(B, at(9))], {A: Figures(), B: Figures(1, 0, at(9))}),
    ("resolved while assigned", [Assigned(A), Left()], {A: Figures()}),
    ("resolved while waiting", [Waits(A, at(0)), Left()], {A: Figures()}),
    ("resolved twice", [Left(), Left()], {}),
    ("queued after it was resolved", [Assigned(A), Left(), Waits(A, at(5))], {A: Figures(1, 0, at(5))}),
]


@pytest.mark.parametrize(("moves", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_where_a_conversation_counts(moves: list[Move | None], expected: dict[Queue, Figures]) -> None:
    shard = folded(*(Step("c", seq, move) for seq, move in enumerate(moves, 1)))
    assert shard.figures() == expected


def test_the_oldest_wait_is_that_of_the_longest_waiting_conversation_still_there() -> None:
    shard = folded(Step("b", 1, Waits(A, at(5))), Step("a", 1, Waits(A, at(0))))
    assert shard.figures()[A].oldest_entered_at == at(0)
    shard.apply(Step("a", 2, Assigned(A)))
    assert shard.figures()[A].oldest_entered_at == at(5)


def test_an_event_seen_before_changes_nothing() -> None:
    shard = folded(Step("c", 1, Waits(A, at(0))), Step("c", 2, Assigned(A)))
    assert shard.apply(Step("c", 1, Waits(A, at(0)))) == "duplicate"
    assert shard.figures() == {A: Figures(0, 1)}


def test_without_dedupe_a_repeated_event_falsifies_the_figures() -> None:
    shard = folded(Step("c", 1, Waits(A, at(0))), Step("c", 2, Left()))
    shard.apply(Step("c", 1, Waits(A, at(0))), dedupe=False)
    assert shard.figures() == {A: Figures(1, 0, at(0))}


def test_an_event_after_a_gap_is_applied_and_reported() -> None:
    shard = folded(Step("c", 1, Waits(A, at(0))))
    assert shard.apply(Step("c", 4, Left())) == "gap"
    assert shard.figures() == {A: Figures()}


def test_changed_shares_are_taken_once_and_everything_on_request() -> None:
    shard = folded(Step("c", 1, Waits(A, at(0))), Step("d", 1, Waits(B, at(1))))
    assert {p.queue for p in shard.partials(7, at(2), everything=False)} == {A, B}
    assert shard.partials(7, at(3), everything=False) == []
    shard.apply(Step("c", 2, Left()))
    assert shard.partials(7, at(4), everything=False) == [Partial(A, 7, Figures(), at(4))]
    assert {p.queue for p in shard.partials(7, at(5), everything=True)} == {A, B}


MOVES = st.one_of(
    st.none(),
    st.builds(Waits, st.sampled_from([A, B]), st.integers(0, 50).map(at)),
    st.builds(Assigned, st.sampled_from([A, B])),
    st.just(Left()),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Step]:
    """A log of up to four conversations, interleaved, with stretches that were written again."""
    lengths: dict[str, int] = {}
    log: list[Step] = []
    for _ in range(draw(st.integers(0, 15))):
        conversation = draw(st.sampled_from("abcd"))
        lengths[conversation] = lengths.get(conversation, 0) + 1
        log.append(Step(conversation, lengths[conversation], draw(MOVES)))
        if draw(st.booleans()):
            log += log[-draw(st.integers(1, 4)) :]
    return log


def recount(steps: Sequence[Step]) -> dict[Queue, Figures]:
    """The figures from each conversation's last move, counted from nothing."""
    last: dict[str, Move] = {}
    for step in sorted(steps, key=lambda s: s.seq):
        if step.move is not None:
            last[step.conversation_id] = step.move
    found: dict[Queue, Figures] = {}
    for queue in (A, B):
        waits = [m.entered_at for m in last.values() if isinstance(m, Waits) and m.queue == queue]
        assigned = sum(1 for m in last.values() if isinstance(m, Assigned) and m.queue == queue)
        found[queue] = Figures(len(waits), assigned, min(waits, default=None))
    return found


@given(logs())
def test_after_any_prefix_with_duplicates_the_counts_equal_a_naive_recount(log: list[Step]) -> None:
    shard = Shard()
    for length, step in enumerate(log, 1):
        shard.apply(step)
        assert {A: Figures(), B: Figures()} | shard.figures() == recount(log[:length])


@given(logs(), st.integers(1, 4))
def test_shares_of_the_partitions_add_up_to_the_whole(log: list[Step], partitions: int) -> None:
    shards = [Shard() for _ in range(partitions)]
    for step in log:
        shards[ord(step.conversation_id) % partitions].apply(step)
    whole = recount(log)
    for queue in (A, B):
        assert add_up(s.figures().get(queue, Figures()) for s in shards) == whole[queue]


def partial(source: int, seconds: float, depth: int, oldest: datetime | None = None) -> Partial:
    return Partial(A, source, Figures(depth, 0, oldest), at(seconds))


def test_a_snapshot_adds_up_the_newest_share_of_each_source() -> None:
    board = Board()
    for share in (partial(0, 1, 3, at(-9)), partial(1, 1, 4, at(-5)), partial(0, 2, 1, at(-7))):
        board.take(share)
    assert board.snapshots(at(3)) == [Snapshot(A, Figures(5, 0, at(-7)), at(3))]


@given(st.permutations([partial(s, t, s * 10 + t) for s in (0, 1) for t in (1, 2, 3)]), st.integers(0, 6))
def test_shares_may_come_in_any_order_and_twice(shares: list[Partial], repeated: int) -> None:
    board = Board()
    for share in shares + shares[:repeated]:
        board.take(share)
    assert board.snapshots(at(4)) == [Snapshot(A, Figures(3 + 13), at(4))]


def test_a_share_of_the_former_owner_does_not_replace_a_newer_one() -> None:
    board = Board()
    board.take(partial(0, 5, 1))
    board.take(partial(0, 4, 9))
    assert board.snapshots(at(6))[0].figures.depth == 1


def test_an_unchanged_queue_is_published_again_only_after_the_heartbeat() -> None:
    board = Board()
    board.take(partial(0, 0, 1))
    assert len(board.snapshots(at(0))) == 1
    assert board.snapshots(at(1)) == []
    assert len(board.snapshots(at(0) + HEARTBEAT)) == 1


def test_a_queue_with_a_lapsed_share_is_not_published() -> None:
    board = Board()
    board.take(partial(0, 0, 1))
    board.take(partial(1, 60, 2))
    assert board.snapshots(at(60)) == []
    board.take(partial(0, 61, 1))
    assert [s.figures.depth for s in board.snapshots(at(61))] == [3]


def test_a_snapshot_lapses_after_thirty_seconds() -> None:
    assert Snapshot(A, Figures(), at(0)).valid_until == at(0) + VALIDITY == at(30)
