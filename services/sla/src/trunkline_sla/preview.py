"""If a customer wrote now, when would an answer be due? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_common.calendar import CalendarFault

from trunkline_sla.evaluation_model import Metric, Terms
from trunkline_sla.promises import Promises, Situation

#: What a message of the customer can start; the next update is owed from the agent's last one on.
STARTED = tuple(metric for metric in Metric if metric is not Metric.PERIODIC_UPDATE)


@dataclass(frozen=True, slots=True)
class Due:
    """One metric's answer. `calendar_id`: "" is always open; `due_at` is None where the calendar has no answer."""

    team: str
    metric: Metric
    policy_id: str
    calendar_id: str
    target_s: int
    due_at: datetime | None
    version: int


def preview(promises: Promises, found: Situation, at: datetime) -> list[Due]:
    """What would be due, of a conversation in that situation whose customer writes then; [] where nothing is."""
    setting, began = promises.of(found), at.replace(microsecond=0)
    every = ((metric, setting.terms(metric)) for metric in STARTED)
    return [_due(found.team, metric, terms, began) for metric, terms in every if terms.live]


def _due(team: str, metric: Metric, terms: Terms, at: datetime) -> Due:
    try:
        due_at = terms.calendar.add(at, terms.target_s)
    except CalendarFault:
        due_at = None
    return Due(team, metric, terms.policy_id, terms.calendar_id, terms.target_s, due_at, terms.version)
