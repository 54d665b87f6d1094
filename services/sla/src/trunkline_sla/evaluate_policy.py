"""An SLA policy as strangers write it in a scenario file (scenarios.md section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StringConstraints, field_validator
from trunkline_common.calendar_document import Strict

from trunkline_sla import evaluation_model as model
from trunkline_sla.evaluation_model import DEFAULT_REPEATS, DEFAULT_WARNINGS, Hours, Metric, Reopen

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
Target = Annotated[StrictInt, Field(ge=1, le=366 * 86_400)]
Percent = Annotated[StrictInt, Field(ge=1, le=99)]


class RuleModel(Strict):
    """One metric."""

    target_s: Target
    pause_on: list[Name] | None = None
    stop_on: list[Name] | None = None
    reopen: Reopen | None = None
    counts_first_message: StrictBool = False
    calendar: Hours = Hours.BUSINESS

    def rule(self) -> model.Rule:
        """As the engine takes it."""
        pauses, stops = (None if names is None else frozenset(names) for names in (self.pause_on, self.stop_on))
        return model.Rule(self.target_s, pauses, stops, self.reopen, self.counts_first_message, self.calendar)


class PolicyModel(Strict):
    """What is promised."""

    metrics: dict[Metric, RuleModel]
    last_word: StrictBool = True
    applies_to_priorities: list[Name] | None = None
    bot_reply_counts: StrictBool = False
    automation_counts: StrictBool = False
    warnings_percent: tuple[Percent, ...] = DEFAULT_WARNINGS
    warnings_remaining_s: tuple[Target, ...] = ()
    repeat_s: Annotated[StrictInt, Field(ge=0, le=366 * 86_400)] = 0
    max_repeats: Annotated[StrictInt, Field(ge=1, le=20)] = DEFAULT_REPEATS

    @field_validator("metrics")
    @classmethod
    def _flag_has_a_meaning(cls, value: dict[Metric, RuleModel]) -> dict[Metric, RuleModel]:
        wrong = [m for m, rule in value.items() if rule.counts_first_message and m is not Metric.NEXT_RESPONSE]
        if wrong:
            raise ValueError(f"counts_first_message is of next_response, not of {', '.join(wrong)}")
        return value

    def policy(self) -> model.Policy:
        """As the engine takes it."""
        return model.Policy(
            metrics={metric: rule.rule() for metric, rule in self.metrics.items()},
            last_word=self.last_word,
            applies_to_priorities=None if self.applies_to_priorities is None else frozenset(self.applies_to_priorities),
            bot_reply_counts=self.bot_reply_counts,
            warnings_percent=tuple(sorted(set(self.warnings_percent))),
            warnings_remaining_s=tuple(sorted(set(self.warnings_remaining_s))),
            automation_counts=self.automation_counts,
            repeat_s=self.repeat_s,
            max_repeats=self.max_repeats,
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Warnings that would come before their clocks begin (9.1): field and what is wrong."""
        shortest = min((rule.target_s for rule in self.metrics.values()), default=0)
        for i, left in enumerate(self.warnings_remaining_s):
            if left >= shortest:
                yield f"warnings_remaining_s[{i}]", f"is not less than every target: the shortest is {shortest} s"
