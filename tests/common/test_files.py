"""What people write, read as they mean it."""

from __future__ import annotations

import pytest
import yaml
from trunkline_common.files import InvalidFile, OnceLoader, load


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("at: 13:00", "13:00"),
        ("at: 2026-12-25", "2026-12-25"),
        ("at: no", "no"),
        ("at: 010", "010"),
        ("at: 12", 12),
        ("at: -0.5", -0.5),
        ("at: true", True),
        ('{"at": "13:00"}', "13:00"),
    ],
)
def test_quotes_may_be_forgotten(text: str, meant: object) -> None:
    """What looks like a number to YAML 1.1 only is text."""
    assert load(text) == {"at": meant}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "a: is written twice"),
        ('{"a": 1, "a": 2}', "a: is written twice"),
        ("x: {inner: [{a: 1, a: 2}]}", "a: is written twice"),
        ("x: {", "file: is neither JSON nor YAML"),
        ("x: 1\n\x00", "file: is neither JSON nor YAML"),
        ("[" * 5000, "file: is nested too deeply"),
        ("- " * 5000, "file: is neither JSON nor YAML"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, words: str) -> None:
    """Never half of it."""
    with pytest.raises(InvalidFile, match=words) as found:
        load(text)
    assert [f"{v.field}: {v.description}" for v in found.value.violations] == [str(found.value)]


def test_what_is_merged_into_a_mapping_may_be_replaced_there() -> None:
    """Only what is written in one mapping twice is an error."""
    text = "base: &base {a: 1, b: 2}\nmore: {deep: &deep {<<: *base, b: 3}}\nlast: {<<: *deep, a: 4}\n"
    assert yaml.load(text, OnceLoader)["last"] == {"a": 4, "b": 3}  # noqa: S506 - a SafeLoader
    assert load(text)["last"] == {"a": 4, "b": 3}
