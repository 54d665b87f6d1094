"""What is stored comes back the same."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given
from trunkline_sla import codec
from trunkline_sla.conversation import Conversation, strip
from trunkline_sla.evaluation_rules import Setting
from trunkline_sla.journal import Entry, Known, What

from tests.sla.live import MONDAY, NOISY, Live, begun
from tests.sla.test_explain import STEPS, Step


def find(policy_id: str, calendar_id: str, version: int) -> Setting:
    """By name, as the processor does."""
    return NOISY(version).setting(policy_id, calendar_id)


def stored(found: Conversation) -> Conversation:
    """Written and read again."""
    assert found.state is not None
    rows = [codec.dump(codec.from_clock(c)) for c in found.state.current.values() if c.terms.live]
    doc = json.loads(codec.dump(codec.from_conversation(found)))
    promised = {clock.metric: clock for clock in (codec.to_clock(json.loads(row), find) for row in rows)}
    return found._replace(situation=codec.to_situation(doc), state=codec.to_state(doc, promised, find))


@given(STEPS)
def test_a_conversation_comes_back_the_same(happened: list[Step]) -> None:
    """Promised clocks from their rows, all else from the conversation's, after every event."""
    live, at = Live(), MONDAY
    for entry in begun():
        live.tell(entry)
    for n, (seconds, what, number, _) in enumerate(happened, 4):
        at += timedelta(seconds=seconds)
        live.tell(Entry(**{"message_id": f"m{n}", **what}, at=at, cause=f"e{n}", seq=n, version=number), number)
        assert strip(stored(live.found)) == strip(live.found)


def test_an_entry_comes_back_the_same() -> None:
    """With its microseconds, and without what it does not say."""
    at = MONDAY + timedelta(microseconds=7)
    full = Entry(What.KNOWN, at, "e", 3, 2, "support", "sms", Known("high", ("vip",), {"lang": "de"}))
    for entry in (full, Entry(What.ABSORBED, at, started_at=at, unanswered_since=MONDAY), Entry(What.OTHER, at)):
        assert codec.to_entry(json.loads(codec.dump(codec.from_entry(entry)))) == entry
    assert codec.from_entry(Entry(What.OTHER, at)) == {"what": "other", "at": at.isoformat()}
