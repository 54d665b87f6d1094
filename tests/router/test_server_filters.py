"""Filters and orders of ListConversations."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from trunkline_router import filters
from trunkline_router.facts import Attributes, Contact
from trunkline_router.filters import BadFilter, parse, parse_order, select
from trunkline_router.pool import BEGINNING, Conversation, Status

CONTACT = Contact("c")


def conversation(ordinal: int, **more: object) -> Conversation:
    """One of the list."""
    made = Conversation(f"c{ordinal}", ordinal, "app", "app", CONTACT, "")
    for name, value in more.items():
        setattr(made, name, value)
    return made


ALL = [
    conversation(1, status=Status.QUEUED, team="billing", seq=9),
    conversation(2, status=Status.ASSIGNED, team="billing", agent="ana", seq=3),
    conversation(3, status=Status.QUEUED, team="returns", attributes=Attributes(tags=("vip", "two words")), seq=3),
    conversation(4, status=Status.RESOLVED, team="returns", attributes=Attributes(priority="high", language="de")),
]


def found(text: str) -> list[str]:
    """The ids of what a filter selects."""
    return [c.id for c in select(ALL, parse(text))]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ["c1", "c2", "c3", "c4"]),
        ("  ", ["c1", "c2", "c3", "c4"]),
        ("status = QUEUED", ["c1", "c3"]),
        ("status=QUEUED AND team != billing", ["c3"]),
        ('agent = ""', ["c1", "c3", "c4"]),
        ("agent = ana", ["c2"]),
        ("tag = vip", ["c3"]),
        ("tag != vip", ["c1", "c2", "c4"]),
        ('tag = "two words"', ["c3"]),
        ('priority = high AND language = de AND channel = "app"', ["c4"]),
        ('team = "a \\" b"', []),
    ],
)
def test_a_filter_selects_what_every_term_holds_for(text: str, ids: list[str]) -> None:
    """= and !=, joined by AND."""
    assert found(text) == ids


def test_a_quoted_value_may_have_anything_in_it() -> None:
    """Quotes, backslashes and ends of lines, each as it is or behind a backslash."""
    [term] = parse('tag = "a\\"b\\\\\nc\\\nd"')
    assert term.value == 'a"b\\\nc\nd'


@pytest.mark.timeout(5)
def test_no_text_takes_long_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time grows with its length only; quotes that never close were looked for from each of them on."""
    monkeypatch.setattr(filters, "MAX_LENGTH", 1_000_000)
    for text in ('\\"' * 200_000, " " * 400_000, '"' + "\\" * 400_000, '""' * 100_001 + '"'):
        with pytest.raises(BadFilter):
            parse(f"agent = {text}")


def test_a_desk_lists_what_is_owed_a_public_reply() -> None:
    """Public, and nobody has answered what the customer wrote."""
    public = Attributes(tags=("crisis", "public"))
    owed = conversation(5, attributes=public, unanswered_since=BEGINNING)
    listed = [owed, conversation(6, attributes=public), conversation(7, unanswered_since=BEGINNING)]
    assert [c.id for c in select(listed, parse("tag = public AND unanswered = true"))] == ["c5"]
    assert [c.id for c in select(listed, parse("unanswered = false"))] == ["c6"]
    assert [c.id for c in select(listed, parse("unanswered != false"))] == ["c5", "c7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = red", "position 1: expected one of agent, channel"),
        ("status = WAITING", "position 10: expected one of NEW, QUEUED"),
        ("unanswered = yes", "position 14: expected one of true, false, not yes"),
        ("team", "position 5: expected = or !=, not the end"),
        ("team =", "position 7: expected a value, not the end"),
        ("team > billing", "position 6: expected = or !=, not >"),
        ("team = billing OR team = returns", "position 16: expected AND, not OR"),
        ("team = billing AND", "position 19: expected one of agent"),
        ("(team = billing)", "position 1: expected one of agent"),
        ('team = "open', "position 8: the quote is not closed"),
        ('team = "a\\"', "position 8: the quote is not closed"),
        ('team = "a" AND "tag', "position 16: expected one of agent"),
        (f"team = {'a' * 2000}", "position 2001: must have at most 2000 characters"),
        ("team = = billing", "position 8: expected a value, not ="),
    ],
)
def test_a_bad_filter_is_refused_with_the_position(text: str, message: str) -> None:
    """The first character that is wrong, from 1."""
    with pytest.raises(BadFilter) as refused:
        parse(text)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", "c1 c2 c3 c4"), ("seq", "c4 c2 c3 c1"), ("seq desc", "c1 c3 c2 c4"), ("conversation_id desc", "c4 c3 c2 c1")],
)
@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_pages_of_any_size_show_everything_once_and_in_order(text: str, ids: str, size: int) -> None:
    """Ties by when they began."""
    order, seen, after = parse_order(text), list[str](), None
    while page := order.page(ALL, after, size):
        seen += [c.id for c in page[:size]]
        if len(page) <= size:
            break
        after = order.key(page[size - 1])
    assert seen == ids.split()


def test_what_comes_between_two_pages_moves_nothing() -> None:
    """A page goes on after the last place, not after a number."""
    order = parse_order("entered_at")
    times = [replace(c, entered_at=BEGINNING + timedelta(seconds=10 * c.ordinal)) for c in ALL]
    first = order.page(times, None, 2)
    new = replace(ALL[0], id="new", ordinal=5, entered_at=BEGINNING + timedelta(seconds=5))
    assert [c.id for c in order.page([*times, new], order.key(first[1]), 9)] == ["c3", "c4"]


@pytest.mark.parametrize("text", ["colour", "seq down", "seq desc desc"])
def test_an_unknown_order_is_refused(text: str) -> None:
    """Naming those there are."""
    with pytest.raises(BadFilter, match="conversation_id, entered_at, seq"):
        parse_order(text)
