"""What one transaction of a pool's owner is about to write."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from trunkline_common.kafka import Outgoing

from trunkline_router import store


@dataclass(slots=True)
class Draft:
    """What the running transaction has decided so far."""

    now: datetime
    rows: list[store.LogRow] = field(default_factory=list)
    messages: list[Outgoing] = field(default_factory=list)
    results: list[store.ResultRow] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    #: Pools in which an agent may be gone.
    left: set[str] = field(default_factory=set)
