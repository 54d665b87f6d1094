"""What is known of a conversation, and how much of it: it goes with every event that changes it, and to other pools."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TypeVar

from trunkline_router import refusals
from trunkline_router.facts import Attributes
from trunkline_router.inputs import ChangeAttributes, ReceiveMessage

T = TypeVar("T")

#: UTF-8 of all names, values and tags: far below what a record may have (1 MB), with a message beside it.
MAX_BYTES = 128 * 1024
#: The attribute that says how many of a message's names and tags found no room.
DROPPED = "attributes_dropped"


def changed(known: Attributes, command: ChangeAttributes) -> Attributes:
    """What is known once the command is carried out. Raises Refusal where that is more than is kept."""
    values = dict(known.values)
    for name, value in command.set_values:
        values.pop(name, None)
        if value is not None:
            values[name] = value
    new = replace(
        known,
        values=tuple(sorted(values.items())),
        tags=tuple(sorted((set(known.tags) | set(command.add_tags)) - set(command.remove_tags))),
        priority=known.priority if command.priority is None else command.priority,
        language=known.language if command.language is None else command.language,
        allowed_agents=known.allowed_agents if command.allowed_agents is None else command.allowed_agents,
    )
    if size(new) > max(MAX_BYTES, size(known)):  # what was too much already may become less
        raise refusals.too_much_known(command.conversation_id, size(new), MAX_BYTES)
    return new


def told(known: Attributes, m: ReceiveMessage) -> Attributes:
    """What is known once the message is in. It cannot be refused: new names and tags without room are only counted."""
    if not (m.attributes or m.tags or m.priority or m.language):
        return known
    new = replace(
        known,
        values=tuple(sorted((dict(known.values) | dict(m.attributes)).items())),
        tags=tuple(sorted({*known.tags, *m.tags})),
        priority=m.priority or known.priority,
        language=m.language or known.language,
    )
    return new if size(new) <= MAX_BYTES else _with_room(known, new)


def size(of: Attributes) -> int:
    """Bytes of names, values and tags."""
    return sum(len(text.encode()) for pair in of.values for text in pair) + sum(len(tag.encode()) for tag in of.tags)


def _with_room(known: Attributes, new: Attributes) -> Attributes:
    """What was known, and of what is new the first that fits."""
    values = [(name, value) for name, value in new.values if (name, value) not in known.values]
    tags = [tag for tag in new.tags if tag not in known.tags]
    room = MAX_BYTES - size(known)
    kept_values = _first(values, [len((name + value).encode()) for name, value in values], room)
    room -= sum(len((name + value).encode()) for name, value in kept_values)
    kept_tags = _first(tags, [len(tag.encode()) for tag in tags], room)
    dropped = len(values) - len(kept_values) + len(tags) - len(kept_tags)
    merged = dict(known.values) | dict(kept_values) | {DROPPED: str(dropped)}
    return replace(new, values=tuple(sorted(merged.items())), tags=tuple(sorted({*known.tags, *kept_tags})))


def _first(items: list[T], sizes: list[int], room: int) -> list[T]:
    fitting = sum(1 for used in accumulate(sizes) if used <= room)
    return items[:fitting]
