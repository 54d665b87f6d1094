"""A policy that somebody wants to try, checked: every wrong field with its path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from trunkline.config.v1.config_pb2 import SlaPolicy, SlaRule
from trunkline_common.errors import Violation, invalid_request

from trunkline_sla.evaluation_model import Metric, Reopen
from trunkline_sla.promises import Offer
from trunkline_sla.wire_config import to_offer

LONGEST_S = 366 * 86_400
MOST_WARNINGS, MOST_REPEATS = 20, 20


def offer(policy: SlaPolicy, calendars: Collection[str]) -> Offer:
    """The policy as the engine takes it. INVALID_ARGUMENT where it could not be a configuration's."""
    if problems := [Violation(f"policy.{field}", text) for field, text in _problems(policy, calendars)]:
        raise invalid_request(*problems)
    return to_offer(policy)


Problem = tuple[str, str]


def _problems(policy: SlaPolicy, calendars: Collection[str]) -> Iterator[Problem]:
    if not policy.rules and policy.first_response_s <= 0 and policy.next_response_s <= 0:
        yield "rules", "promises nothing"
    if policy.calendar and policy.calendar not in calendars:
        yield "calendar", f"there is no calendar {policy.calendar}"
    for name in ("first_response_s", "next_response_s", "repeat_s"):
        if not 0 <= getattr(policy, name) <= LONGEST_S:
            yield name, f"is not from 0 to {LONGEST_S}"
    if policy.HasField("max_repeats") and not 1 <= policy.max_repeats <= MOST_REPEATS:
        yield "max_repeats", f"is not from 1 to {MOST_REPEATS}"
    for i, rule in enumerate(policy.rules):
        yield from ((f"rules[{i}].{field}", text) for field, text in _rule(rule, policy.rules[:i]))
    yield from _warnings(policy)


def _rule(rule: SlaRule, earlier: Sequence[SlaRule]) -> Iterator[Problem]:
    if rule.metric not in set(Metric):
        yield "metric", f"is none of {', '.join(Metric)}"
    if any(other.metric == rule.metric for other in earlier):
        yield "metric", "has a rule already"
    if not 1 <= rule.target_s <= LONGEST_S:
        yield "target_s", f"is not from 1 to {LONGEST_S}"
    if rule.reopen and rule.reopen not in set(Reopen):
        yield "reopen", f"is none of {', '.join(Reopen)}"
    if rule.counts_first_message and rule.metric != Metric.NEXT_RESPONSE:
        yield "counts_first_message", "is of next_response"


def _warnings(policy: SlaPolicy) -> Iterator[Problem]:
    every = [*(rule.target_s for rule in policy.rules), policy.first_response_s, policy.next_response_s]
    targets = [seconds for seconds in every if seconds > 0]
    for name, values, least, most in (
        ("warnings_percent", policy.warnings_percent, 1, 99),
        ("warnings_remaining_s", policy.warnings_remaining_s, 1, min(targets, default=0) - 1),
    ):
        if len(values) > MOST_WARNINGS:
            yield name, f"names more than {MOST_WARNINGS}"
        for i, value in enumerate(values):
            if not least <= value <= most:
                yield f"{name}[{i}]", f"is not from {least} to {most}"
