"""Dataclasses to protobuf messages with the same field names, and back. Knows no message by name."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

T = TypeVar("T")


def timestamp(at: datetime) -> Timestamp:
    """A datetime as protobuf has it."""
    made = Timestamp()
    made.FromDatetime(at)
    return made


def from_timestamp(at: Timestamp) -> datetime:
    """A protobuf instant as a datetime in UTC."""
    return at.ToDatetime(tzinfo=UTC)


def fill(message: Message, source: object) -> None:
    """Set each field of `message` from the attribute of `source` with its name; None leaves it unset."""
    for field in message.DESCRIPTOR.fields:
        if (value := getattr(source, field.name, None)) is not None:
            _set(message, field, value)


def _set(message: Message, field: Any, value: Any) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        target.update(dict(value))
    elif field.is_repeated and field.message_type is not None:
        for item in value:
            fill(target.add(), item)
    elif field.is_repeated:
        target.extend(value)
    elif isinstance(value, datetime):
        target.FromDatetime(value)
    elif isinstance(value, StrEnum):
        setattr(message, field.name, enum_numbers(field.enum_type)[value])
    elif is_dataclass(value):
        target.SetInParent()
        fill(target, value)
    else:
        setattr(message, field.name, value)


@cache
def enum_numbers(enum: Any) -> Mapping[str, int]:
    """The numbers of a protobuf enum by the name without the prefix that all share (CONVERSATION_STATUS_)."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {v.name.removeprefix(prefix): v.number for v in enum.values}


def enum_name(message: Message, field: str) -> str:
    """The name of an enum field's value, without the shared prefix."""
    enum: Any = message.DESCRIPTOR.fields_by_name[field].enum_type
    value = getattr(message, field)
    return next((name for name, number in enum_numbers(enum).items() if number == value), "UNSPECIFIED")


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def read(cls: Callable[..., T], message: Message) -> T:
    """The dataclass `cls` with the values of the message's fields of the same names.

    What an older writer did not set has the dataclass's default: an absent optional field, an enum without a value, an
    empty list or map, and what the message has no field for. A plain number, text or bool is as it stands.
    """
    hints, known = _hints(cls), message.DESCRIPTOR.fields_by_name
    found = {
        f.name: _get(hints[f.name], message, f.name)
        for f in fields(cls)  # type: ignore[arg-type] # a dataclass
        if f.default is MISSING or not _absent(message, known.get(f.name))
    }
    return cls(**found)


def _absent(message: Message, field: Any) -> bool:
    if field is None:
        return True
    if field.has_presence:
        return not message.HasField(field.name)
    return (field.is_repeated or field.enum_type is not None) and not getattr(message, field.name)


def _get(hint: Any, message: Message, name: str) -> Any:
    value = getattr(message, name)
    if isinstance(hint, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
        return _get(hint, message, name) if message.HasField(name) else None
    if hint is datetime:
        return from_timestamp(value)
    if typing.get_origin(hint) is tuple:
        return _tuple(typing.get_args(hint)[0], value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(enum_name(message, name))
    return read(cast("type[object]", hint), value) if is_dataclass(hint) else value


def _tuple(item: Any, value: Any) -> tuple[Any, ...]:
    if typing.get_origin(item) is tuple:  # pairs of a protobuf map
        return tuple(sorted(value.items()))
    return tuple(read(cast("type[object]", item), v) for v in value) if is_dataclass(item) else tuple(value)
