"""Mail as it comes, read without failing: headers nobody can parse, charsets that lie or do not exist."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email import policy
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr, parsedate_to_datetime
from html.parser import HTMLParser

from trunkline_ingest.model import Attachment

# What the header parser of the standard library raises on malformed headers.
MALFORMED = (ValueError, LookupError, AttributeError, TypeError)
MAX_DEPTH = 50
MESSAGE_ID = re.compile(r"<[^<>\s]+>")
BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol"}
)
SHOWN = ("text/plain", "text/html")
SILENT = frozenset({"script", "style", "head", "title"})


class _Lenient(HeaderRegistry):
    """Headers the standard library cannot parse become plain text, where it would raise."""

    def __call__(self, name: str, value: str) -> BaseHeader:
        try:
            return super().__call__(name, value)
        except MALFORMED:
            return UNSTRUCTURED(name, value)


UNSTRUCTURED = HeaderRegistry(use_default_map=False)
POLICY = policy.default.clone(header_factory=_Lenient())


def read(raw: bytes) -> EmailMessage:
    """The message; parts nested deeper than people do are left as they are, in one piece."""
    parser = BytesParser(EmailMessage, policy=POLICY)
    try:
        found = parser.parsebytes(raw)
    except RecursionError:
        found = None
    if found is None or _is_deep(found):
        found = parser.parsebytes(raw, headersonly=True)
    return found


def _is_deep(message: EmailMessage) -> bool:
    level = [message]
    for _ in range(MAX_DEPTH):
        level = [part for one in level if is_container(one) for part in _parts(one)]
    return bool(level)


def source(message: EmailMessage, name: str) -> str:
    """A header as it was written, unfolded; empty where it is absent."""
    lowered = name.lower()
    found = next((str(value) for key, value in message.raw_items() if key.lower() == lowered), "")
    return " ".join(found.split())


def header(message: EmailMessage, name: str) -> str:
    """A header decoded; as it was written where that fails."""
    try:
        return str(message[name] or "")
    except MALFORMED:
        return source(message, name)


def message_ids(message: EmailMessage, name: str) -> list[str]:
    """Every `<id>` of a header, each once, in order."""
    return list(dict.fromkeys(MESSAGE_ID.findall(source(message, name))))


def mailbox(message: EmailMessage, name: str) -> tuple[str, str]:
    """(display name, address) of the first mailbox of a header; empty strings where there is none."""
    try:
        first = next((a for a in message[name].addresses if a.username and a.domain), None) if message[name] else None
        if first is not None:
            return first.display_name, first.addr_spec
    except MALFORMED:
        pass
    shown, address = parseaddr(source(message, name))
    local, _, domain = address.rpartition("@")
    return (shown, address) if local.strip("@<>") and domain else ("", "")


def date(message: EmailMessage) -> datetime | None:
    """What the Date header claims; None where it is no date or has no time zone."""
    try:
        found = parsedate_to_datetime(source(message, "date"))
    except MALFORMED:
        return None
    return found if found.tzinfo else None


def kind(part: EmailMessage) -> str:
    """The content type, if it can be read."""
    try:
        return part.get_content_type()
    except MALFORMED:
        return "application/octet-stream"


def content(part: EmailMessage) -> bytes:
    """The bytes of a part, transfer encoding undone; a message in a message as it is."""
    try:
        found = part.get_payload(decode=True)
        if part.is_multipart():
            inner = part.get_payload()
            return b"".join(bytes(one) for one in inner if isinstance(one, EmailMessage))
    except (*MALFORMED, RecursionError):
        return b""
    return found if isinstance(found, bytes) else b""


def text_of(part: EmailMessage) -> str:
    """A text part by its charset; by UTF-8, then Windows-1252 where that is unknown or wrong."""
    raw = content(part)
    for charset in (charset_of(part), "utf-8"):
        try:
            return raw.decode(charset)
        except MALFORMED:
            continue
    return raw.decode("cp1252", "replace")


def charset_of(part: EmailMessage) -> str:
    """The declared charset, if the declaration can be read."""
    try:
        return part.get_content_charset() or "utf-8"
    except MALFORMED:
        return "utf-8"


def body(message: EmailMessage) -> str:
    """The text of the mail: every text that is shown, text/plain where there is an alternative."""
    return "\n\n".join(text for text in _texts(message) if text)


def _texts(part: EmailMessage) -> list[str]:
    if is_container(part):
        inner = [(one, _texts(one)) for one in _parts(part)]
        if kind(part) == "multipart/alternative":
            return _chosen(inner)
        return [text for _, texts in inner for text in texts]
    if is_file(part) or kind(part) not in SHOWN:
        return []
    text = text_of(part)
    return [html_to_text(text) if kind(part) == "text/html" else text.replace("\r\n", "\n").strip()]


def _chosen(alternatives: list[tuple[EmailMessage, list[str]]]) -> list[str]:
    """The plain one, else the richest, which comes last."""
    readable = [(part, texts) for part, texts in alternatives if any(texts)]
    plain = next((texts for part, texts in readable if any(kind(leaf) == "text/plain" for leaf in leaves(part))), None)
    return plain if plain is not None else next((texts for _, texts in reversed(readable)), [])


def is_container(part: EmailMessage) -> bool:
    """Whether a part holds others; a mail inside the mail is one part."""
    return part.is_multipart() and kind(part).startswith("multipart/")


def _parts(part: EmailMessage) -> Iterator[EmailMessage]:
    return (one for one in part.iter_parts() if isinstance(one, EmailMessage))


def leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """Parts that are not containers, in order."""
    if is_container(message):
        for part in _parts(message):
            yield from leaves(part)
    else:
        yield message


def is_file(part: EmailMessage) -> bool:
    """Whether a part is to be kept rather than read."""
    try:
        return part.get_content_disposition() == "attachment" or bool(part.get_filename())
    except MALFORMED:
        return True


def attachments(message: EmailMessage, message_id: str) -> tuple[Attachment, ...]:
    """Every part that is not the text, by its place in the mail (`mid:`, RFC 2392)."""
    found = []
    for place, part in enumerate(leaves(message), 1):
        if kind(part) in SHOWN and not is_file(part):
            continue
        raw = content(part)
        ref = f"mid:{message_id.strip('<>')}/{place}"
        digest = hashlib.sha256(raw).hexdigest()
        found.append(Attachment(ref, kind(part), name_of(part), len(raw), digest))
    return tuple(found)


def name_of(part: EmailMessage) -> str:
    """The file name, if it can be read."""
    try:
        return part.get_filename() or ""
    except MALFORMED:
        return ""


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._silent += tag in SILENT
        if tag in BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in SILENT))
        if tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))


def html_to_text(html: str) -> str:
    """The words of a page, a line per block."""
    words = _Words()
    words.feed(html)
    words.close()
    lines = (line.strip() for line in "".join(words.pieces).split("\n"))
    return "\n".join(line for line in lines if line)
