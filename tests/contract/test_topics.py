"""proto/topics.yaml says of every topic who writes it, who reads it and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trunkline_common import topics

from tests.contract.examples import FAMILIES, SINGLE

DECLARED: dict[str, dict[str, Any]] = yaml.safe_load(Path("proto/topics.yaml").read_text())["topics"]
PROCESSES = {"ingest", "intake", "delivery", "router", "timeline", "sla", "insights"}
OUTSIDE = {"integrators", "operators"}
FIELDS = {"doc", "writers", "readers", "key", "message", "partitions"}
MESSAGES = {message.DESCRIPTOR.full_name for message in (*FAMILIES, *SINGLE.values())}
TWO_WEEKS_MS = 14 * 24 * 3600 * 1000


@pytest.mark.parametrize("name", DECLARED)
def test_a_topic_is_declared_whole(name: str) -> None:
    """Writers, readers, key, message, partitions, and how long records stay."""
    topic = DECLARED[name]
    assert FIELDS - {field for field in topic if topic[field]} == set()
    assert set(topic) <= FIELDS | {"retention_ms", "cleanup", "example"}
    assert set(topic["writers"]) | set(topic["readers"]) <= PROCESSES | OUTSIDE
    assert (topic.get("cleanup") == "compact") != ("retention_ms" in topic)
    assert topic["message"] in MESSAGES | {"bytes"}


@pytest.mark.parametrize("name", [name for name in DECLARED if ".dlq." in name])
def test_dead_letters_stay_for_two_weeks_at_least(name: str) -> None:
    """Longer than it takes the people who must look at them."""
    assert DECLARED[name]["retention_ms"] >= TWO_WEEKS_MS


def test_a_topic_that_is_consumed_with_refusals_has_a_dead_letter_topic() -> None:
    """Where a group decides and others may write wrongly, what it refuses is kept under the topic's own name."""
    consumed = {"trunkline.ingress.v1", "trunkline.inbound.v1", "trunkline.conversations.v1", "trunkline.outbound.v1"}
    assert {name.replace(".v1", ".dlq.v1") for name in consumed} <= set(DECLARED)


def test_only_integrators_write_the_door_and_nothing_else() -> None:
    """ingress is the trust boundary."""
    assert [name for name, topic in DECLARED.items() if "integrators" in topic["writers"]] == ["trunkline.ingress.v1"]


def test_a_name_is_its_package_and_version() -> None:
    """trunkline.<area>[.<part>].v1: the area is a proto package where there is one."""
    for name, topic in DECLARED.items():
        first, area, *_, version = name.split(".")
        assert (first, version) == ("trunkline", "v1")
        if topic["message"] != "bytes" and area != "ingress":
            assert topic["message"].startswith(f"trunkline.{area}.v1.")


def test_the_packaged_declaration_is_the_declaration() -> None:
    """Services read the copy in proto/gen."""
    assert Path("proto/gen/trunkline/topics.yaml").read_bytes() == Path("proto/topics.yaml").read_bytes()
    assert set(topics.declared()) == set(DECLARED)
