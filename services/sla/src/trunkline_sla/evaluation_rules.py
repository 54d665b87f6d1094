"""What a policy means for one metric of one conversation: the defaults of sla.md 7.2 and 8 filled in."""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline_common.calendar import Calendar

from trunkline_sla.evaluation_model import LIFECYCLE, PAUSES, RESOLVED, Hours, Metric, Policy, Reopen, Rule, Terms
from trunkline_sla.evaluation_timers import goal

NOTHING = Policy({})
UNPROMISED = Rule(0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What terms depend on, at one moment."""

    policy: Policy | None
    priority: str
    business: Calendar
    always: Calendar
    policy_id: str = ""
    calendar_id: str = ""
    version: int = 0
    known: dict[Metric, Terms] = field(default_factory=dict, init=False, repr=False, compare=False)

    def terms(self, metric: Metric) -> Terms:
        """Those of one metric; worked out once."""
        if metric not in self.known:
            self.known[metric] = self._terms(metric)
        return self.known[metric]

    def _terms(self, metric: Metric) -> Terms:
        policy = self.policy or NOTHING
        rule = policy.metrics.get(metric, UNPROMISED)
        always = rule.hours is Hours.ALWAYS
        return Terms(
            live=rule is not UNPROMISED and applies(policy, self.priority),
            target_s=rule.target_s,
            pause_on=_pause_on(metric, rule),
            stop_on=stop_on(policy, metric),
            reopen=_reopen(metric, rule),
            warnings=warnings(policy, rule.target_s),
            calendar=self.always if always else self.business,
            repeat_s=policy.repeat_s,
            max_repeats=policy.max_repeats,
            policy_id=self.policy_id,
            calendar_id="" if always else self.calendar_id,
            version=self.version,
        )


def warnings(policy: Policy, target_s: int) -> tuple[int, ...]:
    """Percents, and seconds left as negative numbers, as they come; none at or beyond the deadline or the start."""
    percents = (percent for percent in policy.warnings_percent if percent > 0)
    codes = {*percents, *(-left for left in policy.warnings_remaining_s if left > 0)}
    ordered = sorted((goal(target_s, code), code) for code in codes)
    return tuple(code for seconds, code in ordered if 0 < seconds < target_s)


def applies(policy: Policy, priority: str) -> bool:
    """Without a list, to all."""
    return policy.applies_to_priorities is None or priority in policy.applies_to_priorities


def stop_on(policy: Policy, metric: Metric) -> frozenset[str]:
    """Where the rule names none: resolution stops all but the replies owed, and these without last word (8.5)."""
    rule = policy.metrics.get(metric)
    if rule is not None and rule.stop_on is not None:
        return rule.stop_on
    if metric is Metric.FIRST_RESPONSE or (metric is Metric.NEXT_RESPONSE and policy.last_word):
        return frozenset()
    resolution = policy.metrics.get(Metric.RESOLUTION, UNPROMISED).stop_on
    return RESOLVED if resolution is None else resolution


def _pause_on(metric: Metric, rule: Rule) -> frozenset[str]:
    return PAUSES.get(metric, frozenset()) if rule.pause_on is None else rule.pause_on


def _reopen(metric: Metric, rule: Rule) -> Reopen | None:
    """A reply clock that was stopped goes on only where the rule says so; first_response never restarts (7.8)."""
    if rule.reopen is None:
        return Reopen.RESUME if metric in LIFECYCLE else None
    restarts = metric is Metric.FIRST_RESPONSE and rule.reopen is Reopen.RESTART
    return Reopen.RESUME if restarts else rule.reopen


def counts_first_message(policy: Policy | None) -> bool:
    """Whether next_response also counts what first_response counts (7.7)."""
    rule = policy.metrics.get(Metric.NEXT_RESPONSE) if policy else None
    return rule is not None and rule.counts_first_message
