"""A tenant's configuration as people write it: YAML, checked whole, every error with its path (design section 6).

python -m trunkline_router.config [FILE] checks a document; --schema prints the JSON Schema.
Exit 0, 1 refused, 2 bad use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.errors import Refused, Violation

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
MAX_BYTES = 512 * 1024  # a version must fit one record of the config topic


class Strict(BaseModel):
    """No field is ignored: a misspelt one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolModel(Strict):
    """Teams that share agents."""

    id: Id


class TeamModel(Strict):
    """A team and how long its offers last."""

    id: Id
    pool: Id = "default"
    offer_timeout_s: int = Field(20, ge=1, le=86_400)


class AgentModel(Strict):
    """An agent; capacity is conversations at once."""

    id: Id
    name: str = ""
    teams: list[Id] = Field(min_length=1)
    capacity: int = Field(3, ge=0, le=1000)


class AccountModel(Strict):
    """A channel account; `secrets` are names of files in the tenant's own folder of secrets."""

    id: Id
    channel: Id
    team: Id
    secrets: dict[str, Id] = Field(default_factory=dict)
    options: dict[str, str] = Field(default_factory=dict)


class SlaPolicyModel(Strict):
    """Targets in seconds; 0 means none."""

    id: Id
    team: str = ""
    first_response_s: int = Field(0, ge=0, le=366 * 86_400)
    next_response_s: int = Field(0, ge=0, le=366 * 86_400)
    warnings_percent: list[Annotated[int, Field(ge=1, le=99)]] = [75, 90]


class SourceModel(Strict):
    """An integrator's CloudEvents source and the accounts it speaks for."""

    source: str = Field(min_length=1)
    accounts: list[Id] = Field(min_length=1)


class Document(Strict):
    """The whole document."""

    pools: list[PoolModel] = Field(default_factory=lambda: [PoolModel(id="default")], min_length=1)
    teams: list[TeamModel] = Field(min_length=1)
    agents: list[AgentModel] = Field(default_factory=list)
    accounts: list[AccountModel] = Field(default_factory=list)
    sla_policies: list[SlaPolicyModel] = Field(default_factory=list)
    sources: list[SourceModel] = Field(default_factory=list)


def parse(text: str, tenant: str) -> TenantConfig:
    """The configuration a document describes, without its version. Raises Refused (INVALID_CONFIG) with every path."""
    if len(text.encode()) > MAX_BYTES:
        raise refused([Violation("yaml", f"is larger than {MAX_BYTES} bytes")])
    try:
        document = Document.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise refused([Violation("yaml", f"is not YAML: {error}")]) from error
    except ValidationError as error:
        raise refused(Violation(_path(e["loc"]), e["msg"]) for e in error.errors()) from error
    if problems := list(check(document)):
        raise refused(problems)
    return _to_proto(document, tenant)


def refused(problems: Iterable[Violation]) -> Refused:
    """The document is refused whole."""
    found = list(problems)
    message = f"configuration refused, {len(found)} error(s): " + "; ".join(
        f"{p.field}: {p.description}" for p in found
    )
    return Refused("INVALID_ARGUMENT", "INVALID_CONFIG", message, violations=found)


def _path(parts: tuple[int | str, ...]) -> str:
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)
    return path.removeprefix(".") or "document"


def check(document: Document) -> Iterable[Violation]:
    """What no single field shows: duplicates, references to nothing, agents across pools."""
    pools, teams = {p.id for p in document.pools}, {t.id: t.pool for t in document.teams}
    accounts = {a.id for a in document.accounts}
    for name in ("pools", "teams", "agents", "accounts", "sla_policies"):
        yield from _duplicates(name, [item.id for item in getattr(document, name)])
    yield from _unknown("teams", document.teams, lambda t: [("pool", t.pool)], pools)
    yield from _unknown("agents", document.agents, lambda a: [(f"teams[{i}]", t) for i, t in enumerate(a.teams)], teams)
    yield from _unknown("accounts", document.accounts, lambda a: [("team", a.team)], teams)
    yield from _unknown("sla_policies", document.sla_policies, lambda p: [("team", p.team)] if p.team else [], teams)
    yield from _unknown(
        "sources", document.sources, lambda s: [(f"accounts[{i}]", a) for i, a in enumerate(s.accounts)], accounts
    )
    for i, agent in enumerate(document.agents):
        if len({teams[t] for t in agent.teams if t in teams}) > 1:
            yield Violation(f"agents[{i}].teams", "are of more than one pool; an agent belongs to one")
    for pool in pools - set(teams.values()):
        yield Violation("pools", f"pool {pool} has no team")


def _duplicates(name: str, ids: list[str]) -> Iterable[Violation]:
    for i, found in enumerate(ids):
        if found in ids[:i]:
            yield Violation(f"{name}[{i}].id", f"{found} is there twice")


def _unknown(
    name: str, items: Iterable[Any], refs: Callable[[Any], list[tuple[str, str]]], known: Iterable[str]
) -> Iterable[Violation]:
    for i, item in enumerate(items):
        for field, ref in refs(item):
            if ref not in known:
                yield Violation(f"{name}[{i}].{field}", f"{ref} is not configured")


def _to_proto(document: Document, tenant: str) -> TenantConfig:
    config = TenantConfig(tenant=tenant)
    for name in ("pools", "teams", "agents", "accounts", "sla_policies", "sources"):
        target = getattr(config, name)
        for item in getattr(document, name):
            target.add(**item.model_dump())
    return config


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
        parse(args.file.read_text(), "check")
    except Refused as error:
        sys.stderr.write("".join(f"{v.field}: {v.description}\n" for v in error.violations))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
