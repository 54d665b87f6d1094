"""Conditions of policies and settings, in CEL (common-expression-language): checked and compiled once, then asked.

A condition sees FACTS and nothing else: no clock, no chance, no other conversation.
The same facts give the same answer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any

from trunkline_router.condition_check import TEXT_SIZE, check
from trunkline_router.condition_tokens import BadCondition

# The library's __init__ imports its command line, 0.4 s and 27 MB of terminal packages that no service uses.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
import cel  # noqa: E402  after the line above

__all__ = ["FACTS", "BadCondition", "Condition", "compile_condition"]

FACTS: Mapping[str, type] = MappingProxyType(
    {
        "channel": str,
        "account": str,
        "team": str,
        "language": str,  # "und": not known
        "priority": str,
        "boost_s": int,
        "tags": list[str],
        "attributes": dict[str, str],
        "status": str,
        "age_s": int,  # since the cycle began
        "waiting_s": int,  # since it entered the queue
        "messages": int,  # of the customer, in this cycle
        "transfers": int,
        "reopened": bool,
        "returning": bool,  # the customer had earlier conversations
        "open": bool,  # business hours now
        "public": bool,
        "previous_agent": str,  # "": nobody
        "origin": str,
        "contact_kind": str,
        "text": str,  # of the customer's last message, at most 4,000 characters
    }
)
FUNCTIONS = {TEXT_SIZE: len}
#: What the library raises; anything else is a fault of the process and not of a condition.
ERRORS = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was accepted; `names` are the facts it reads, so it can change only when one of them does."""

    source: str
    names: frozenset[str]
    _program: cel.Program = field(repr=False, compare=False)

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it is true. Never raises: what cannot be evaluated does not hold."""
        return self.evaluate(facts)[0]

    def evaluate(self, facts: Mapping[str, Any]) -> tuple[bool, str | None]:
        """Whether it holds and, if it could not be evaluated, why not: a key that attributes lack, a division by 0."""
        if missing := sorted(self.names - facts.keys()):
            return False, f"not given: {', '.join(missing)}"
        try:
            context = cel.Context({name: facts[name] for name in self.names}, FUNCTIONS)
            return self._program.execute(context) is True, None
        except ERRORS as error:
            return False, _reason(error)


def compile_condition(text: str) -> Condition:
    """The condition a text describes. Raises BadCondition: syntax, unknown name, wrong type, not a bool, too costly."""
    checked = check(text, FACTS)
    try:
        cel.compile(text)  # so that an error has its place in this text
        program = cel.compile(checked.source)
        for literal in checked.patterns:
            cel.compile(f"''.matches({literal})").execute()
    except ERRORS as error:
        raise BadCondition(_reason(error)) from error
    return Condition(text, checked.names, program)


def _reason(error: Exception) -> str:
    """What the library says, without the quoted expression and its drawing of the place."""
    if isinstance(error, KeyError):
        return f"attributes have no {error}"
    place = re.search(r"<input>:\d+:(\d+): (.*)", str(error))
    if place:
        return f"character {place[1]}: {place[2]}"
    return re.sub(r"error: '.*\n.*error: ", "", str(error), flags=re.DOTALL).partition(". ")[0]
