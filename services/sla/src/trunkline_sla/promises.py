"""What a tenant promises, and which promise holds for a conversation (sla 7.13, 7.14). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trunkline_common.calendar import Calendar, CalendarFault
from trunkline_common.calendar_expansion import EPOCH
from trunkline_common.calendar_rules import AlwaysOpen

from trunkline_sla.evaluation_model import Policy
from trunkline_sla.evaluation_rules import Setting


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice of a policy depends on. Without a team nothing is promised yet."""

    team: str = ""
    channel: str = ""
    priority: str = "normal"
    tags: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """A policy and whom it is for: any of the named channels and priorities, all of the tags and attributes."""

    id: str
    policy: Policy
    team: str = ""
    channels: frozenset[str] = frozenset()
    priorities: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    attributes: tuple[tuple[str, str], ...] = ()
    calendar: str = ""

    def fits(self, found: Situation) -> bool:
        """Whether it is for this conversation."""
        return (
            self.team in ("", found.team)
            and (not self.channels or found.channel in self.channels)
            and (not self.priorities or found.priority in self.priorities)
            and self.tags <= found.tags
            and all(found.attributes.get(name) == value for name, value in self.attributes)
        )


@dataclass(frozen=True, slots=True)
class Promises:
    """A version of a tenant's configuration, as far as clocks are concerned. Calendar "" is always open."""

    tenant: str
    version: int
    applied_at: datetime
    offers: tuple[Offer, ...]
    calendars: Mapping[str, Calendar]
    of_team: Mapping[str, str] = field(default_factory=dict)
    default: str = ""

    made: dict[tuple[str, str], Setting] = field(default_factory=dict, repr=False, compare=False)

    def choose(self, found: Situation) -> Offer | None:
        """The first policy that fits (7.14)."""
        return next((offer for offer in self.offers if offer.fits(found)), None) if found.team else None

    def calendar_of(self, offer: Offer | None, team: str) -> str:
        """The policy's calendar, else the team's, else the tenant's (7.13)."""
        return (offer.calendar if offer else "") or self.of_team.get(team, "") or self.default

    def of(self, found: Situation) -> Setting:
        """What holds for a conversation."""
        offer = self.choose(found)
        return self.setting(offer.id if offer else "", self.calendar_of(offer, found.team))

    def setting(self, policy_id: str, calendar_id: str) -> Setting:
        """A policy on a calendar; a policy that is not there promises nothing, a calendar has no answer."""
        key = policy_id, calendar_id
        if key not in self.made:
            policy = next((offer.policy for offer in self.offers if offer.id == policy_id), None)
            business = self.calendars.get(calendar_id) or Missing(calendar_id)
            always = self.calendars[""]
            self.made[key] = Setting(policy, "normal", business, always, policy_id, calendar_id, self.version)
        return self.made[key]


class Missing(Calendar):
    """A calendar that a configuration names and does not have: a fault, and no invented deadline."""

    def __init__(self, name: str) -> None:
        super().__init__(AlwaysOpen(), EPOCH)
        self.digest, self._why = f"missing {name}", f"the configuration has no calendar {name}"

    def add(self, at: datetime, seconds: int) -> datetime:  # noqa: ARG002 - the same question as any calendar
        raise CalendarFault(self._why)

    def between(self, start: datetime, end: datetime) -> int:  # noqa: ARG002
        raise CalendarFault(self._why)
