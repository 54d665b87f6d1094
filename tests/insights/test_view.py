from __future__ import annotations

import asyncio

import pytest
from trunkline_common.errors import Refused
from trunkline_insights import wire
from trunkline_insights.queues import Figures, Queue, Snapshot
from trunkline_insights.view import View

from tests.insights.events import at

QUEUE = Queue("acme", "billing")


def publish(view: View, depth: int, seconds: float, queue: Queue = QUEUE) -> None:
    record = wire.snapshot_to_record(Snapshot(queue, Figures(depth), at(seconds)))
    view.take((record.key or b"").decode(), record.value)


def test_a_queue_of_which_nothing_was_seen_is_not_found() -> None:
    with pytest.raises(Refused) as refused:
        View().get(QUEUE)
    assert (refused.value.reason, refused.value.metadata) == ("QUEUE_NOT_FOUND", {"queue": "billing"})


def test_a_queue_of_another_tenant_is_not_found() -> None:
    view = View()
    publish(view, 1, 0)
    with pytest.raises(Refused):
        view.get(Queue("other", "billing"))


def test_an_older_snapshot_does_not_replace_a_newer_one() -> None:
    view = View()
    publish(view, 2, 5)
    publish(view, 1, 4)
    assert view.get(QUEUE).figures.depth == 2


def test_a_snapshot_that_cannot_be_read_leaves_the_queue_as_it_was() -> None:
    view = View()
    publish(view, 2, 5)
    view.take("acme/billing", b"\xff\xff")
    view.take("acme/billing", None)
    assert view.get(QUEUE).figures.depth == 2


async def test_a_watch_gives_the_queue_now_then_each_change_of_its_figures() -> None:
    view = View()
    publish(view, 1, 0)
    watch = view.watch(QUEUE)
    assert (await anext(watch)).figures.depth == 1
    following = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    publish(view, 1, 10)
    publish(view, 9, 10, Queue("acme", "sales"))
    await asyncio.sleep(0)
    assert not following.done()
    publish(view, 2, 11)
    assert (await following).figures.depth == 2


async def test_a_slow_watcher_gets_the_newest() -> None:
    view = View()
    publish(view, 1, 0)
    watch = view.watch(QUEUE)
    await anext(watch)
    publish(view, 2, 1)
    publish(view, 3, 2)
    assert (await anext(watch)).figures.depth == 3


async def test_a_watch_ends_with_unavailable_when_the_process_stops() -> None:
    view = View()
    publish(view, 1, 0)
    watch = view.watch(QUEUE)
    await anext(watch)
    following = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    view.close()
    with pytest.raises(Refused) as refused:
        await following
    assert refused.value.code == "UNAVAILABLE"
