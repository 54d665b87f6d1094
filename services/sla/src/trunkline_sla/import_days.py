"""What an import finds: dates and the names they go by. How it ends when it finds none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

FIRST_YEAR, LAST_YEAR, MAX_YEARS = 1950, 2200, 10
YEARS = re.compile(r"(\d{4})(?:-(\d{4}))?", re.ASCII)
MAX_NAME = 80


class SourceFailed(Exception):
    """The source gave no list, or the router no answer: what is in force stays."""


class InvalidImport(ValueError):
    """The arguments or the document cannot be used; every reason on a line."""


@dataclass(frozen=True, slots=True)
class Years:
    """The years an import speaks for. Dates outside them are none of its business."""

    first: int
    last: int

    @classmethod
    def of(cls, text: str) -> Self:
        """2026 or 2026-2028. Raises InvalidImport."""
        found = YEARS.fullmatch(text)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not FIRST_YEAR <= first <= last <= min(LAST_YEAR, first + MAX_YEARS - 1):
            raise InvalidImport(f"{text}: write years like 2026 or 2026-2028, at most {MAX_YEARS} of them")
        return cls(first, last)

    def __contains__(self, day: date) -> bool:
        return self.first <= day.year <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" if self.first < self.last else f"{self.first}"


@dataclass(frozen=True, slots=True)
class Found:
    """The dates of a source in the years asked for, with a name each; what of it was left out is counted."""

    source: str
    days: Mapping[date, str]
    timed: int = 0
    cancelled: int = 0


def plain(text: str) -> str:
    """A stranger's text as one short printable line."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_NAME]).strip()
