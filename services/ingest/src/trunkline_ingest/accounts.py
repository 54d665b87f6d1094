"""The channel accounts of every tenant's configuration in force: by id, and for mail by address."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from trunkline.config.v1.config_pb2 import ChannelAccount, TenantConfig

from trunkline_ingest.ids import pool_id
from trunkline_ingest.labels import PRIORITIES


@dataclass(frozen=True, slots=True)
class Account:
    """An account and where its conversations go."""

    tenant: str
    #: "<tenant>/<pool>" of the account's team.
    pool: str
    config: ChannelAccount
    #: The names of the tenant's priorities.
    priorities: Collection[str] = PRIORITIES


class Directory:
    """Fed with configurations, in any order; the highest version of a tenant is in force."""

    def __init__(self) -> None:
        self._configs: dict[str, TenantConfig] = {}
        self._accounts: dict[str, dict[str, Account]] = {}
        self._mail: dict[str, list[Account]] = {}

    def take(self, config: TenantConfig) -> None:
        """A version of a tenant's configuration has arrived."""
        known = self._configs.get(config.tenant)
        if known is not None and known.version > config.version:
            return
        pools = {team.id: team.pool for team in config.teams}
        priorities = priorities_of(config)
        self._configs[config.tenant] = config
        self._accounts[config.tenant] = {
            a.id: Account(config.tenant, pool_id(config.tenant, pools[a.team]), a, priorities)
            for a in config.accounts
            if a.team in pools
        }
        self._index(config.tenant)

    def _index(self, tenant: str) -> None:
        kept = {at: [a for a in found if a.tenant != tenant] for at, found in self._mail.items()}
        for account in self._accounts[tenant].values():
            address = account.config.options.get("address", "").lower()
            if account.config.channel == "email" and address:
                kept.setdefault(address, []).append(account)
        self._mail = {address: found for address, found in kept.items() if found}

    def config(self, tenant: str) -> TenantConfig | None:
        """The configuration in force."""
        return self._configs.get(tenant)

    def find(self, tenant: str, account: str) -> Account | None:
        """An account by its id."""
        return self._accounts.get(tenant, {}).get(account)

    def by_address(self, address: str) -> list[Account]:
        """The mail accounts with this address, in any case and with or without `+anything`."""
        return self._mail.get(mailbox_of(address), [])


def priorities_of(config: TenantConfig) -> Collection[str]:
    """The names a message of the tenant may give as its priority."""
    return frozenset(config.priorities) or PRIORITIES


def mailbox_of(address: str) -> str:
    """The address without its `+anything`, in lower case."""
    local, _, domain = address.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
