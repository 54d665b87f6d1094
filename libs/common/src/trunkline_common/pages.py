"""Page tokens: sealed, so that nobody reads or makes one; bound to tenant, method and the request's other arguments."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trunkline_common.errors import Refused, Violation, invalid_request

DEFAULT_SIZE, MAX_SIZE = 50, 500


def page_size(asked: int) -> int:
    """0 means 50; more than 500 is cut to 500; negative is refused (AIP-158)."""
    if asked < 0:
        raise invalid_request(Violation("page_size", "must not be negative"))
    return min(asked or DEFAULT_SIZE, MAX_SIZE)


class PageTokens:
    """Makes and opens page tokens with a 32-byte key that every replica shares."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, cursor: list[Any], *bound: str) -> str:
        """A token for the place after `cursor` (JSON values) of the listing that `bound` describes."""
        nonce = os.urandom(12)
        sealed = self._aead.encrypt(nonce, json.dumps(cursor).encode(), json.dumps(bound).encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, token: str, *bound: str, field: str = "page_token") -> list[Any] | None:
        """The cursor in a token; None for the first page (an empty token). Refused where it is of another listing."""
        if not token:
            return None
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            cursor: list[Any] = json.loads(self._aead.decrypt(raw[:12], raw[12:], json.dumps(bound).encode()))
        except (ValueError, InvalidTag) as error:
            problem = Violation(field, "is not of this listing; begin again without it")
            raise Refused(
                "INVALID_ARGUMENT",
                "INVALID_PAGE_TOKEN",
                f"{field}: {problem.description}",
                metadata={"field": field},
                violations=[problem],
            ) from error
        return cursor
