"""Pages that fit into an answer, and their tokens: sealed, so that nobody reads or makes one, and bound.

A token is good for the tenant, method and other arguments of the request that it was made for.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import Message

from trunkline_common.errors import Refused, Violation, invalid_request

DEFAULT_SIZE, MAX_SIZE = 50, 500
PAGE_BYTES = 1_000_000  # of messages in a page; clients take answers of 4 MiB
M = TypeVar("M", bound=Message)


def page_size(asked: int) -> int:
    """0 means 50; more than 500 is cut to 500; negative is refused (AIP-158)."""
    if asked < 0:
        raise invalid_request(Violation("page_size", "must not be negative"))
    return min(asked or DEFAULT_SIZE, MAX_SIZE)


def fitting(found: Iterable[M], most: int = PAGE_BYTES) -> list[M]:
    """The first messages, as many as fit into so many bytes but one at least: a call's answer has a limit, too."""
    page, size = list[M](), 0
    for message in found:
        size += message.ByteSize()
        if page and size > most:
            break
        page.append(message)
    return page


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
