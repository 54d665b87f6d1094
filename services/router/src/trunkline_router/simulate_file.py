"""Reads a scenario file: JSON, or YAML that people forgot quotes in."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from typing import Any

import yaml
from trunkline_common.errors import Violation


class InvalidFile(ValueError):
    """The file cannot be run; every reason with its path."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("\n".join(f"{v.field}: {v.description}" for v in violations))


class Loader(yaml.SafeLoader):
    """YAML for people who forget quotes: 13:00, 2026-12-25 and no are text, and no key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """A mapping whose keys all count."""
        once([(self.construct_object(key, deep=True), None) for key, _ in node.value])
        return super().construct_mapping(node, deep)


_GUESSED = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float", "bool")}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _GUESSED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]*)$"), list("-0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?[0-9]+\.[0-9]+$"), list("-0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), list("tf"))


def once(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """The pairs as a mapping. Raises InvalidFile where a key comes twice."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidFile([Violation(str(key), "is written twice")])
        found[key] = value
    return found


def load(text: str) -> Any:
    """What a JSON or YAML text says. Raises InvalidFile."""
    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError:
        pass
    except RecursionError:
        raise InvalidFile([Violation("file", "is nested too deeply")]) from None
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InvalidFile):
            raise
        raise InvalidFile([Violation("file", f"is neither JSON nor YAML: {error}")]) from error
