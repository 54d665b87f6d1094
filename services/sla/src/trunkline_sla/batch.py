"""The conversations of one batch while its entries pass over them, and what comes of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from trunkline_sla import conversation as conversations
from trunkline_sla.conversation import Conversation, Versions
from trunkline_sla.evaluation_facts import Fact
from trunkline_sla.evaluation_model import Clock, Metric
from trunkline_sla.promises import Promises
from trunkline_sla.store import ClockRow
from trunkline_sla.wire import About, Announced
from trunkline_sla.wire_log import Logged


class Steps:
    """`known`: conversations as they were read, by id. What is announced is in the order of the entries."""

    def __init__(
        self, known: Mapping[str, Conversation], promises: Callable[[str, int], Promises], now: datetime
    ) -> None:
        self._before, self._after = dict(known), dict(known)
        self._promises, self._now = promises, now
        #: By conversation, metric and cycle.
        self._rows: dict[tuple[str, Metric, int], ClockRow] = {}
        self.announced: list[Announced] = []

    def seq(self, found: Logged) -> int:
        """The last event of its conversation."""
        known = self._after.get(found.conversation_id)
        return known.seq if known else 0

    def take(self, found: Logged, version: int) -> None:
        """One entry of the log, with the version of the configuration in force at its time."""
        key, versions = found.conversation_id, self._versions(found.tenant)
        known, version = self._after.get(key) or Conversation(found.tenant, key), max(version, found.entry.version)
        before = conversations.in_force(known, version, versions, until=found.entry.at)
        if before is not known:  # what that ends is of the team that it was with
            self._put(known, before, known.traceparent, 0)
        after = conversations.follow(before, found.entry, version, versions, found.traceparent)
        self._put(before, after, found.traceparent, found.entry.seq)

    def renew(self, key: str, version: int) -> None:
        """Another version came into force."""
        before = self._after[key]
        after = conversations.in_force(before, version, self._versions(before.tenant))
        self._put(before, after, before.traceparent, 0)

    def rezone(self, key: str) -> None:
        """Its deadlines are computed with the zone data of this build from now on."""
        before = self._after[key]
        self._put(
            before, conversations.rezoned(before, self._now, self._versions(before.tenant)), before.traceparent, 0
        )

    def changed(self) -> list[Conversation]:
        """Those that are to be written."""
        return [after for key, after in self._after.items() if after is not self._before.get(key)]

    def changed_clocks(self) -> list[ClockRow]:
        """Every clock that is to be written; one that was replaced and came back is there once, as it is now."""
        return list(self._rows.values())

    def _put(self, before: Conversation, after: Conversation, traceparent: str, seq: int) -> None:
        self._after[after.conversation_id] = after
        for fact in _facts(after)[len(_facts(before)) :]:
            about = self._about(after, traceparent if fact.cause else after.traceparent)
            self.announced.append(Announced(about, fact, self._now, seq if fact.cause else 0))
        for clock in _replaced(before, after):
            self._write(after, clock, traceparent, current=False)
        for clock in _moved(before, after):
            self._write(after, clock, traceparent, current=True)

    def _write(self, found: Conversation, clock: Clock, traceparent: str, *, current: bool) -> None:
        """Of whom it is now. The trace is the one in which it began, as far as it began in this batch."""
        key = found.conversation_id, clock.metric, clock.cycle
        first = self._rows.get(key)
        about = self._about(found, first.about.traceparent if first else traceparent)
        self._rows[key] = ClockRow(about, clock, current)

    def _versions(self, tenant: str) -> Versions:
        return lambda version: self._promises(tenant, version)

    @staticmethod
    def _about(found: Conversation, traceparent: str) -> About:
        where = found.situation
        return About(found.tenant, found.conversation_id, where.team, where.channel, traceparent)


def _facts(found: Conversation) -> tuple[Fact, ...]:
    return found.state.facts if found.state else ()


def _replaced(before: Conversation, after: Conversation) -> Iterator[Clock]:
    past = before.state.past if before.state else {}
    for metric, clocks in after.state.past.items() if after.state else ():
        yield from (clock for clock in clocks[len(past.get(metric, ())) :] if clock.terms.live)


def _moved(before: Conversation, after: Conversation) -> Iterator[Clock]:
    """Present clocks that are promised: what has changed, and what is open and has come to another team or channel."""
    old = before.state.current if before.state else {}
    went = (before.situation.team, before.situation.channel) != (after.situation.team, after.situation.channel)
    for metric, clock in after.state.current.items() if after.state else ():
        if clock.terms.live and (clock is not old.get(metric) or (went and clock.open)):
            yield clock
