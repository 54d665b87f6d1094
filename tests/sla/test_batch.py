"""What a batch makes of its entries does not depend on where one batch ends and the next begins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from trunkline_sla import codec, wire
from trunkline_sla.batch import Steps
from trunkline_sla.conversation import Conversation
from trunkline_sla.evaluation import fire
from trunkline_sla.evaluation_rules import Setting
from trunkline_sla.journal import Entry, What
from trunkline_sla.promises import Promises
from trunkline_sla.store import ClockRow
from trunkline_sla.wire import Announced
from trunkline_sla.wire_log import Logged

from tests.sla.live import MONDAY, NOISY, begun
from tests.sla.test_explain import KINDS

#: Version 2 is in force from then on.
CHANGE = NOISY(2).applied_at
END = MONDAY + timedelta(days=30)


def find(policy_id: str, calendar_id: str, version: int) -> Setting:
    """By name, as the processor does."""
    return NOISY(version).setting(policy_id, calendar_id)


def promises(_tenant: str, number: int) -> Promises:
    """The configuration of every tenant."""
    return NOISY(number)


def in_force(at: datetime) -> int:
    """The version of that time."""
    return 2 if at >= CHANGE else 1


@dataclass
class Kept:
    """What the tables would hold, and what was announced. Everything is written as JSON, and read again."""

    conversations: dict[str, tuple[Conversation, str]] = field(default_factory=dict)
    clocks: dict[str, tuple[ClockRow, str]] = field(default_factory=dict)
    announced: set[str] = field(default_factory=set)

    def take(self, entries: Sequence[Logged], now: datetime) -> None:
        """Entries, then the configuration in force, then timers."""
        steps = self._steps(now)
        for found in entries:
            steps.take(found, in_force(found.entry.at))
        self._put(steps)
        steps = self._steps(now)
        for key, (known, _) in self.conversations.items():
            if known.open and known.version < in_force(now):
                steps.renew(key, in_force(now))
        self._put(steps)
        self._fire(now)

    def _steps(self, now: datetime) -> Steps:
        return Steps({key: self._read(key) for key in self.conversations}, promises, now)

    def _put(self, steps: Steps) -> None:
        self._say(steps.announced)
        for conversation in steps.changed():
            doc = codec.dump(codec.from_conversation(conversation))
            self.conversations[conversation.conversation_id] = conversation, doc
        for row in steps.changed_clocks():
            first = self.clocks.get(row.id, (row, ""))[0].about.traceparent
            self._write(replace(row, about=replace(row.about, traceparent=first)))  # that of its first writing stays

    def _fire(self, now: datetime) -> None:
        for row, _ in list(self.clocks.values()):
            clock, facts = fire(row.clock, now)
            self._say([Announced(row.about, fact, now) for fact in facts])
            self._write(replace(row, clock=clock))

    def _write(self, row: ClockRow) -> None:
        self.clocks[row.id] = row, codec.dump(codec.from_clock(row.clock))

    def _read(self, key: str) -> Conversation:
        found, doc = self.conversations[key]
        rows = reversed(self.clocks.values())  # a database gives them in any order
        mine = [doc for row, doc in rows if row.current and row.about.conversation_id == key]
        promised = {clock.metric: clock for clock in (codec.to_clock(json.loads(doc), find) for doc in mine)}
        return found._replace(state=codec.to_state(json.loads(doc), promised, find), told=())

    def _say(self, announced: Sequence[Announced]) -> None:
        self.announced |= {wire.to_event(found).event_id for found in announced}

    def rows(self) -> dict[str, Any]:
        """As they would be compared."""
        rows = {key: (row.about, row.current, doc) for key, (row, doc) in self.clocks.items()}
        return rows | {key: (c._replace(state=None, told=()), doc) for key, (c, doc) in self.conversations.items()}


Step = tuple[int, str, dict[str, Any], bool, int]
#: More often than not somebody writes.
WHAT = st.one_of(st.sampled_from([What.WROTE, What.REPLIED]).map(lambda what: {"what": what}), KINDS)
STEPS = st.lists(
    st.tuples(st.integers(0, 30_000), st.sampled_from("ab"), WHAT, st.booleans(), st.integers(0, 30_000)),
    min_size=10,
    max_size=30,
)


def log(happened: Sequence[Step]) -> list[Logged]:
    """Two conversations that begin one after the other, and what happens in any of them."""
    entries = [logged(key, entry) for key in "ab" for entry in begun()]
    at, seqs = MONDAY, dict.fromkeys("ab", len(begun()))
    for seconds, key, what, _, _ in happened:
        at, seqs[key] = at + timedelta(seconds=seconds), seqs[key] + 1
        n = seqs[key]
        values: dict[str, Any] = {"message_id": f"m{n}", **what}
        entries.append(logged(key, Entry(at=at, cause=f"{key}{n}", seq=n, version=1, **values)))
    return entries


def logged(key: str, entry: Entry) -> Logged:
    """With a trace of its own."""
    return Logged("t", key, entry, f"trace of {key}{entry.seq}")


@given(STEPS)
def test_the_cut_of_the_batches_changes_nothing(happened: list[Step]) -> None:
    """The same clocks, conversations and event ids as in one batch, whenever timers were looked at in between."""
    entries, cut, whole = log(happened), Kept(), Kept()
    whole.take(entries, END)
    first = len(entries) - len(happened)
    cut.take(entries[:first], MONDAY)
    begin = first
    for n, (_, _, _, ends, later) in enumerate(happened, first + 1):
        if ends and n < len(entries):
            at, then = entries[n - 1].entry.at, entries[n].entry.at
            cut.take(entries[begin:n], min(at + timedelta(seconds=later), then))
            begin = n
    cut.take(entries[begin:], END)
    assert cut.rows() == whole.rows()
    assert cut.announced == whole.announced
