"""The connections of a process: who waits gets one in turn."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from trunkline_common import postgres
from trunkline_common.postgres import Pool

from deploy.local.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_who_waits_for_a_connection_is_not_overtaken(stack: Stack) -> None:
    """Of forty that share two, nobody sees more than the others have one each before it is their turn."""
    people, taken, behind = 40, itertools.count(), list[int]()

    async def keep_asking(pool: Pool) -> None:
        for _ in range(30):
            asked = next(taken)
            async with pool.acquire() as connection:
                behind.append(next(taken) - asked)
                await connection.fetchval("select 1")

    async with postgres.connect(stack.database_url, "public", size=2) as pool:
        async with pool.acquire(), pool.acquire():
            pass  # both are connected: what is measured is only who waits for whom
        await asyncio.gather(*(keep_asking(pool) for _ in range(people)))
    assert max(behind) <= 2 * people


async def test_who_waits_too_long_gives_up_and_leaves_the_line(stack: Stack) -> None:
    """The one behind is served all the same, and every connection comes back."""
    async with postgres.connect(stack.database_url, "public", size=1) as pool:
        async with pool.acquire():
            with pytest.raises(TimeoutError):
                async with pool.acquire(timeout=0.05):
                    raise AssertionError("there was none")
            behind = asyncio.create_task(pool.fetchval("select 1"))
        assert await behind == 1
        assert await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(20))) == list(range(20))
