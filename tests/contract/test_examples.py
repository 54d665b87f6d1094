"""Every event ever published keeps an example that must decode for ever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from tests.contract.examples import FOLDER, base, expected, newest

STORED = sorted(path.stem for path in FOLDER.glob("*.json"))
TOPICS: dict[str, dict[str, Any]] = yaml.safe_load(Path("proto/topics.yaml").read_text())["topics"]


def decode(name: str) -> Message:
    """The message in an example's bytes."""
    return expected()[base(name)].FromString((FOLDER / f"{name}.binpb").read_bytes())


def test_every_event_type_and_topic_message_has_an_example() -> None:
    """A new member of a oneof is not published without one; none is of a message that is gone."""
    assert set(expected()) == set(map(base, STORED)) == set(STORED) & set(expected())
    assert sorted(path.stem for path in FOLDER.glob("*.binpb")) == STORED


@pytest.mark.parametrize("name", STORED)
def test_an_example_decodes_and_nothing_in_it_is_unknown(name: str) -> None:
    """Its bytes and its JSON are the same message; a removed or retyped field would show as unknown."""
    message = decode(name)
    as_json = json_format.Parse((FOLDER / f"{name}.json").read_text(), expected()[base(name)]())
    assert message == as_json
    known = decode(name)
    known.DiscardUnknownFields()
    assert known.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", expected())
def test_the_newest_example_sets_every_field_of_its_message(name: str) -> None:
    """So that no field can go without an example noticing."""
    assert list(unset(decode(newest(name)))) == []


def unset(message: Message, path: str = "") -> Iterator[str]:
    """Fields without a value, oneof members but one left out."""
    present = {field.name for field, _ in message.ListFields()}
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        of_another = oneof is not None and len(oneof.fields) > 1 and field.name not in present
        if field.name not in present and not of_another:
            yield f"{path}{field.name}"
        elif not of_another and _is_ours(field):
            value: Any = getattr(message, field.name)
            yield from unset(value[0] if field.is_repeated else value, f"{path}{field.name}.")


def _is_ours(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and kind.full_name.startswith("trunkline.") and not kind.GetOptions().map_entry


@pytest.mark.parametrize("topic", [name for name, topic in TOPICS.items() if topic["message"] != "bytes"])
def test_a_topics_example_is_of_its_message(topic: str) -> None:
    """The file that topics.yaml names exists and is the message that it names."""
    example = Path(TOPICS[topic]["example"])
    assert expected()[base(example.stem)].DESCRIPTOR.full_name == TOPICS[topic]["message"]
    assert example.exists()


def test_the_check_sees_unknown_fields() -> None:
    """The comparison can fail: bytes of a newer writer differ after unknown fields are dropped."""
    kind = expected()["queue_partial"]
    newer = kind.FromString(decode("queue_partial").SerializeToString() + b"\xf8\x7f\x01")
    known = kind.FromString(newer.SerializeToString())
    known.DiscardUnknownFields()
    assert known.SerializeToString() != newer.SerializeToString()


def test_making_examples_changes_none_that_exists() -> None:
    """The script only adds."""
    before = {path: path.read_bytes() for path in FOLDER.iterdir()}
    subprocess.run([sys.executable, "-m", "tests.contract.make_examples"], check=True, capture_output=True, timeout=60)
    assert {path: path.read_bytes() for path in FOLDER.iterdir()} == before
