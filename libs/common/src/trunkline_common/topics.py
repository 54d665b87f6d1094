"""Topics: proto/topics.yaml is the declaration; `apply` creates them, every service verifies them at its start.

python -m trunkline_common.topics {apply,verify,list} [--json] [--replicas N]; exit 0, 1 on drift, 2 on bad use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files

import yaml

from trunkline_common import kafka


@dataclass(frozen=True, slots=True)
class Topic:
    """One declared topic."""

    name: str
    partitions: int
    config: Mapping[str, str]


def declared() -> dict[str, Topic]:
    """Every topic of topics.yaml, by name."""
    document = yaml.safe_load(files("trunkline").joinpath("topics.yaml").read_text())
    return {name: Topic(name, t["partitions"], _config(t)) for name, t in document["topics"].items()}


def _config(declaration: Mapping[str, object]) -> dict[str, str]:
    compacted = declaration.get("cleanup") == "compact"
    found = {"cleanup.policy": "compact" if compacted else "delete"}
    if not compacted:
        found["retention.ms"] = str(declaration["retention_ms"])
    return found


def drift(wanted: Mapping[str, Topic], found: Mapping[str, kafka.TopicState]) -> list[str]:
    """What differs between declaration and broker, a sentence each; empty where nothing does."""
    problems: list[str] = []
    for name, topic in wanted.items():
        state = found.get(name)
        if state is None:
            problems.append(f"{name} does not exist; run python -m trunkline_common.topics apply")
            continue
        if state.partitions != topic.partitions:
            problems.append(f"{name} has {state.partitions} partitions, declared {topic.partitions}")
        problems += [
            f"{name} has {key}={state.config[key]}, declared {value}"
            for key, value in topic.config.items()
            if state.config.get(key, value) != value
        ]
    return problems


class TopicDrift(Exception):
    """The broker's topics are not the declared ones: the process must not start."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("topics differ from proto/topics.yaml: " + "; ".join(problems))
        self.problems = problems


async def verify(bootstrap: str, *, wait_seconds: float = 30.0) -> None:
    """Raise TopicDrift where the broker differs; waits a bounded time for a broker that does not answer yet."""
    wanted = declared()
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while True:
        try:
            async with kafka.admin(bootstrap) as client:
                problems = drift(wanted, await kafka.describe_topics(client, list(wanted)))
        except (kafka.KafkaError, OSError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)
        else:
            break
    if problems:
        raise TopicDrift(problems)


async def apply(bootstrap: str, replicas: int) -> list[str]:
    """Create what is missing; returns the names created. Never changes a topic that exists."""
    wanted = declared()
    async with kafka.admin(bootstrap) as client:
        found = await kafka.describe_topics(client, list(wanted))
        missing = [t for t in wanted.values() if t.name not in found]
        await kafka.create_topics(client, [(t.name, t.partitions, replicas, t.config) for t in missing])
    return [t.name for t in missing]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m trunkline_common.topics", description=__doc__)
    parser.add_argument("command", choices=["apply", "verify", "list"])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--replicas", type=int, default=1, help="replication factor of topics created (default 1)")
    args = parser.parse_args()
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if args.command != "list" and not bootstrap:
        parser.error("KAFKA_BOOTSTRAP_SERVERS is not set")
    return _say(args.command, args.json, bootstrap, args.replicas)


def _say(command: str, as_json: bool, bootstrap: str, replicas: int) -> int:  # noqa: FBT001 - a flag of the command line
    if command == "list":
        answer: object = {name: asdict(topic) for name, topic in declared().items()}
    elif command == "apply":
        answer = {"created": asyncio.run(apply(bootstrap, replicas))}
    else:
        try:
            asyncio.run(verify(bootstrap))
        except TopicDrift as error:
            sys.stdout.write(json.dumps({"drift": error.problems}, indent=None if as_json else 2) + "\n")
            return 1
        answer = {"drift": []}
    sys.stdout.write(json.dumps(answer, indent=None if as_json else 2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
