"""A version of a tenant's configuration to what it promises."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from trunkline.config.v1.config_pb2 import SlaPolicy, SlaRule, TenantConfig
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, Rules, digest, from_dict
from trunkline_common.tenants import Tenants

from trunkline_sla.evaluation_model import DEFAULT_REPEATS, DEFAULT_WARNINGS, Hours, Metric, Policy, Reopen, Rule
from trunkline_sla.promises import Offer, Promises

#: The metrics of the two shorthand fields.
SHORT = ((Metric.FIRST_RESPONSE, "first_response_s"), (Metric.NEXT_RESPONSE, "next_response_s"))


class Expanded:
    """Calendars by what they say: two versions that say the same share one, and so no clock sees a change."""

    def __init__(self, anchor: datetime) -> None:
        self._anchor = anchor
        self._known: dict[str, Calendar] = {}

    def get(self, rules: Rules) -> Calendar:
        """The one calendar of these rules."""
        key = digest(rules)
        if (found := self._known.get(key)) is None:
            found = self._known[key] = Calendar(rules, self._anchor)
        return found


class Book:
    """What every version of every tenant's configuration promises, made when it is first asked for.

    Calendars answer for ten years on both sides of `anchor`.
    """

    def __init__(self, tenants: Tenants, anchor: datetime) -> None:
        self._tenants, self._expanded = tenants, Expanded(anchor)
        self._made: dict[tuple[str, int], Promises] = {}

    def at(self, tenant: str, version: int) -> Promises | None:
        """One version; None where it has not arrived (yet). Version 0 promises nothing."""
        if (found := self._made.get((tenant, version))) is not None:
            return found
        config = self._tenants.at(tenant, version) if version else TenantConfig(tenant=tenant)
        if config is None:
            return None
        found = self._made[tenant, version] = to_promises(config, self._expanded)
        return found

    def newest(self, tenant: str) -> int:
        """The version in force now; 0: none."""
        config = self._tenants.get(tenant)
        return config.version if config else 0

    def in_force(self, tenant: str, at: datetime) -> int:
        """The newest version that had been applied by then; 0: none."""
        version = self.newest(tenant)
        while version and ((found := self.at(tenant, version)) is None or found.applied_at > at):
            version -= 1
        return version


def to_promises(config: TenantConfig, expanded: Expanded) -> Promises:
    """The promises of a version."""
    calendars = {c.id: expanded.get(_rules(c.document)) for c in config.calendars}
    return Promises(
        tenant=config.tenant,
        version=config.version,
        applied_at=config.applied_at.ToDatetime(tzinfo=UTC),
        offers=tuple(to_offer(policy) for policy in config.sla_policies),
        calendars={**calendars, "": expanded.get(AlwaysOpen())},
        of_team={team.id: team.calendar for team in config.teams if team.calendar},
        default=config.calendar,
    )


@lru_cache(maxsize=1024)
def _rules(document: str) -> Rules:
    return from_dict(json.loads(document))


def to_offer(found: SlaPolicy) -> Offer:
    """A policy and whom it is for. Raises ValueError for a name that no metric or rule has."""
    return Offer(
        id=found.id,
        policy=_policy(found),
        team=found.team,
        channels=frozenset(found.channels),
        priorities=frozenset(found.priorities),
        tags=frozenset(found.tags),
        attributes=tuple(sorted(found.attributes.items())),
        calendar=found.calendar,
    )


def _policy(found: SlaPolicy) -> Policy:
    return Policy(
        metrics={Metric(rule.metric): _rule(rule) for rule in found.rules} or _short(found),
        last_word=found.last_word if found.HasField("last_word") else True,
        bot_reply_counts=found.bot_reply_counts,
        automation_counts=found.automation_counts,
        warnings_percent=_percents(found.warnings_percent, none=found.no_warnings),
        warnings_remaining_s=tuple(sorted(set(found.warnings_remaining_s), reverse=True)),
        repeat_s=found.repeat_s,
        max_repeats=found.max_repeats if found.HasField("max_repeats") else DEFAULT_REPEATS,
    )


def _short(found: SlaPolicy) -> dict[Metric, Rule]:
    """The oldest versions of a configuration know two metrics, which count every second."""
    targets = {metric: getattr(found, name) for metric, name in SHORT}
    return {metric: Rule(seconds, hours=Hours.ALWAYS) for metric, seconds in targets.items() if seconds > 0}


def _percents(found: Iterable[int], *, none: bool) -> tuple[int, ...]:
    percents = tuple(sorted({p for p in found if 0 < p < 100}))
    return percents or (() if none else DEFAULT_WARNINGS)


def _rule(found: SlaRule) -> Rule:
    return Rule(
        target_s=found.target_s,
        pause_on=frozenset(found.pause_on.names) if found.HasField("pause_on") else None,
        stop_on=frozenset(found.stop_on.names) if found.HasField("stop_on") else None,
        reopen=Reopen(found.reopen) if found.reopen else None,
        counts_first_message=found.counts_first_message,
        hours=Hours.ALWAYS if found.always else Hours.BUSINESS,
    )
