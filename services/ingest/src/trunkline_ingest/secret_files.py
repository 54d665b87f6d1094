"""Secrets: files <folder>/<tenant>/<name>, read anew after a second, so that a rotated secret needs no restart."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from trunkline.config.v1.config_pb2 import ChannelAccount

FRESH_SECONDS = 1.0  # a thread per webhook costs more than everything else that is done with it


class SecretMissing(Exception):
    """A secret that is needed now cannot be read: nothing may be accepted without it."""

    def __init__(self, tenant: str, account: str, purpose: str, file: str) -> None:
        super().__init__(f"{tenant}/{account}: secret {purpose} in file {file or '(none named)'} cannot be read")
        self.tenant, self.account, self.purpose, self.file = tenant, account, purpose, file


class SecretFiles:
    """Reads the secrets that accounts name, each tenant's from that tenant's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, str], tuple[float, str]] = {}

    async def read(self, tenant: str, account: ChannelAccount, purpose: str) -> str:
        """The secret an account has for a purpose. Raises SecretMissing, also for an empty file."""
        name = account.secrets.get(purpose, "")
        read_at, known = self._known.get((tenant, name), (0.0, ""))
        if known and time.monotonic() - read_at < FRESH_SECONDS:
            return known
        try:
            found = await asyncio.to_thread(read_secret, self._folder, tenant, name)
        except (OSError, ValueError):
            found = ""
        if not found:
            raise SecretMissing(tenant, account.id, purpose, name)
        self._known[tenant, name] = time.monotonic(), found
        return found


def read_secret(folder: Path, tenant: str, name: str) -> str:
    """The content of a tenant's file. Raises ValueError for a name that is not one, OSError where there is no file."""
    # Both are strangers' words: neither may lead out of the folder, nor into another tenant's.
    for part in (tenant, name):
        if not part or part.startswith(".") or Path(part).name != part:
            raise ValueError(f"not a file name: {part!r}")
    return (folder / tenant / name).read_text().strip()
