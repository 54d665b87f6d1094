"""A tenant's configuration as people write it: YAML, checked whole, every error with its path (design section 6).

python -m trunkline_router.config [FILE] checks a document; --schema prints the JSON Schema.
Exit 0, 1 refused, 2 bad use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.clock import utc_now
from trunkline_common.errors import Refused, Violation
from trunkline_common.files import InvalidFile, OnceLoader

from trunkline_router import config_domain
from trunkline_router.config_checks import check
from trunkline_router.config_models import Document
from trunkline_router.config_parts import read

MAX_BYTES = 512 * 1024  # a version must fit one record of the config topic
MAX_VALUES = 200_000  # of a document, aliases written out
ASIDE = ThreadPoolExecutor(1, "document")


def parse(text: str, tenant: str, at: datetime | None = None) -> TenantConfig:
    """The configuration a document describes, without its version. Raises Refused (INVALID_CONFIG) with every path.

    With `at`, a calendar that does not open in the year after it is refused too.
    """
    document, parts, problems = read(_load(text))
    if parts is not None:
        problems += check(parts, at)
    if document is None or problems:
        raise refused(problems)
    config = config_domain.to_proto(document, tenant)
    if config.ByteSize() > MAX_BYTES:
        raise refused([Violation("yaml", f"describes more than {MAX_BYTES} bytes")])
    return config


async def parse_aside(text: str, tenant: str, at: datetime) -> TenantConfig:
    """The same, beside the event loop: half a second of work for the largest document. One at a time."""
    return await asyncio.get_running_loop().run_in_executor(ASIDE, parse, text, tenant, at)


def refused(problems: Iterable[Violation]) -> Refused:
    """The document is refused whole."""
    found = list(problems)
    message = f"configuration refused, {len(found)} error(s): " + "; ".join(
        f"{p.field}: {p.description}" for p in found
    )
    return Refused("INVALID_ARGUMENT", "INVALID_CONFIG", message, violations=found)


def _load(text: str) -> Any:
    if len(text.encode()) > MAX_BYTES:
        raise refused([Violation("yaml", f"is larger than {MAX_BYTES} bytes")])
    try:
        raw = yaml.load(text, OnceLoader)  # noqa: S506 - a SafeLoader
        values = _values(raw, {})
    except InvalidFile as error:
        raise refused(error.violations) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that there is not, half a character
        raise refused([Violation("yaml", f"is not YAML: {error}")]) from error
    except RecursionError as error:
        raise refused([Violation("yaml", "is nested too deeply")]) from error
    if values > MAX_VALUES:
        raise refused([Violation("yaml", f"describes more than {MAX_VALUES} values")])
    return raw


def _values(value: Any, counted: dict[int, int]) -> int:
    """How many values there are with every alias written out; counted without doing so, one in itself as too many."""
    if isinstance(value, str):
        value.encode()
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in counted:
        counted[id(value)] = MAX_VALUES
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(_values(item, counted) for item in inner)
    return counted[id(value)]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m trunkline_router.config", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a configuration document")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema")
    args = parser.parse_args()
    if args.schema:
        sys.stdout.write(json.dumps(Document.model_json_schema(), indent=2) + "\n")
        return 0
    if args.file is None:
        parser.error("name a FILE, or --schema")
    try:
        parse(args.file.read_text(), "check", utc_now())
    except Refused as error:
        sys.stderr.write("".join(f"{v.field}: {v.description}\n" for v in error.violations))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
