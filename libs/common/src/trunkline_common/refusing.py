"""What becomes of an input that a processor cannot handle for a defect of its own."""

from __future__ import annotations

from dataclasses import replace

from trunkline_common.deadletters import Rejected
from trunkline_common.errors import internal_error
from trunkline_common.postgres import Connection
from trunkline_common.processor import Batch, Effects, Processor

REASON = "INTERNAL_ERROR"


class Refusing(Processor):
    """Has the processor handle a batch without its inputs, to see that they were the cause, and refuses these."""

    def __init__(self, processor: Processor, error: Exception) -> None:
        self._processor, self._error = processor, error

    async def prepare(self, batch: Batch) -> None:
        """Nothing is needed of others."""
        await self._processor.prepare(_without(batch))

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Records are dead letters, requests have an internal error as their answer."""
        effects = await self._processor.process(tx, _without(batch))
        detail = f"a defect of the service ({type(self._error).__qualname__}); its log says where"
        effects.rejected += [Rejected(record, REASON, detail) for record in batch.records]  # many stop the partition
        effects.answers = [internal_error() for _ in batch.requests]
        return effects

    def committed(self) -> None:
        """As far as the processor is concerned, too."""
        self._processor.committed()

    async def close(self) -> None:
        """The processor is what there is to close."""
        await self._processor.close()


def _without(batch: Batch) -> Batch:
    return replace(batch, records=(), requests=(), caught_up=False)
