"""Every version of every tenant's configuration, from the compacted topic trunkline.config.v1 (key tenant/version)."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError
from trunkline.config.v1.config_pb2 import TenantConfig

from trunkline_common.tail import CompactedTable

TOPIC = "trunkline.config.v1"


class Tenants:
    """Run `run` in the task group, wait for `loaded`, then ask. `on_change` hears of each version as it arrives."""

    def __init__(self, bootstrap: str, on_change: Callable[[TenantConfig], None] = lambda _: None) -> None:
        self._table = CompactedTable(bootstrap, TOPIC, self._take)
        self._versions: dict[tuple[str, int], TenantConfig] = {}
        self._newest: dict[str, int] = {}
        self._on_change = on_change

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        await self._table.run()

    async def loaded(self) -> None:
        """Wait until everything that was there at the start is read."""
        await self._table.loaded.wait()

    def get(self, tenant: str) -> TenantConfig | None:
        """The newest configuration of a tenant."""
        return self._versions.get((tenant, self._newest.get(tenant, 0)))

    def at(self, tenant: str, version: int) -> TenantConfig | None:
        """One version; None where it has not arrived (yet)."""
        return self._versions.get((tenant, version))

    def all(self) -> list[TenantConfig]:
        """The newest configuration of every tenant, by name."""
        return [self._versions[tenant, version] for tenant, version in sorted(self._newest.items())]

    def _take(self, _key: str, value: bytes | None) -> None:
        if value is None:
            return
        try:
            config = TenantConfig.FromString(value)
        except DecodeError:
            return
        self._versions[config.tenant, config.version] = config
        self._newest[config.tenant] = max(config.version, self._newest.get(config.tenant, 0))
        self._on_change(config)
