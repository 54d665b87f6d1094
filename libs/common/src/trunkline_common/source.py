"""Where a worker's records come from."""

from __future__ import annotations

from typing import Protocol

from trunkline_common.kafka import TopicPartition


class Source(Protocol):
    """What a worker asks of the Kafka consumer."""

    async def begin(self, tp: TopicPartition) -> int:
        """The partition's first offset."""

    async def end(self, tp: TopicPartition) -> int:
        """The offset after the partition's last record."""

    def start_at(self, tp: TopicPartition, offset: int) -> None:
        """Deliver from this offset on."""

    def pause(self, tp: TopicPartition) -> None:
        """Stop fetching."""

    def resume(self, tp: TopicPartition) -> None:
        """Fetch again."""
