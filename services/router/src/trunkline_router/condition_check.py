"""Reads a condition before it is ever evaluated: the facts it names, the type of each part and what it may cost.

The CEL library has no type checker and shows no syntax tree, so this reads the part of CEL that conditions may use:
literals, facts, lists of plain values, && || ! ?: == != < <= > >= in + - * / %, has(), size(), int(), double(),
string(), contains, startsWith, endsWith, matches, exists, all, exists_one, filter and map. What the
library refuses is refused as well, and nothing goes to it that was not read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline_router import pattern_cost
from trunkline_router.condition_tokens import BadCondition, Tokens

MAX_LENGTH = 2_000
MAX_DEPTH = 20
MAX_MACROS = 2  # one in another
MAX_LIST = 100  # entries of a list, a fact's (the engine sees to it) or a written one
MAX_JOINS = 20
TEXT_SIZE = "size_of_text"  # a function that the evaluation provides
MAX_COST = 4_000.0  # in about a microsecond each, for facts of the largest size

TYPES: Mapping[object, str] = {
    bool: "bool", int: "int", str: "string", list[str]: "list(string)", dict[str, str]: "map"
}  # fmt: skip
SCALARS = ("bool", "int", "double", "string")
NUMBERS = ("int", "double")
LEVEL = {
    **dict.fromkeys(["||"], 1),
    **dict.fromkeys(["&&"], 2),
    **dict.fromkeys(["==", "!=", "<", "<=", ">", ">=", "in"], 3),
    **dict.fromkeys(["+", "-"], 4),
    **dict.fromkeys(["*", "/", "%"], 5),
}
MACROS = ("exists", "all", "exists_one", "filter", "map")
CONVERSIONS = {
    "int": ("int", "double", "string"),
    "double": ("int", "double", "string"),
    "string": ("int", "double", "string"),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a condition reads, its text for the library, the literals it uses as patterns and its cost at the most."""

    names: frozenset[str]
    source: str
    patterns: tuple[str, ...]
    cost: float


def check(text: str, facts: Mapping[str, object]) -> Checked:
    """Read a condition whole. Raises BadCondition: syntax, an unknown name, a wrong type, no bool, too costly."""
    if len(text) > MAX_LENGTH:
        raise BadCondition(f"has {len(text)} characters, more than {MAX_LENGTH}")
    reader = _Reader(text, {name: TYPES[kind] for name, kind in facts.items()})
    kind = reader.expression()
    if reader.kind != "end":
        raise reader.error(f"{reader.tokens[reader.at][1]} is not expected here")
    if kind != "bool":
        raise BadCondition(f"is of type {kind}; a condition is true or false")
    if reader.cost > MAX_COST:
        raise BadCondition(f"may cost {reader.cost:.0f} microseconds, more than {MAX_COST:.0f}: simplify it")
    return Checked(frozenset(reader.names), reader.rewritten(text), tuple(reader.patterns), reader.cost)


class _Reader(Tokens):
    """One pass over the tokens; each method reads a part and returns its type."""

    def __init__(self, text: str, facts: Mapping[str, str]) -> None:
        super().__init__(text)
        self.facts = facts
        self.bound: dict[str, str] = {}
        self.names: set[str] = set()
        self.patterns: list[str] = []
        self.text_sizes: list[int] = []
        self.cost, self.depth, self.joins = 0.0, 0, 0

    def rewritten(self, text: str) -> str:
        """With the size of a text under a name of ours: the library's own counts bytes, and cannot be replaced."""
        for at in sorted(self.text_sizes, reverse=True):
            text = f"{text[:at]}{TEXT_SIZE}{text[at + len('size') :]}"
        return text

    def must(self, kind: str, allowed: tuple[str, ...], what: str) -> str:
        if kind not in allowed:
            raise self.error(f"{what} is of type {kind}, not {' or '.join(allowed)}")
        return kind

    def expression(self) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"is nested more than {MAX_DEPTH} deep")
        kind = self.binary(1)
        if self.taken("?"):
            self.must(kind, ("bool",), "what stands before ?")
            kind = self.binary(1)
            self.expect(":")
            self.must(self.expression(), (kind,), "the second choice")
        self.depth -= 1
        return kind

    def binary(self, level: int) -> str:
        kind = self.unary()
        while LEVEL.get(self.token, 0) >= level:
            at, sign = self.at, self.take()
            right = self.binary(LEVEL[sign] + 1)
            if not (result := self.joined(sign, kind, right)):
                raise self.error(f"{kind} {sign} {right} does not exist", at)
            kind = result
        return kind

    def joined(self, sign: str, left: str, right: str) -> str:
        """The type of `left sign right`; empty: it does not exist."""
        self.cost += 10 if left.startswith("list") else 0.05
        if sign in ("&&", "||"):
            fits, result = left == right == "bool", "bool"
        elif sign == "in":
            self.cost += 10
            fits, result = right == f"list({left})" or (left, right) == ("string", "map"), "bool"
        elif LEVEL[sign] > 3:
            fits, result = self.sum(sign, left, right), left
        elif sign in ("==", "!="):
            fits, result = left == right != "map" or (left in NUMBERS and right in NUMBERS), "bool"
        else:
            fits, result = left == right == "string" or (left in NUMBERS and right in NUMBERS), "bool"
        return result if fits else ""

    def sum(self, sign: str, left: str, right: str) -> bool:
        if sign == "+" and left == right == "string":
            self.joins += 1
            self.cost += 5
            if self.bound or self.joins > MAX_JOINS:
                raise self.error(f"texts are joined at most {MAX_JOINS} times, and never in a macro")
            return True
        return left == right and left in (("int",) if sign == "%" else NUMBERS)

    def unary(self) -> str:
        sign = self.token if self.token in ("!", "-") else ""
        while sign and self.taken(sign):
            self.cost += 0.05
        kind = self.primary()
        while self.token in (".", "["):
            kind = self.member(kind) if self.taken(".") else self.index(kind)
        if sign:
            self.must(kind, ("bool",) if sign == "!" else NUMBERS, f"what stands behind {sign}")
        return kind

    def primary(self) -> str:
        self.cost += 0.05
        if self.kind in ("int", "double", "string"):
            self.at += 1
            return self.tokens[self.at - 1][0]
        if self.taken("("):
            kind = self.expression()
            self.expect(")")
            return kind
        if self.taken("["):
            return self.list_of()
        if self.kind == "name":
            return self.named()
        raise self.error(f"a value is expected here, not {self.token}")

    def list_of(self) -> str:
        element = self.must(self.expression(), SCALARS, "an entry of a list")
        count = 1
        while self.taken(",") and not self.sees("]"):
            self.must(self.expression(), (element,), "an entry of this list")
            count += 1
        self.expect("]")
        if count > MAX_LIST:
            raise self.error(f"this list has {count} entries, more than {MAX_LIST}")
        return f"list({element})"

    def named(self) -> str:
        name = self.take()
        if self.sees("("):
            return self.call(name)
        if name in ("true", "false"):
            return "bool"
        if name in self.bound:
            return self.bound[name]
        if name not in self.facts:
            self.at -= 1
            raise self.error(f"{name} is not known; there are {', '.join(self.facts)}")
        self.names.add(name)
        return self.facts[name]

    def call(self, name: str) -> str:
        if name not in ("has", "size", *CONVERSIONS):
            self.at -= 1
            raise self.error(f"there is no function {name}")
        begin = self.tokens[self.at - 1][2]
        self.expect("(")
        argument, selected = self.expression(), self.tokens[self.at - 2][1]
        if name == "has":
            if (self.tokens[self.at - 1][0], selected, argument) != ("name", ".", "string"):
                raise self.error("has() asks for a key of attributes: has(attributes.key)")
            argument = "bool"
        elif name == "size":
            argument = self.size(argument, begin)
        else:
            self.must(argument, CONVERSIONS[name], f"what {name}() is given")
            argument = name
        self.expect(")")
        return argument

    def size(self, kind: str, begin: int) -> str:
        self.cost += 8 if kind == "string" else 0.1
        if kind in ("int", "double", "bool"):
            raise self.error(f"size of {kind} does not exist")
        if kind == "string":
            self.text_sizes.append(begin)
        return "int"

    def index(self, kind: str) -> str:
        self.expect("[")
        if kind == "map":
            self.must(self.expression(), ("string",), "a key")
            kind = "string"
        elif kind.startswith("list"):
            self.must(self.expression(), ("int",), "a place in a list")
            kind = kind[5:-1]
        else:
            raise self.error(f"{kind} has no entries")
        self.expect("]")
        return kind

    def member(self, kind: str) -> str:
        if self.kind != "name":
            raise self.error("a name is expected behind the dot")
        begin, name = self.tokens[self.at][2], self.take()
        if not self.sees("("):
            self.must(kind, ("map",), f"what .{name} is asked of")
            return "string"
        self.expect("(")
        result = self.macro(name, kind) if name in MACROS else self.method(name, kind, begin)
        self.expect(")")
        return result

    def method(self, name: str, kind: str, begin: int) -> str:
        if name == "size":
            return self.size(kind, begin)
        if name not in ("contains", "startsWith", "endsWith", "matches"):
            raise self.error(f"there is no method {name}")
        self.must(kind, ("string",), f"what .{name} is asked of")
        if name == "matches":
            self.pattern()
        else:
            self.cost += 2
            self.must(self.expression(), ("string",), f"what .{name} is given")
        return "bool"

    def pattern(self) -> None:
        if self.kind != "string":
            raise self.error("a pattern is written out, as r'...'")
        literal = self.take()
        raw = literal[0] in "rR"
        if "\\" in literal and not raw:
            raise self.error("a pattern with a backslash is written as r'...'")
        quote = 3 if literal.lstrip("rR")[:3] in ("'''", '"""') else 1
        try:
            self.cost += pattern_cost.estimate(literal[quote + raw : -quote])
        except pattern_cost.BadPattern as error:
            raise self.error(str(error)) from error
        self.patterns.append(literal)

    def macro(self, name: str, kind: str) -> str:
        """`name(variable, body)` over a list, or over the keys of a map."""
        if kind in SCALARS:
            raise self.error(f"{kind} has no entries")
        element = "string" if kind == "map" else kind[5:-1]
        variable, before = self.variable(), self.cost
        self.bound[variable] = element
        body = self.expression()
        del self.bound[variable]
        self.cost = before + MAX_LIST * (0.2 + self.cost - before)
        if name in ("filter", "map"):
            self.cost += 600  # the library copies the list for every entry
        self.must(body, SCALARS if name == "map" else ("bool",), f"what .{name} is given")
        if name == "map":
            return f"list({body})"
        return f"list({element})" if name == "filter" else "bool"

    def variable(self) -> str:
        name = self.take() if self.kind == "name" else ""
        if not name or name in self.bound or name in self.facts or name in ("has", "size", *CONVERSIONS):
            raise self.error("a macro begins with a name of its own for the entry: tags.exists(t, t == 'vip')")
        if len(self.bound) == MAX_MACROS:
            raise self.error("macros are nested at most once")
        self.expect(",")
        return name
