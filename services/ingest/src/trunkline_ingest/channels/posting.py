"""One POST to a provider's API, and what its answer means for the message."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from trunkline_ingest.channels.sending import SendContext, SendFailed, SendRefused

TIMEOUT = aiohttp.ClientTimeout(total=10)
# The operator can repair the first two, the provider the others: the message itself is not refused.
TRANSIENT = (401, 403, 408, 425, 429)


async def post(context: SendContext, url: str, **arguments: Any) -> dict[str, Any]:
    """The JSON object of a 2xx answer. Raises SendRefused or SendFailed; their reasons hold no customer data."""
    try:
        async with context.http.post(url, timeout=TIMEOUT, allow_redirects=False, **arguments) as response:
            body = await response.read()
            judge(response.status, response.headers.get("Retry-After", ""), body)
            return _object(body)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SendFailed(f"no answer: {type(error).__name__}") from error


def judge(status: int, retry_after: str, body: bytes) -> None:
    """Return where the provider took the message."""
    if status < 300:
        return
    reason = f"HTTP {status}{_code(body)}"
    if status in TRANSIENT or status >= 500:
        raise SendFailed(reason, float(retry_after) if retry_after.isdigit() else None)
    raise SendRefused(reason)


def _code(body: bytes) -> str:
    """The provider's own error code (Twilio: code; Graph: error.code): its text may quote the customer's number."""
    found = _object(body)
    inner = found.get("error")
    code = inner.get("code") if isinstance(inner, dict) else found.get("code")
    return f", code {code}" if isinstance(code, int) else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
