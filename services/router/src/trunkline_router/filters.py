"""Which conversations a list shows, and in which order: a small part of AIP-160 and AIP-132."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from heapq import nlargest, nsmallest
from typing import Any

from trunkline_router.pool import BEGINNING, Conversation, Status
from trunkline_router.state import Engine

MAX_LENGTH = 2_000  # characters of a filter or an order: each term is asked of every conversation of the pool
#: Nothing is read twice: an unclosed quote has all the rest, and what is between tokens is passed over.
TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*+")|(?P<unclosed>".*)|(?P<op>!=|=)|(?P<word>[\w.-]+)|(?P<other>\S)', re.DOTALL
)
FIELDS: dict[str, Callable[[Conversation], Iterable[str]]] = {
    "agent": lambda c: (c.agent,),
    "channel": lambda c: (c.channel,),
    "language": lambda c: (c.attributes.language,),
    "priority": lambda c: (c.attributes.priority,),
    "status": lambda c: (c.status,),
    "tag": lambda c: c.attributes.tags,
    "team": lambda c: (c.team,),
    "unanswered": lambda c: ("true" if c.unanswered_since else "false",),
}
#: What a listed conversation may be; what another pool has is listed there.
LISTED = tuple(status for status in Status if status is not Status.MOVED)
#: The values of a field that has only these.
VALUES: dict[str, tuple[str, ...]] = {"status": LISTED, "unanswered": ("true", "false")}
ORDERS: dict[str, Callable[[Conversation], Any]] = {
    "": lambda c: c.ordinal,
    "conversation_id": lambda c: c.id,
    "entered_at": lambda c: (c.entered_at - BEGINNING) // timedelta(microseconds=1),
    "seq": lambda c: c.seq,
}


class BadFilter(Exception):
    """The text is none of ours; the message names the position."""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition on one field."""

    field: str
    value: str
    negated: bool

    def holds(self, c: Conversation) -> bool:
        """Whether it is true of a conversation."""
        return (self.value in FIELDS[self.field](c)) is not self.negated


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: quoted, unclosed, op, word, other or end, with the place of its first character, from 1."""

    kind: str
    text: str
    at: int


def parse(text: str) -> tuple[Term, ...]:
    """The terms that must all hold. Raises BadFilter."""
    tokens = _tokens(_short(text))
    if tokens[0].kind == "end":
        return ()
    terms = []
    for start in range(0, len(tokens), 4):
        field, op, value, joint = tokens[start : start + 4]
        terms.append(_term(field, op, value))
        if joint.kind == "end":
            break
        if joint.text != "AND":
            raise BadFilter(f"position {joint.at}: expected AND, not {joint.text}")
    return tuple(terms)


def _short(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise BadFilter(f"position {MAX_LENGTH + 1}: must have at most {MAX_LENGTH} characters")
    return text


def _tokens(text: str) -> list[Token]:
    found = [Token(m.lastgroup or "", m[0], m.start() + 1) for m in TOKEN.finditer(text)]
    end = Token("end", "the end", len(text) + 1)
    return [*found, end, end, end, end]


def _term(field: Token, op: Token, value: Token) -> Term:
    if field.text not in FIELDS or field.kind != "word":
        raise BadFilter(f"position {field.at}: expected one of {', '.join(FIELDS)}, not {field.text}")
    if op.kind != "op":
        raise BadFilter(f"position {op.at}: expected = or !=, not {op.text}")
    if value.kind == "unclosed":
        raise BadFilter(f"position {value.at}: the quote is not closed")
    if value.kind not in ("word", "quoted"):
        raise BadFilter(f"position {value.at}: expected a value, not {value.text}")
    meant = re.sub(r"(?s)\\(.)", r"\1", value.text[1:-1]) if value.kind == "quoted" else value.text
    known = VALUES.get(field.text)
    if known is not None and meant not in known:
        raise BadFilter(f"position {value.at}: expected one of {', '.join(known)}, not {value.text}")
    return Term(field.text, meant, op.text == "!=")


@dataclass(frozen=True, slots=True)
class Order:
    """By a field, then by when the conversation began."""

    field: str
    descending: bool

    def key(self, c: Conversation) -> list[Any]:
        """Its place in the list, as JSON has it."""
        return [ORDERS[self.field](c), c.ordinal]

    def page(self, found: Iterable[Conversation], after: list[Any] | None, size: int) -> list[Conversation]:
        """The first ones after a place, and one more where there is one."""
        rest = (c for c in found if after is None or self._is_later(self.key(c), after))
        return (nlargest if self.descending else nsmallest)(size + 1, rest, key=self.key)

    def _is_later(self, key: list[Any], after: list[Any]) -> bool:
        return key < after if self.descending else key > after


def parse_order(text: str) -> Order:
    """What to order by. Raises BadFilter."""
    field, _, direction = _short(text).strip().partition(" ")
    if field not in ORDERS or direction.strip() not in ("", "asc", "desc"):
        named = ", ".join(name for name in ORDERS if name)
        raise BadFilter(f'position 1: expected one of {named}, then perhaps " desc", not {text}')
    return Order(field, direction.strip() == "desc")


def select(found: Iterable[Conversation], terms: tuple[Term, ...]) -> Iterable[Conversation]:
    """Those of which every term holds."""
    return (c for c in found if all(term.holds(c) for term in terms))


def here(engine: Engine) -> Iterable[Conversation]:
    """The pool's own: those that it handed over are listed by the pools that have them."""
    return (c for c in engine.pool.conversations.values() if c.status in LISTED)
