"""What a service must say to be a processor."""

from __future__ import annotations

import pytest
from trunkline_common.postgres import Connection
from trunkline_common.processor import Batch, Effects, Processor


class Silent(Processor):
    """Says nothing about batches."""


class Small(Processor):
    """Says only what it must."""

    async def process(self, _tx: Connection, _batch: Batch) -> Effects:
        """Do nothing."""
        return Effects()


def test_a_processor_must_say_what_a_batch_leads_to() -> None:
    """It is found where it is made, not at the first record."""
    with pytest.raises(TypeError, match="process"):
        Silent()  # type: ignore[abstract] # what is tested


async def test_everything_else_has_a_default() -> None:
    """No timers, nothing to close."""
    made = Small()
    assert made.next_due() is None
    await made.close()
