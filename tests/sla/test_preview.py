"""When an answer would be due if a customer wrote now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, from_dict
from trunkline_sla.evaluation_model import Hours, Metric, Policy, Rule
from trunkline_sla.preview import Due, preview
from trunkline_sla.promises import Offer, Promises, Situation

FRIDAY = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
WEEK = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
CALENDARS = {
    "": Calendar(AlwaysOpen(), FRIDAY),
    "office": Calendar(from_dict({"tz": "UTC", "weekly": WEEK}), FRIDAY),
    "shut": Calendar(from_dict({"tz": "UTC", "weekly": {}}), FRIDAY),
}
POLICY = Policy(
    {
        Metric.FIRST_RESPONSE: Rule(3600),
        Metric.PERIODIC_UPDATE: Rule(60),
        Metric.RESOLUTION: Rule(3600, hours=Hours.ALWAYS),
    }
)
PROMISES = Promises("acme", 3, FRIDAY, (Offer("office-hours", POLICY, calendar="office"),), CALENDARS)


def promising(*offers: Offer, **different: Any) -> Promises:
    """Another configuration."""
    return replace(PROMISES, offers=offers, made={}, **different)


def test_each_metric_is_due_by_its_own_hours() -> None:
    """Half an hour is left of Friday, the rest is Monday's; a rule of every hour knows no weekend."""
    assert preview(PROMISES, Situation("support"), FRIDAY.replace(microsecond=900_000)) == [
        Due(
            "support",
            Metric.FIRST_RESPONSE,
            "office-hours",
            "office",
            3600,
            datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
            3,
        ),
        Due("support", Metric.RESOLUTION, "office-hours", "", 3600, datetime(2026, 11, 20, 17, 30, tzinfo=UTC), 3),
    ]


def test_the_first_policy_that_fits_answers() -> None:
    """By team, channel, priority, tags and attributes; where none fits nothing is due."""
    vip = Offer(
        "vip", Policy({Metric.FIRST_RESPONSE: Rule(60)}), "support", frozenset({"sms"}), tags=frozenset({"vip"})
    )
    promises = promising(vip, *PROMISES.offers)
    asked = Situation("support", "sms", tags=frozenset({"vip", "new"}))
    assert [due.policy_id for due in preview(promises, asked, FRIDAY)] == ["vip"]
    assert [due.policy_id for due in preview(promises, replace(asked, channel="app"), FRIDAY)] == ["office-hours"] * 2
    assert preview(promising(vip), replace(asked, team="sales"), FRIDAY) == []


def test_a_calendar_without_an_answer_gives_no_time() -> None:
    """No wall-clock fallback (10.5)."""
    offer = replace(PROMISES.offers[0], calendar="shut")
    first, _ = preview(promising(offer), Situation("support"), FRIDAY)
    assert (first.due_at, first.calendar_id) == (None, "shut")
    gone = replace(offer, calendar="gone")
    assert preview(promising(gone), Situation("support"), FRIDAY)[0].due_at is None


def test_the_calendar_is_the_policys_then_the_teams_then_the_tenants() -> None:
    """7.13."""
    plain = promising(replace(PROMISES.offers[0], calendar=""), default="shut")
    of_team = replace(plain, of_team={"support": "office"}, made={})
    assert preview(plain, Situation("support"), FRIDAY)[0].calendar_id == "shut"
    assert preview(of_team, Situation("support"), FRIDAY)[0].calendar_id == "office"
