"""A conversation told again from its history says what its clocks said while it happened."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import from_dict
from trunkline_sla.evaluation import fact_key
from trunkline_sla.evaluation_facts import Fact, FactKind
from trunkline_sla.evaluation_model import Metric, Policy, Rule
from trunkline_sla.explain import Said, Story, tried, under
from trunkline_sla.journal import Entry, Known, What
from trunkline_sla.promises import Offer

from tests.sla.live import CALENDARS, MONDAY, NOISY, Live, begun, talk

KINDS = st.one_of(
    st.sampled_from([What.WROTE, What.REPLIED, What.BOT, What.RESOLVED, What.OTHER]).map(lambda what: {"what": what}),
    st.sampled_from(["pending", "open", "on_hold", "rejected"]).map(lambda name: {"what": What.STATE, "state": name}),
    st.sampled_from(["support", "billing"]).map(lambda team: {"what": What.KNOWN, "team": team}),
    st.sampled_from(["high", "normal"]).map(lambda name: {"what": What.KNOWN, "known": Known(name)}),
    st.integers(3, 20).map(lambda n: {"what": What.UNDELIVERED, "message_id": f"m{n}"}),
    st.just({"what": What.RESOLVED, "reason": "spam"}),
)
Step = tuple[int, dict[str, Any], int, int | None]


AHEAD = st.one_of(st.none(), st.just(0), st.integers(1, 20_000))
#: After so many seconds an event, in that version; before it is read the timers look so long after it happened.
STEPS = st.lists(st.tuples(st.integers(0, 40_000), KINDS, st.sampled_from([1, 1, 2]), AHEAD), max_size=25)


def agree(live: Live, happened: list[Step]) -> None:
    """The same clocks, and the same facts by their keys."""
    at = MONDAY
    for entry in begun():
        live.tell(entry)
    for n, (seconds, what, number, ahead) in enumerate(happened, 4):
        at += timedelta(seconds=seconds)
        if ahead is not None:
            live.look(at + timedelta(seconds=ahead))
        values: dict[str, Any] = {"message_id": f"m{n}", **what}
        live.tell(Entry(at=at, cause=f"e{n}", seq=n, version=number, **values), number)
    now = at + timedelta(hours=9)
    live.look(now)
    story = live.again()
    assert {key: one.clock for key, one in story.cycles(now).items()} == live.clocks()
    assert [fact_key(s.fact) for s in by_time(story, now)] == [fact_key(f) for f in sorted(live.facts, key=order)]


@given(STEPS)
def test_the_story_agrees_with_the_stored_clocks(happened: list[Step]) -> None:
    """Whatever happened, however seldom the timers looked, and however far ahead of an event that was late (9.6)."""
    agree(Live(), happened)


def order(fact: Fact) -> tuple[datetime, str]:
    """Timers of different clocks may be looked at in any order."""
    return fact.at, fact_key(fact)


def by_time(story: Story, now: datetime) -> list[Said]:
    """What was said, in that order."""
    return sorted(story.said(now), key=lambda said: order(said.fact))


def test_every_interval_says_whether_it_counts_and_why() -> None:
    """Without gaps, with the event that began it; what counted adds up to what the clock has counted."""
    now = MONDAY + timedelta(hours=8)
    found = talk().again().cycles(now)[Metric.RESOLUTION, 1]
    parts = found.cycle.intervals
    assert [(p.why, p.counted, p.seconds, p.cause) for p in parts] == [
        ("running", True, 2 * 3600, "e3"),
        ("paused in pending", False, 0, "e4"),
        ("running", True, 4 * 3600, "e5"),
    ]
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert (parts[0].start, parts[-1].end) == (MONDAY, now)
    assert sum(p.seconds for p in parts) == found.cycle.elapsed_s


def test_what_was_announced_comes_in_order_with_its_cause() -> None:
    """The situation is the one it was found in; a timer has no cause."""
    said = talk().again().said(MONDAY + timedelta(hours=8))
    first = [s for s in said if s.fact.metric is Metric.FIRST_RESPONSE]
    assert [s.fact.kind for s in first] == [
        FactKind.STARTED, FactKind.WARNING, FactKind.WARNING, FactKind.BREACHED, FactKind.OVERDUE, FactKind.OVERDUE,
        FactKind.FULFILLED, FactKind.RECOVERED,
    ]  # fmt: skip
    assert (first[0].seq, first[1].seq, first[-1].seq) == (3, 0, 6)
    assert {s.situation.team for s in said} == {"support"}


def test_another_policy_is_the_only_one() -> None:
    """Also under the real one's name; its calendar is that of the version in force; no timers of the real one."""
    history = talk().history
    offer = Offer("all", Policy({Metric.FIRST_RESPONSE: Rule(7 * 3600)}), calendar="office")
    night = Calendar(from_dict({"tz": "UTC", "weekly": {"mon": [["13:00", "20:00"]]}}), MONDAY)
    newest = replace(NOISY(2), calendars={**CALENDARS, "office": night})
    story = Story("t", "c", lambda number: under(NOISY(number), offer, newest))
    for entry in [*history, Entry(What.LOOKED, MONDAY + timedelta(hours=9))]:
        if tried(entry, MONDAY + timedelta(hours=20)):
            story.tell(entry)
    [found] = story.cycles(MONDAY + timedelta(hours=20)).values()
    assert (found.clock.terms.policy_id, found.clock.terms.calendar_id) == ("all", "office")
    assert (found.cycle.met, found.cycle.elapsed_s) == (True, 2 * 3600)
    assert not tried(Entry(What.LOOKED, MONDAY), MONDAY)
    assert not tried(Entry(What.WROTE, MONDAY + timedelta(seconds=1)), MONDAY)


def test_a_long_history_is_told_fast() -> None:
    """Two thousand events within a second of this process's own time."""
    live = Live()
    for entry in begun():
        live.tell(entry)
    for n in range(4, 2000):
        what = (What.WROTE, What.REPLIED, What.OTHER)[n % 3]
        live.tell(Entry(what, MONDAY + timedelta(minutes=7 * n), f"e{n}", n, 1, message_id=f"m{n}"))
    now = MONDAY + timedelta(minutes=7 * 2000)
    began = time.process_time()
    story = live.again()
    cycles, said = story.cycles(now), story.said(now)
    assert time.process_time() - began < 1.0
    assert len(cycles) > 600
    assert len(said) > 1000
