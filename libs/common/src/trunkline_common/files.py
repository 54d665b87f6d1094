"""Reads what people write: JSON, or YAML that they forgot quotes in; no key comes twice."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml
from yaml.composer import Composer

from trunkline_common.errors import Violation


class InvalidFile(ValueError):
    """The file cannot be used; every reason with its path."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("\n".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations


class OnceLoader(Composer, yaml.CSafeLoader):
    """YAML in which every key counts. Raises InvalidFile.

    libyaml reads the text, four times as fast as PyYAML's own scanner; what it reads is composed here.
    """

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Looked at as it is written: what is merged into a mapping may be replaced there."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        once([((key.tag, key.value), None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return node


class Loader(OnceLoader):
    """For people who forget quotes: 13:00, 2026-12-25 and no are text."""


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
            raise InvalidFile([Violation(str(key[1] if isinstance(key, tuple) else key), "is written twice")])
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
    except InvalidFile:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidFile([Violation("file", f"is neither JSON nor YAML: {error}")]) from error
