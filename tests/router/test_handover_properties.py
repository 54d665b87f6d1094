"""Conversations that go from pool to pool, with deaths, copies and delays anywhere: each is in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from trunkline_router import handover, leaving, publishing
from trunkline_router.changes import Decision
from trunkline_router.handed import TakeOver
from trunkline_router.state import Engine

from tests.router.pools import Pools

RUNS, STEPS = 30, 400


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what leaves a pool that was dropped, so that anything may happen in between."""
    monkeypatch.setattr(leaving, "BATCH", 1)


def run(seed: int) -> Pools:
    """A history; everything is checked after each step, and at the end."""
    made = Pools(seed)
    for _ in range(STEPS):
        made.step()
        made.check()
    made.settle()
    made.check()
    made.check_end()
    return made


def test_a_conversation_is_in_one_pool_or_on_its_way_and_nothing_is_lost_or_doubled() -> None:
    """Whatever happens in between; and much of it does."""
    met: Counter[str] = Counter()
    for seed in range(RUNS):
        met += Counter(run(seed).met())
    assert min(met["conversation_handed_over"], met["conversation_taken_over"]) > 8 * RUNS
    assert met["message_received"] > 5 * RUNS
    assert min(met["pool removed"], met["conversation_resolved"], met["conversation_reopened"]) > RUNS


def forgets_hand_overs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison with the seq known here."""

    def take_over(engine: Engine, asked: TakeOver, now: Any) -> Decision:
        engine.pool.conversations.pop(asked.conversation_id, None)
        return original(engine, asked, now)

    original = handover.take_over
    counts_copies(monkeypatch)
    monkeypatch.setattr(handover, "take_over", take_over)


def keeps_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sending on: the pool of the account decides about every message."""
    monkeypatch.setattr(publishing, "sent_on", lambda *_: None)
    monkeypatch.setattr("trunkline_router.messages._must_be_here", lambda *_, **__: None)


def sends_on_under_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hand-over in the id."""
    monkeypatch.setattr("trunkline_router.wire_handover.forwarded_id", lambda event_id, *_: event_id)


def starts_seqs_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without going on after the other pool's last seq."""
    monkeypatch.setattr("trunkline_router.engine._seq", lambda known, _: (known.seq if known else 0) + 1)


def counts_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an inbox."""

    class Forgetful(set[str]):
        def __contains__(self, _: object) -> bool:
            return False

    made = Pools.__init__

    def begin(self: Pools, seed: int) -> None:
        made(self, seed)
        self.inbox = Forgetful()

    monkeypatch.setattr(Pools, "__init__", begin)


def begins_what_others_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asking the other pools' logs."""
    monkeypatch.setattr(handover, "seen_elsewhere", lambda *_: None)


def leaves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without going on elsewhere: what is open stays in a pool that is gone."""
    monkeypatch.setattr(leaving, "onward", lambda *_: [])


@pytest.mark.parametrize(
    ("without", "says"),
    [
        (begins_what_others_have, "here 2 times|here 1 times, on its way 1 times"),
        (leaves_nobody, "left in a pool that is gone|sent on for ever"),
        (forgets_hand_overs, "here 2 times|two events have seq"),
        (keeps_what_follows, "two events have seq|after|on its way 0 times"),
        (sends_on_under_one_id, "messages lost"),
        (starts_seqs_anew, "on its way"),
        (counts_copies, "messages counted twice"),
    ],
)
def test_each_mechanism_is_needed(
    without: Callable[[pytest.MonkeyPatch], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out, the check above fails."""
    without(monkeypatch)
    with pytest.raises(AssertionError, match=says):  # noqa: PT012 - one of the histories shows it
        for seed in range(RUNS):
            run(seed)
