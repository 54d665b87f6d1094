"""What a policy means for one metric of one conversation: the defaults of sla.md 7.2 and 8 filled in."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline_common.calendar import Calendar

from trunkline_sla.evaluation_model import LIFECYCLE, PAUSES, RESOLVED, Hours, Metric, Policy, Reopen, Rule, Terms

NOTHING = Policy({})
UNPROMISED = Rule(0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What terms depend on, at one moment."""

    policy: Policy | None
    priority: str
    business: Calendar
    always: Calendar

    def terms(self, metric: Metric) -> Terms:
        """Those of one metric."""
        policy = self.policy or NOTHING
        rule = policy.metrics.get(metric)
        return Terms(
            live=rule is not None and applies(policy, self.priority),
            target_s=(rule or UNPROMISED).target_s,
            pause_on=_pause_on(metric, rule or UNPROMISED),
            stop_on=stop_on(policy, metric),
            reopen=_reopen(metric, rule or UNPROMISED),
            warnings=tuple(sorted(policy.warnings_percent)),
            calendar=self.always if rule is not None and rule.hours is Hours.ALWAYS else self.business,
        )


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
