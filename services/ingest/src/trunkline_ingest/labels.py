"""What is known of a conversation beside its words, and what each of these may be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

#: In force where a configuration names none of its own.
PRIORITIES = ("high", "low", "normal", "urgent")
# The router's own bounds for a name and a value; so many of them still fit into a record.
MAX_NAMES, MAX_NAME, MAX_VALUE = 50, 100, 1000
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,7}", re.ASCII)
NAME = re.compile(rf"\S{{1,{MAX_NAME}}}")
UNDETERMINED = "und"


@dataclass(frozen=True, slots=True)
class Labels:
    """Empty is not known: it leaves what the conversation has."""

    language: str = ""
    tags: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    priority: str = ""


NONE = Labels()


def problems(found: Labels, priorities: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each field that is wrong, and what it must be."""
    if found.language and not LANGUAGE.fullmatch(found.language):
        yield "language", "must be a language tag (BCP 47): de, pt-BR"
    if found.priority and found.priority not in priorities:
        yield "priority", f"must be one of {', '.join(sorted(priorities))}"
    if len(found.tags) > MAX_NAMES or not all(map(NAME.fullmatch, found.tags)):
        yield "tags", f"must be at most {MAX_NAMES}, each of 1 to {MAX_NAME} characters without spaces"
    if len(found.attributes) > MAX_NAMES or not all(NAME.fullmatch(name) for name, _ in found.attributes):
        yield "attributes", f"must be at most {MAX_NAMES}, their names of 1 to {MAX_NAME} characters without spaces"
    elif long := [name for name, value in found.attributes if len(value) > MAX_VALUE]:
        yield f"attributes.{long[0]}", f"must be at most {MAX_VALUE} characters"


def language(tag: str) -> str:
    """A language tag as it is commonly written (pt-BR, zh-Hant); nothing for "und", which says that nobody knows."""
    first, *rest = tag.split("-")
    if first.lower() == UNDETERMINED:
        return ""
    return "-".join([first.lower(), *(_SHAPES.get(len(part), str.lower)(part) for part in rest)])


_SHAPES = {2: str.upper, 4: str.title}
