"""Secrets: files in one folder, read anew for every request, so that a rotated secret needs no restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from trunkline.config.v1.config_pb2 import ChannelAccount


class SecretMissing(Exception):
    """A secret that is needed now cannot be read: nothing may be accepted without it."""

    def __init__(self, account: str, purpose: str, file: str) -> None:
        super().__init__(f"account {account}: secret {purpose} in file {file or '(none named)'} cannot be read")
        self.account, self.purpose, self.file = account, purpose, file


class SecretFiles:
    """Reads the secrets that accounts name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, account: ChannelAccount, purpose: str) -> str:
        """The secret an account has for a purpose. Raises SecretMissing, also for an empty file."""
        name = account.secrets.get(purpose, "")
        try:
            found = await asyncio.to_thread(self._read, name)
        except (OSError, ValueError):
            found = ""
        if not found:
            raise SecretMissing(account.id, purpose, name)
        return found

    def _read(self, name: str) -> str:
        # The name is a tenant's words: it may not lead out of the folder.
        if not name or name.startswith(".") or Path(name).name != name:
            raise ValueError(name)
        return (self._folder / name).read_text().strip()
