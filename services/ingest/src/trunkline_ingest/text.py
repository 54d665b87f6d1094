"""Strings of strangers made safe: valid UTF-8, NFC, without NUL, of bounded size."""

from __future__ import annotations

import unicodedata

MAX_TEXT_BYTES = 256 * 1024
MAX_FIELD_BYTES = 1024


def valid(text: str) -> str:
    """The text with each lone surrogate replaced; pairs of them become the character they stand for."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """What protobuf and PostgreSQL can hold: lone surrogates become U+FFFD, NUL goes, at most `limit` bytes."""
    whole = text.replace("\x00", "")
    return cut(whole if whole.isascii() else unicodedata.normalize("NFC", valid(whole)), limit)


def clean_field(text: str) -> str:
    """An id, a name or a subject: one line, at most 1 KiB."""
    return clean(" ".join(text.split()), MAX_FIELD_BYTES)


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, ending at a whole code point."""
    if len(text) * 4 <= limit:  # whatever it holds
        return text
    raw = text.encode()
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore")
