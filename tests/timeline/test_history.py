"""What a brief says, as given events, then; and what must hold for every log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkline_timeline.history import (
    AGENT,
    AUTOMATIC,
    STATUS,
    Begun,
    Content,
    Conversation,
    Entry,
    Event,
    Handoff,
    begin,
    brief,
    customer_id,
    customers,
    evolve,
)

T0 = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
CUSTOMER, BOT = 1, 3


def event(seq: int, kind: str, **fields: object) -> Event:
    """One event, a minute after the one before it."""
    base = Event(f"e{seq}", "acme", "c1", seq, T0 + timedelta(minutes=seq), 4, "", kind)
    return replace(base, **fields)  # type: ignore[arg-type] # fields of Event, by the tests below


def wrote(seq: int, text: str, detail: str = "") -> Event:
    """The customer writes."""
    return event(seq, "message_received", actor_type=CUSTOMER, content=Content(text), detail=detail)


def answered(seq: int, text: str, agent: str = "ben", actor: int = AGENT) -> Event:
    """Somebody answers."""
    return event(seq, "message_sent", actor_type=actor, agent_id=agent, content=Content(text))


def assigned(seq: int, agent: str) -> Event:
    """An agent has it."""
    return event(seq, "conversation_assigned", actor_type=AGENT, agent_id=agent, team="support")


STARTED = event(1, "conversation_started", begun=Begun("whatsapp", "main", "+1", "Ada", "Order 7"))


def entries(*events: Event) -> list[Entry]:
    """Events as entries of one customer."""
    return [Entry(e, "cust") for e in events]


def words(found: tuple[Entry, ...]) -> list[str]:
    """What entries say."""
    return [e.event.content.text for e in found if e.event.content]


@pytest.mark.parametrize(
    ("given_events", "then"),
    [
        pytest.param([], [], id="nobody wrote"),
        pytest.param([wrote(1, "a"), wrote(2, "b")], ["a", "b"], id="every message waits, oldest first"),
        pytest.param([wrote(1, "a"), answered(2, "x"), wrote(3, "b")], ["b"], id="a reply answers all before it"),
        pytest.param([wrote(1, "a"), answered(2, "x", actor=BOT)], ["a"], id="a bot's message is no reply"),
        pytest.param(
            [wrote(1, "a"), event(2, "note_added", content=Content("n"))], ["a"], id="an internal note is no reply"
        ),
        pytest.param([wrote(1, "away", AUTOMATIC)], [], id="an auto-reply needs no answer"),
        pytest.param([wrote(1, "a"), event(2, "conversation_resolved")], ["a"], id="resolving answers nothing"),
    ],
)
def test_unanswered(given_events: list[Event], then: list[str]) -> None:
    """Customer messages since the last reply of a human agent."""
    assert words(brief(entries(*given_events)).unanswered) == then


def test_the_brief_holds_what_was_said_and_done() -> None:
    """Messages and notes, agents once each in order, handoffs with their reason."""
    moved = event(
        6, "conversation_transferred", agent_id="ben", from_team="support", team="billing", detail="needs a refund"
    )
    note = event(5, "note_added", agent_id="ben", content=Content("paid twice"))
    log = [STARTED, wrote(2, "hello"), assigned(3, "ben"), answered(4, "hi"), note, moved, assigned(7, "eve"),
           assigned(8, "ben"), wrote(9, "well?")]  # fmt: skip
    found = brief(entries(*log))
    assert words(found.said) == ["hello", "hi", "paid twice", "well?"]
    assert found.previous_agents == ("ben", "eve")
    assert found.handoffs == (Handoff(moved.at, "support", "ben", "billing", "needs a refund"),)
    assert words(found.unanswered) == ["well?"]


def test_a_brief_is_no_longer_than_asked() -> None:
    """The last messages, oldest first."""
    log = entries(*(wrote(n, str(n)) for n in range(1, 8)))
    assert words(brief(log, most=3).said) == ["5", "6", "7"]


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        (["conversation_started"], "open"),
        (["conversation_started", "conversation_queued"], "queued"),
        (["conversation_queued", "offer_made"], "offered"),
        (["offer_made", "offer_timed_out"], "queued"),
        (["offer_made", "conversation_assigned"], "assigned"),
        (["conversation_assigned", "message_sent", "delivery_updated"], "assigned"),
        (["conversation_assigned", "conversation_transferred"], "queued"),
        (["conversation_assigned", "conversation_resolved"], "resolved"),
        (["conversation_resolved", "conversation_reopened"], "open"),
    ],
)
def test_the_status_is_that_of_the_last_event_that_has_one(kinds: list[str], status: str) -> None:
    """Messages, notes and receipts change no status."""
    assert fold([event(n, kind) for n, kind in enumerate(kinds, 1)]).status == status


def fold(events: list[Event]) -> Conversation:
    """A conversation after events, duplicates dropped."""
    state = begin(events[0])
    for e in events:
        if e.seq > state.seq:
            state = evolve(state, e)
    return state


def test_the_last_agent_is_who_had_it_or_wrote_last() -> None:
    """A bot never is."""
    state = fold([STARTED, assigned(2, "ben"), answered(3, "hi", "eve"), answered(4, "beep", "bot", BOT)])
    assert (state.last_agent_id, state.last_agent_at, state.messages) == ("eve", T0 + timedelta(minutes=3), 2)


def test_a_customer_is_known_by_tenant_channel_account_and_address() -> None:
    """The id is the same for the same contact and another for any difference."""
    [(key, found)] = customers([STARTED, wrote(2, "a")]).items()
    assert key == found.customer_id == customer_id("acme", "whatsapp", "main", "+1") == begin(STARTED).customer_id
    others = [("acme", "whatsapp", "main", "+2"), ("acme", "whatsapp", "mai", "n+1"), ("b", "whatsapp", "main", "+1")]
    assert key not in {customer_id(*parts) for parts in others}


@given(st.lists(st.sampled_from([*STATUS, "message_received", "message_sent", "note_added", "unknown"]), min_size=1))
def test_events_fed_twice_change_nothing(kinds: list[str]) -> None:
    """A record that arrives again is dropped by its seq."""
    events = [event(n, kind) for n, kind in enumerate(kinds, 1)]
    assert fold([e for one in events for e in (one, one)] + events) == fold(events)
