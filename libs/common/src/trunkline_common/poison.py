"""When invalid records are no longer single defects but a bad deploy, the partition stops."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline_common.deadletters import Rejected
from trunkline_common.errors import PoisonFlood
from trunkline_common.kafka import Record, TopicPartition

IN_A_ROW, SHARE, EVIDENCE = 50, 0.01, 50


class Poison:
    """Tells single defects from a flood: 50 in a row, or above 1 % of what this owner has seen."""

    def __init__(self) -> None:
        self.seen = self.invalid = self.in_a_row = 0

    def check(self, tp: TopicPartition, records: Sequence[Record], rejected: Sequence[Rejected]) -> None:
        """Raise PoisonFlood before such a batch is committed."""
        bad = {r.record.offset for r in rejected if r.poison}
        for record in records:
            self.in_a_row = self.in_a_row + 1 if record.offset in bad else 0
            if self.in_a_row >= IN_A_ROW:
                raise PoisonFlood(tp.topic, tp.partition, self.in_a_row, self.in_a_row)
        self.seen += len(records)
        self.invalid += len(bad)
        if self.invalid >= EVIDENCE and self.invalid > SHARE * self.seen:
            raise PoisonFlood(tp.topic, tp.partition, self.invalid, self.seen)
