"""What SLA policies must not say (sla 7 to 9)."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline_common.errors import Violation

from trunkline_router.config_models import SlaPolicyModel
from trunkline_router.config_parts import Parts


def check_promises(parts: Parts) -> Iterator[Violation]:
    """Every error of the SLA policies beyond references to nothing."""
    channels, priorities = _channels(parts), parts.priorities
    for path, policy in parts.items["sla_policies"]:
        for i, channel in enumerate(policy.channels):
            if channels and channel not in channels:
                yield Violation(f"{path}.channels[{i}]", f"{channel} is no channel of an account or a channel class")
        for i, priority in enumerate(policy.priorities):
            if priorities is not None and priority not in priorities and not priority.isdecimal():
                yield Violation(f"{path}.priorities[{i}]", f"{priority} is not configured")
        yield from _metrics(path, policy)
    calendars = parts.known("calendars")
    if parts.calendar and calendars is not None and parts.calendar not in calendars:
        yield Violation("calendar", f"{parts.calendar} is not configured")


def _channels(parts: Parts) -> set[str]:
    """Every channel that the document knows; none: it says nothing of channels, or not all of it can be read."""
    if not (parts.whole("accounts") and parts.whole("channel_classes")):
        return set()
    of_accounts = {account.channel for _, account in parts.items["accounts"]}
    return of_accounts.union(*(of.channels for _, of in parts.items["channel_classes"]))


def _metrics(path: str, policy: SlaPolicyModel) -> Iterator[Violation]:
    for metric, rule in policy.metrics.items():
        if rule.counts_first_message and metric != "next_response":
            yield Violation(f"{path}.metrics.{metric}.counts_first_message", "is of next_response alone")
    metric, rule = min(policy.metrics.items(), key=lambda item: item[1].target_s)
    for i, left in enumerate(policy.warnings_remaining_s):
        if left >= rule.target_s:
            told = f"{left} s before the end is not within the target of {metric}, {rule.target_s} s"
            yield Violation(f"{path}.warnings_remaining_s[{i}]", told)
