"""The words and signs of a condition, one after the other."""

from __future__ import annotations

import re
from itertools import pairwise

TOKEN = re.compile(
    r"(?P<skip>[ \t\r\n\f]+|//[^\n]*)"
    r"|(?P<double>\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)"
    r"|(?P<int>0x[0-9a-fA-F]+|\d+)"
    r"|(?P<string>[rR](?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n\r]*'|\"[^\"\n\r]*\")"
    r"|'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^\\'\n\r])*'|\"(?:\\.|[^\\\"\n\r])*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])",
    re.DOTALL,
)


class BadCondition(Exception):
    """A condition that is refused; the message says where and why."""


class Tokens:
    """A place in a condition's tokens: (kind, text, where it begins)."""

    def __init__(self, text: str) -> None:
        self.tokens, self.at = _tokens(text), 0

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    @property
    def token(self) -> str:
        """The sign or name that stands here; no literal is mistaken for one."""
        return self.tokens[self.at][1] if self.kind in ("sign", "name", "end") else ""

    def error(self, message: str, at: int | None = None) -> BadCondition:
        return BadCondition(f"character {self.tokens[self.at if at is None else at][2] + 1}: {message}")

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def sees(self, token: str) -> bool:
        return self.token == token

    def taken(self, token: str) -> bool:
        seen = self.sees(token)
        self.at += seen
        return seen

    def expect(self, token: str) -> None:
        if not self.taken(token):
            raise self.error(f"{token!r} is expected here")


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise BadCondition(f"character {at + 1}: {text[at]!r} is not part of a condition")
        if match.lastgroup != "skip":
            found.append((str(match.lastgroup), match.group(), at))
        at = match.end()
    for (kind, token, start), (after, _, end) in pairwise(found):
        if (kind, after) in (("int", "name"), ("int", "string")) and start + len(token) == end:
            raise BadCondition(f"character {end + 1}: a whole number ends before this; write a space or an operator")
    return [*found, ("end", "the end", len(text))]
