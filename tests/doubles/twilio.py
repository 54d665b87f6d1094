"""Twilio's REST API for messages as our side sees it: takes forms, posts signed status callbacks and messages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from tests.doubles.web import WebDouble

LONGEST_BODY = 1600


@dataclass(frozen=True, slots=True)
class TwilioMessage:
    """A message the double took: its form as sent."""

    sid: str
    form: dict[str, str]


class TwilioDouble(WebDouble):
    """`received` are the messages taken, in order; `attempts` counts every request."""

    def __init__(self, *, account_sid: str, auth_token: str) -> None:
        super().__init__()
        self.account_sid, self._auth_token = account_sid, auth_token
        self.received: list[TwilioMessage] = []
        self.attempts = 0

    def routes(self) -> list[web.RouteDef]:
        """The one endpoint that sends."""
        return [web.post("/2010-04-01/Accounts/{sid}/Messages.json", self._messages)]

    async def _messages(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.attempts += 1
        await self.open.wait()
        if not self._known(request):
            return _error(401, 20003, "Authenticate")
        sender = form.get("From") or form.get("MessagingServiceSid", "")
        if fault := self.take(sender):
            return _error(fault.status, {429: 20429, 400: 21610}.get(fault.status, 20500), "", fault.retry_after)
        problem = _problem(form, sender)
        if problem:
            return _error(400, *problem)
        message = TwilioMessage(f"SM{uuid.uuid4().hex}", form)
        self.received.append(message)
        echoed = {"to": form["To"], "from": form.get("From"), "body": form.get("Body", "")}
        answer = {"sid": message.sid, "account_sid": self.account_sid, "status": "queued", "error_code": None}
        return web.json_response({**answer, **echoed}, status=201)

    def _known(self, request: web.Request) -> bool:
        pair = f"{self.account_sid}:{self._auth_token}".encode()
        expected = f"Basic {base64.b64encode(pair).decode()}"
        same = hmac.compare_digest(request.headers.get("Authorization", ""), expected)
        return same and request.match_info["sid"] == self.account_sid

    async def post_status(self, message: TwilioMessage, status: str, error: str = "") -> int:
        """Post "sent", "delivered", "failed" ... to the message's StatusCallback; returns the HTTP status."""
        form = {"MessageSid": message.sid, "SmsSid": message.sid, "MessageStatus": status, "SmsStatus": status,
                "AccountSid": self.account_sid, "To": message.form["To"], "From": message.form.get("From", ""),
                "ApiVersion": "2010-04-01"}  # fmt: skip
        if error:
            form["ErrorCode"] = error
        return await self.post_webhook(message.form["StatusCallback"], form)

    async def post_text(self, url: str, sender: str, to: str, text: str) -> str:
        """Post a customer's message to a webhook; returns its sid. Raises where it is not taken."""
        sid = f"SM{uuid.uuid4().hex}"
        form = {"MessageSid": sid, "SmsMessageSid": sid, "AccountSid": self.account_sid, "From": sender, "To": to,
                "Body": text, "NumMedia": "0", "NumSegments": "1", "ApiVersion": "2010-04-01"}  # fmt: skip
        status = await self.post_webhook(url, form)
        if status != 200:
            raise RuntimeError(f"the webhook answered {status}")
        return sid

    async def post_webhook(self, url: str, form: dict[str, str], *, signed_url: str = "") -> int:
        """Post a form, signed for `signed_url` (the URL itself where empty)."""
        signed = (signed_url or url) + "".join(name + value for name, value in sorted(form.items()))
        digest = hmac.new(self._auth_token.encode(), signed.encode(), hashlib.sha1).digest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": base64.b64encode(digest).decode(),
        }
        # Verbatim, as it was signed: aiohttp would decode what need not be escaped.
        async with self.http.post(URL(url, encoded=True), data=urlencode(form), headers=headers) as response:
            return response.status


def _problem(form: dict[str, str], sender: str) -> tuple[int, str] | None:
    """The code and text of what Twilio would refuse."""
    checks = {
        (21604, "A 'To' phone number is required."): bool(form.get("To")),
        (21603, "A 'From' phone number is required."): bool(sender),
        (21602, "Message body is required."): bool(form.get("Body") or form.get("MediaUrl")),
        (21617, "The message body exceeds the 1600 character limit."): len(form.get("Body", "")) <= LONGEST_BODY,
        (21609, "The StatusCallback URL is not valid."): form.get("StatusCallback", "http").startswith("http"),
    }
    return next((problem for problem, good in checks.items() if not good), None)


def _error(status: int, code: int, text: str, retry_after: int | None = None) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return web.json_response({"code": code, "message": text, "status": status}, status=status, headers=headers)
