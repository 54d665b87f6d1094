"""What the engine is given to understand its configuration with; pure too, but made of other people's libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Facts = Mapping[str, Any]


class Hours(Protocol):
    """Business hours."""

    def is_open(self, at: datetime) -> bool:
        """Whether the team works then."""

    def next_open(self, at: datetime) -> datetime | None:
        """When it works again."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Each is a pure function of its text; texts were checked when the configuration was applied."""

    #: A condition in CEL; one that cannot be evaluated does not hold.
    condition: Callable[[str], Callable[[Facts], bool]]
    #: The facts that a condition reads.
    reads: Callable[[str], frozenset[str]]
    #: A text in Liquid.
    template: Callable[[str], Callable[[Facts], str]]
    #: Business hours, as canonical JSON.
    hours: Callable[[str], Hours]


def _none(text: str) -> Any:
    raise LookupError(f"this engine was given nothing to understand {text!r} with")


#: Enough for a configuration without conditions, texts and business hours.
PLAIN = Tools(_none, _none, _none, _none)
