"""A recorded decision once more: what was asked, from its events, and whether the same follows from it now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby, zip_longest

from trunkline_router.engine import handle
from trunkline_router.events import Event
from trunkline_router.refusals import Refusal
from trunkline_router.replay_inputs import Unreadable, asked_of
from trunkline_router.state import Engine


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that is not the same: which event of the decision, where in it.

    None: there is no such event. `now` is an exception where it is refused now, or where no input leads to such events.
    """

    index: int
    path: str
    recorded: object
    now: object


def groups(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The log's events by decision: those of one cause at one instant, one after the other."""
    for _, found in groupby(events, key=lambda e: (e.cause, e.occurred_at)):
        yield list(found)


def replay(before: Engine, group: Sequence[Event]) -> Difference | None:
    """Decide again on the state before the decision; None: the same events, to the last field.

    `before` is used up: afterwards it holds what was decided now.
    """
    try:
        again = handle(before, asked_of(group, before.pool), group[0].occurred_at)
    except (Refusal, Unreadable) as error:
        return Difference(0, "", group[0].payload, error)
    for index, (recorded, now) in enumerate(zip_longest(group, again)):
        if (found := first_difference(recorded, now)) is not None:
            return Difference(index, *found)
    return None


def first_difference(recorded: object, now: object, path: str = "") -> tuple[str, object, object] | None:
    """Where two values differ first, and what stands there; values of one type are looked into."""
    if recorded == now:
        return None
    for name, left, right in _parts(recorded, now):
        if (found := first_difference(left, right, f"{path}.{name}" if path else name)) is not None:
            return found
    return path, recorded, now


def _parts(left: object, right: object) -> Iterator[tuple[str, object, object]]:
    if type(left) is not type(right):
        return
    if isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
        yield from ((str(n), *pair) for n, pair in enumerate(zip(left, right, strict=True)))
    elif is_dataclass(left):
        yield from ((f.name, getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
