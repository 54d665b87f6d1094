"""Signed WhatsApp deliveries, as bytes ready for a connection."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from deploy.local.examples import signature

ACCOUNT, NUMBER = "wa-main", "100200300400500"
TEXT = "Hello, my parcel has not arrived yet although it was promised for yesterday. Could somebody look into it?"


def body(sender: str, message_id: str) -> bytes:
    """What WhatsApp's Cloud API posts for a customer's text."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": NUMBER, "phone_number_id": NUMBER},
        "contacts": [{"wa_id": sender, "profile": {"name": "Kim"}}],
        "messages": [
            {"from": sender, "id": message_id, "timestamp": "1760000000", "type": "text", "text": {"body": TEXT}}
        ],
    }
    entry = {"id": "0", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def key(file: Path) -> bytes:
    """The account's secret."""
    return file.read_bytes().strip()


def request(host: str, path: str, content: bytes, secret: bytes) -> bytes:
    """The whole HTTP request, signed, over a connection that stays open."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: {signature(secret, content)}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection:
    """One open connection; the least that a client can do, so that the client is not what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, address: str) -> Connection:
        """To host:port."""
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def post(self, whole: bytes) -> int:
        """Send a request; the status of its answer, read to its end."""
        self._writer.write(whole)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length or b"0"))
        return int(head[9:12])

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
