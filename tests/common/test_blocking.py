"""The guard in tests/conftest.py can fail."""

from __future__ import annotations

import pytest
from blockbuster import BlockingError
from trunkline_common import postgres


async def test_a_blocking_call_of_product_code_inside_the_loop_is_an_error() -> None:
    """Reading files is done in a thread; done in the loop it is caught."""
    with pytest.raises(BlockingError):
        postgres._wanted("trunkline_common")
