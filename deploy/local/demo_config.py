"""The demo tenant: its secrets, made here, and its configuration, applied the way every tenant's is."""

import secrets
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import yaml
from trunkline.config.v1.config_service_pb2 import ApplyConfigRequest
from trunkline.config.v1.config_service_pb2_grpc import ConfigServiceStub

from deploy.local.keys import Keys, ensure_secret
from deploy.local.services import secrets_folder

DEMO_TENANT = Path(__file__).with_name("demo_tenant.yaml")
TENANT = "demo"
APPLY_S = 15.0


def make_secrets(document: object, folder: Path, tenant: str = TENANT) -> list[Path]:
    """A random secret in every file that an entry `secrets` names, wherever in the document; present ones are kept."""
    return [
        ensure_secret(secrets_folder(folder, tenant) / Path(name).name, secrets.token_hex(16).encode())
        for name in _secret_names(document)
    ]


async def apply_demo_config(env: Mapping[str, str], folder: Path, file: Path = DEMO_TENANT) -> int:
    """The version in force afterwards. `env` is what `.run/env` says."""
    text = file.read_text()  # noqa: ASYNC240 - one small local file
    make_secrets(yaml.safe_load(text), folder)
    token = Keys(folder).mint("admin", TENANT, "make-up", timedelta(minutes=5))
    async with grpc.aio.insecure_channel(env["ROUTER_GRPC"]) as channel:
        stub = ConfigServiceStub(channel)
        answer = await stub.ApplyConfig(
            ApplyConfigRequest(request_id=str(uuid.uuid4()), yaml=text),
            metadata=[("authorization", f"Bearer {token}")],
            timeout=APPLY_S,
        )
    return int(answer.version)


def account_of(document: Mapping[str, Any], channel: str) -> Mapping[str, Any] | None:
    """The first account of a channel."""
    return next((account for account in _accounts(document) if account.get("channel") == channel), None)


def _accounts(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Written as a list of entries with an id, or as a mapping from the id."""
    accounts = document.get("accounts") or []
    if isinstance(accounts, Mapping):
        yield from ({"id": identifier, **entry} for identifier, entry in accounts.items())
    else:
        yield from accounts


def _secret_names(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for name, below in node.items():
            if name == "secrets" and isinstance(below, Mapping):
                yield from map(str, below.values())
            else:
                yield from _secret_names(below)
    elif isinstance(node, list):
        for below in node:
            yield from _secret_names(below)
