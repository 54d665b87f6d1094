"""Prints a topic's records as JSON, one a line, decoded as proto/topics.yaml says, until Ctrl-C.

Exit 0; 1 when Kafka does not answer; 2 on bad use.
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import pkgutil
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from deploy.local import envfile
from deploy.local.stack import DEFAULT_FOLDER

Decode = Callable[[bytes], Any]


def decoder(topic: str) -> Decode:
    """Bytes where the topic is not declared or declared as bytes."""
    declared = yaml.safe_load(files("trunkline").joinpath("topics.yaml").read_text())["topics"].get(topic, {})
    name = declared.get("message", "bytes")
    return _plain if name == "bytes" else _proto(name)


def describe(record: ConsumerRecord, decode: Decode) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": None if record.key is None else _plain(record.key),
        "headers": {name: _plain(value) for name, value in record.headers},
        "value": None if record.value is None else _value(record, decode),
    }


def _value(record: ConsumerRecord, decode: Decode) -> Any:
    types = [value for name, value in record.headers if name.lower() in ("content-type", "ce_datacontenttype")]
    if any(b"json" in kind for kind in types):
        with contextlib.suppress(ValueError):
            return json.loads(record.value)
    return decode(record.value)


def _proto(name: str) -> Decode:
    package, _, _ = name.rpartition(".")
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)
    kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))

    def decode(value: bytes) -> Any:
        try:
            return json_format.MessageToDict(kind.FromString(value), preserving_proto_field_name=True)
        except DecodeError:
            return {"undecodable": _plain(value)}

    return decode


def _plain(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + b64encode(value).decode()


async def follow(bootstrap: str, topic: str, *, beginning: bool, count: int | None) -> None:
    decode = decoder(topic)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest" if beginning else "latest"
    )
    await consumer.start()
    try:
        printed = 0
        async for record in consumer:
            print(json.dumps(describe(record, decode), ensure_ascii=False), flush=True)
            printed += 1
            if printed == count:
                return
    finally:
        await consumer.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.tail", description=__doc__)
    parser.add_argument("topic", help="a topic of proto/topics.yaml")
    parser.add_argument("--new", action="store_true", help="only records from now on (default: from the beginning)")
    parser.add_argument("--count", type=int, help="stop after so many")
    parser.add_argument("--bootstrap", help="Kafka (default: KAFKA_BOOTSTRAP_SERVERS, or the stack that runs)")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="the run's folder (default .run)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    name = "KAFKA_BOOTSTRAP_SERVERS"
    bootstrap = options.bootstrap or os.environ.get(name) or envfile.read(options.folder).get(name)
    if not bootstrap:
        parser.error("nothing runs here (make up), and neither --bootstrap nor KAFKA_BOOTSTRAP_SERVERS is given")
    try:
        asyncio.run(follow(bootstrap, options.topic, beginning=not options.new, count=options.count))
    except KafkaError as error:
        print(f"{bootstrap}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at its exit
    return 0


if __name__ == "__main__":
    sys.exit(main())
