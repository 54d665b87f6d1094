"""WhatsApp Cloud API (Meta Graph) as our side sees it: takes messages, posts signed webhooks.

Answers and webhooks have the documented shapes; what Meta would refuse (token, path, body) is refused with its codes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.doubles.faults import Fault
from tests.doubles.web import WebDouble

KINDS = {"text", "image", "video", "audio", "document", "sticker", "location", "template", "interactive", "reaction"}
LONGEST_TEXT = 4096


@dataclass(frozen=True, slots=True)
class GraphMessage:
    """A message the double took."""

    id: str
    phone_number_id: str
    body: dict[str, Any]

    @property
    def to(self) -> str:
        """The customer, by number or business-scoped id."""
        return str(self.body.get("to") or self.body.get("recipient"))

    @property
    def text(self) -> str:
        """What it says, where it is a text."""
        return str(self.body.get("text", {}).get("body", ""))


class GraphDouble(WebDouble):
    """`received` are the messages taken, in order; `attempts` counts every request."""

    def __init__(self, *, access_token: str, app_secret: str) -> None:
        super().__init__()
        self._access_token, self._app_secret = access_token, app_secret
        self.received: list[GraphMessage] = []
        #: Messages of customers that were marked as read with three dots, by id.
        self.typing: list[str] = []
        self.attempts = 0

    def routes(self) -> list[web.RouteDef]:
        """The one endpoint that sends."""
        return [web.post(r"/{version:v\d+\.\d+}/{number}/messages", self._messages)]

    async def _messages(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.attempts += 1
        await self.open.wait()
        number = request.match_info["number"]
        if request.headers.get("Authorization") != f"Bearer {self._access_token}":
            return _error(401, 190, "Invalid OAuth access token - Cannot parse access token")
        if fault := self.take(number):
            return _fault(fault)
        problem, body = _checked(text, request.content_type)
        if problem:
            return _error(400, 100, problem)
        if "status" in body:
            self.typing.append(body["message_id"])
            return web.json_response({"success": True})
        message = GraphMessage(f"wamid.{uuid.uuid4().hex.upper()}", number, body)
        self.received.append(message)
        contact = {"input": message.to, "wa_id": message.to.lstrip("+")}
        answer = {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": message.id}]}
        return web.json_response(answer)

    async def post_status(self, url: str, message: GraphMessage, status: str, error: int = 0) -> int:
        """Post "sent", "delivered", "read" or "failed" of a message to a webhook; returns the HTTP status."""
        found: dict[str, Any] = {
            "id": message.id,
            "status": status,
            "timestamp": str(int(time.time())),
            "recipient_id": message.to.lstrip("+"),
        }
        if "biz_opaque_callback_data" in message.body:
            found["biz_opaque_callback_data"] = message.body["biz_opaque_callback_data"]
        if error:
            found["errors"] = [{"code": error, "title": "Message undeliverable"}]
        return await self.post_webhook(url, message.phone_number_id, {"statuses": [found]})

    async def post_text(self, url: str, phone_number_id: str, sender: str, name: str, text: str) -> str:
        """Post a customer's text message to a webhook; returns its id. Raises where it is not taken."""
        wamid = f"wamid.{uuid.uuid4().hex.upper()}"
        message = {
            "from": sender,
            "id": wamid,
            "timestamp": str(int(time.time())),
            "type": "text",
            "text": {"body": text},
        }
        contacts = [{"profile": {"name": name}, "wa_id": sender}]
        status = await self.post_webhook(url, phone_number_id, {"contacts": contacts, "messages": [message]})
        if status != 200:
            raise RuntimeError(f"the webhook answered {status}")
        return wamid

    async def post_webhook(self, url: str, phone_number_id: str, value: dict[str, Any]) -> int:
        """Post one change, signed with the app's secret."""
        metadata = {"display_phone_number": phone_number_id, "phone_number_id": phone_number_id}
        change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
        document = {"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": [change]}]}
        body = json.dumps(document).encode()
        signature = hmac.new(self._app_secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        async with self.http.post(url, data=body, headers=headers) as response:
            return response.status


def _checked(text: str, content_type: str) -> tuple[str, dict[str, Any]]:
    """What is wrong with a message (empty: nothing), and the message."""
    try:
        body = json.loads(text)
    except ValueError:
        return "the body is not JSON", {}
    if content_type != "application/json" or not isinstance(body, dict):
        return "the body is not a JSON object sent as application/json", {}
    if "status" in body:
        return _checked_typing(body), body
    kind = body.get("type", "text")
    checks = {
        "(#100) The parameter messaging_product is required.": body.get("messaging_product") == "whatsapp",
        "(#100) The parameter to is required.": _is_user(body),
        f"(#100) Param type must be one of {sorted(KINDS)}": kind in KINDS,
        f"(#100) The parameter {kind} is required.": isinstance(body.get(kind), dict),
        f"(#100) Param text['body'] must be 1 to {LONGEST_TEXT} characters": kind != "text" or _is_text(body),
        "(#100) Param biz_opaque_callback_data is too long": len(str(body.get("biz_opaque_callback_data", ""))) <= 512,
    }
    return next((problem for problem, good in checks.items() if not good), ""), body


def _checked_typing(body: dict[str, Any]) -> str:
    """What is wrong with marking a message as read and showing that somebody types; empty: nothing."""
    known = {"messaging_product", "status", "message_id", "typing_indicator"}
    checks = {
        "(#100) The parameter messaging_product is required.": body.get("messaging_product") == "whatsapp",
        "(#100) Param status must be read": body.get("status") == "read",
        "(#100) Invalid parameter: message_id": str(body.get("message_id", "")).startswith("wamid."),
        "(#100) Param typing_indicator['type'] must be text": body.get("typing_indicator") == {"type": "text"},
        f"(#100) Unexpected keys {sorted(body.keys() - known)}": body.keys() <= known,
    }
    return next((problem for problem, good in checks.items() if not good), "")


def _is_user(body: dict[str, Any]) -> bool:
    number, scoped = body.get("to"), body.get("recipient")
    if isinstance(number, str):
        return re.fullmatch(r"\+?\d{5,20}", number) is not None
    return isinstance(scoped, str) and re.fullmatch(r"[A-Z]{2}\.\w+", scoped) is not None


def _is_text(body: dict[str, Any]) -> bool:
    text = body.get("text")
    found = text.get("body") if isinstance(text, dict) else None
    return isinstance(found, str) and 0 < len(found) <= LONGEST_TEXT


def _fault(fault: Fault) -> web.Response:
    codes = {429: (130429, "Rate limit hit"), 400: (131026, "Message undeliverable")}
    code, text = codes.get(fault.status, (131000, "Something went wrong"))
    return _error(fault.status, code, text, fault.retry_after)


def _error(status: int, code: int, text: str, retry_after: int | None = None) -> web.Response:
    error = {"message": text, "type": "OAuthException", "code": code, "fbtrace_id": uuid.uuid4().hex[:11]}
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return web.json_response({"error": error}, status=status, headers=headers)
