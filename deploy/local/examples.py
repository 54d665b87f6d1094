"""Lines to copy into a shell that work against the stack that runs."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.demo_config import TENANT, account_of
from deploy.local.services import secrets_folder
from deploy.local.stack import DEFAULT_FOLDER

CUSTOMER = "491700000001"


def whatsapp_body(phone_number_id: str) -> bytes:
    """What WhatsApp's Cloud API posts for a customer's text."""
    contact = {"wa_id": CUSTOMER, "profile": {"name": "Kim"}}
    message = {
        "from": CUSTOMER,
        "id": f"wamid.{secrets.token_hex(8)}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": "Where is my order?"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": phone_number_id, "phone_number_id": phone_number_id},
        "contacts": [contact],
        "messages": [message],
    }
    entry = {"id": "0", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def signature(secret: bytes, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def whatsapp_curl(env: Mapping[str, str], document: Mapping[str, Any], folder: Path) -> str | None:
    """None where the demo tenant has no WhatsApp account."""
    account = account_of(document, "whatsapp")
    if account is None:
        return None
    secret = (secrets_folder(folder, TENANT) / account["secrets"]["app_secret"]).read_bytes()
    options = account.get("options") or {}
    body = whatsapp_body(str(options.get("phone_number_id", account["id"])))
    return (
        f"curl -sS -i {env['INGEST_HTTP']}/webhooks/whatsapp/{TENANT}/{account['id']}"
        f" -H 'content-type: application/json' -H 'x-hub-signature-256: {signature(secret, body)}'"
        f" --data-binary '{body.decode()}'"
    )


def grpcurl(env: Mapping[str, str], python: str, folder: Path) -> str:
    token = f"$({python} -m deploy.local.token --role supervisor{_elsewhere(folder)})"
    program = Path(python).with_name("grpcurl")
    return (
        f'{program} -plaintext -H "authorization: Bearer {token}"'
        f" {env['ROUTER_GRPC']} trunkline.router.v1.RouterService/ListAgents"
    )


def tail(python: str, folder: Path) -> str:
    return f"{python} -m deploy.local.tail trunkline.conversations.v1{_elsewhere(folder)}"


def _elsewhere(folder: Path) -> str:
    return "" if folder == DEFAULT_FOLDER.absolute() else f" --folder {folder}"
