"""Text that PostgreSQL can hold: everything but U+0000."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def clean(text: str) -> str:
    """A NUL becomes the replacement character."""
    return text.replace("\0", "\ufffd")


def with_nul(message: Message) -> list[str]:
    """The paths of the message's strings that hold a NUL, as content.text, add_tags[1] or set_values[city]."""
    if b"\0" not in message.SerializeToString():  # most have none; a number may have one, and then it is looked for
        return []
    return list(_inside(message, ""))


def _inside(message: Message, under: str) -> Iterator[str]:
    for field, value in message.ListFields():
        path = f"{under}{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from _in_map(value, path)
        elif field.is_repeated:
            for place, item in enumerate(value):
                yield from _in_value(field, item, f"{path}[{place}]")
        else:
            yield from _in_value(field, value, path)


def _in_map(entries: Any, path: str) -> Iterator[str]:
    field = entries.GetEntryClass().DESCRIPTOR.fields_by_name["value"]
    for key in entries:
        place = f"{path}[{key}]"
        if isinstance(key, str) and "\0" in key:
            yield clean(place)
        else:
            yield from _in_value(field, entries[key], place)


def _in_value(field: FieldDescriptor, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Message):
        yield from _inside(value, f"{path}.")
    elif field.type == FieldDescriptor.TYPE_STRING and "\0" in value:
        yield path
