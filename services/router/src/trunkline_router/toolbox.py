"""What production understands a configuration with: CEL, Liquid, calendars; each text is compiled once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from trunkline_common.calendar import CalendarFault, Calendars
from trunkline_common.calendar_rules import Rules, from_dict

from trunkline_router.conditions import Condition, compile_condition
from trunkline_router.templates import compile_template
from trunkline_router.tools import Facts, Tools

CALENDARS = Calendars()
KEPT = 4096  # compiled texts of all tenants; beyond it they are compiled again


@lru_cache(maxsize=KEPT)
def _compiled(text: str) -> Condition:
    return compile_condition(text)


def _condition(text: str) -> Callable[[Facts], bool]:
    return _compiled(text).holds


def _reads(text: str) -> frozenset[str]:
    return _compiled(text).names


@lru_cache(maxsize=KEPT)
def _template(text: str) -> Callable[[Facts], str]:
    return compile_template(text).render


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """A calendar, asked at the instants of decisions."""

    rules: Rules

    def is_open(self, at: datetime) -> bool:
        """Whether the team works then; a calendar that cannot tell closes nobody out."""
        try:
            return CALENDARS.get(self.rules, at).is_open(at)
        except CalendarFault:
            return True

    def next_open(self, at: datetime) -> datetime | None:
        """When it works again; None where that is not known."""
        try:
            return CALENDARS.get(self.rules, at).next_open(at)
        except CalendarFault:
            return None


@lru_cache(maxsize=KEPT)
def _hours(text: str) -> BusinessHours:
    return BusinessHours(from_dict(json.loads(text)))


TOOLS = Tools(_condition, _reads, _template, _hours)
