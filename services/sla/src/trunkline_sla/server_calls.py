"""What the handlers of SlaService share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message
from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common import pages
from trunkline_common.auth import caller
from trunkline_common.calendar import Calendar, CalendarFault
from trunkline_common.errors import unavailable
from trunkline_common.postgres import Pool
from trunkline_common.tenants import Tenants

from trunkline_sla import wire_api
from trunkline_sla.promises import Promises
from trunkline_sla.queries import Clock, Place
from trunkline_sla.wire_config import Book


@dataclass(frozen=True, slots=True)
class Sources:
    """Where answers come from."""

    pool: Pool
    tokens: pages.PageTokens
    tenants: Tenants
    book: Book
    now: Callable[[], datetime]


class Calls:
    """Base of the handlers."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources

    def _promises(self, version: int) -> Promises:
        """A version of the caller's configuration. UNAVAILABLE where it has not arrived."""
        found = self._from.book.at(caller().tenant, version)
        if found is None:
            raise unavailable("configuration")
        return found

    def _shown(self, clock: Clock, now: datetime) -> pb.Clock:
        if clock.state != "running":
            return wire_api.to_clock(clock, clock.consumed_s)
        calendar = self._promises(clock.config_version).calendars.get(clock.counts_by)
        return wire_api.to_clock(clock, clock.consumed_s + counted(calendar, clock.since, now))

    def _place(self, token: str, bound: tuple[str, ...]) -> Place:
        cursor = self._from.tokens.open(token, *bound)
        return (datetime.fromisoformat(cursor[0]), str(cursor[1])) if cursor else None


def counted(calendar: Calendar | None, start: datetime, end: datetime) -> int:
    """Open seconds, never negative; none where the calendar is gone or has no answer."""
    try:
        return max(0, calendar.between(start, end)) if calendar else 0
    except CalendarFault:
        return 0


def bound(method: str, request: Message) -> tuple[str, str, str]:
    """What a token of this request is good for: the caller's tenant, and the same question."""
    asked = type(request)()
    asked.CopyFrom(request)
    for name in ("page_size", "page_token", "resume_token"):
        if name in asked.DESCRIPTOR.fields_by_name:
            asked.ClearField(name)
    return caller().tenant, method, asked.SerializeToString(deterministic=True).hex()
