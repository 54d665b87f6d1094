"""The broker's topics are compared with the declaration; what differs is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from trunkline_common import topics
from trunkline_common.kafka import TopicState
from trunkline_common.topics import Topic, drift

LOG = Topic("trunkline.conversations.v1", 24, {"cleanup.policy": "delete", "retention.ms": "-1"})
WANTED = {LOG.name: LOG}
AS_DECLARED = TopicState(24, {"cleanup.policy": "delete", "retention.ms": "-1", "min.insync.replicas": "2"})


def test_a_broker_as_declared_has_no_drift() -> None:
    """Settings that the declaration does not name are the operator's."""
    assert drift(WANTED, {LOG.name: AS_DECLARED, "another": AS_DECLARED}) == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "does not exist; run python -m trunkline_common.topics apply"),
        (replace(AS_DECLARED, partitions=12), "has 12 partitions, declared 24"),
        (TopicState(24, {"cleanup.policy": "compact", "retention.ms": "-1"}), "has cleanup.policy=compact"),
        (TopicState(24, {"cleanup.policy": "delete", "retention.ms": "1000"}), "has retention.ms=1000, declared -1"),
    ],
)
def test_what_differs_is_said(state: TopicState | None, said: str) -> None:
    """A sentence each, with the topic's name."""
    found = drift(WANTED, {LOG.name: state} if state else {})
    assert len(found) == 1
    assert found[0].startswith(LOG.name)
    assert said in found[0]


def test_several_differences_are_all_said() -> None:
    """Nobody fixes one to be told of the next."""
    other = TopicState(1, {"cleanup.policy": "compact", "retention.ms": "5"})
    assert len(drift(WANTED, {LOG.name: other})) == 3


def test_a_compacted_topic_has_no_retention() -> None:
    """And every other one has."""
    found = topics.declared()
    assert found["trunkline.config.v1"].config == {"cleanup.policy": "compact"}
    assert found["trunkline.conversations.v1"] == LOG


def test_the_list_is_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For scripts; it needs no broker."""
    monkeypatch.setattr("sys.argv", ["topics", "list", "--json"])
    assert topics.main() == 0
    assert json.loads(capsys.readouterr().out)["trunkline.inbound.v1"]["partitions"] == 24


def test_a_broker_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2 is bad use."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setattr("sys.argv", ["topics", "verify"])
    with pytest.raises(SystemExit) as stopped:
        topics.main()
    assert stopped.value.code == 2
