"""PostgreSQL: the pool, transactions, migrations. The only module that imports asyncpg."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Row = asyncpg.Record
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.pool.PoolConnectionProxy
    Row = asyncpg.Record

#: The database cannot be reached or gave up on us: nothing was decided, try again later.
OUTAGES: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was ended in the middle of a prepare, met by the rollback
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.QueryCanceledError,
)


async def _limit(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """No transaction of a frozen client outlives 15 s, whatever it was doing (PostgreSQL 17 and later promise it)."""
    if connection.get_server_version().major >= 17:
        await connection.execute("set transaction_timeout = '15s'")


async def unlimited(tx: Connection) -> None:
    """This transaction may take its time: it holds nothing that a successor waits for."""
    await tx.execute("set local statement_timeout = 0")
    if tx.get_server_version().major >= 17:
        await tx.execute("set local transaction_timeout = 0")


async def _leave(_connection: object) -> None:
    """No session state is ever set (settings and locks are the transaction's): asyncpg's RESET ALL is a round trip."""


class _FairPool(asyncpg.Pool):
    """Whoever has waited longest is next. asyncpg gives a connection that comes back to whoever asks at that moment and
    sends the one that waited to the end of the line: where many share few, some wait until it counts as an outage.
    """

    def __init__(self, url: str, size: int, **settings: Any) -> None:
        super().__init__(
            url,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            min_size=1,
            max_size=size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            loop=None,
            setup=None,
            **settings,
        )
        self._turns = asyncio.Semaphore(size)

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:  # type: ignore[override]
        return self._in_turn(timeout)

    @asynccontextmanager
    async def _in_turn(self, timeout: float | None) -> AsyncIterator[Connection]:
        async with asyncio.timeout(timeout):
            await self._turns.acquire()
        try:
            async with super().acquire(timeout=timeout) as connection:
                yield connection
        finally:
            self._turns.release()


@asynccontextmanager
async def connect(url: str, schema: str, *, size: int = 8, application: str = "trunkline") -> AsyncIterator[Pool]:
    """A pool whose connections see `schema` only. A frozen client cannot hold a row lock for longer than 10 s."""
    pool = await _FairPool(
        url,
        size,
        command_timeout=30,
        init=_limit,
        reset=_leave,
        server_settings={
            "search_path": schema,
            "application_name": application,
            "lock_timeout": "5s",
            "idle_in_transaction_session_timeout": "10s",
            # The same for a client that froze between the messages of one statement: that is not idle to PostgreSQL.
            "statement_timeout": "10s",
        },
    )
    try:
        yield pool
    finally:
        pool.terminate()


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One connection inside one transaction: COMMIT at the end of the block, ROLLBACK on any exception."""
    async with pool.acquire(timeout=10) as connection, connection.transaction():
        yield connection


class UnknownSchema(Exception):
    """The database holds a schema this build does not know: it must not be written to."""

    def __init__(self, schema: str, name: str) -> None:
        super().__init__(
            f"schema {schema}: migration {name} is unknown to this build or was changed; upgrade the build"
        )
        self.schema, self.name = schema, name


async def migrate(pool: Pool, schema: str, package: str) -> None:
    """Apply the numbered SQL files of trunkline_common and `package`, each once, under an advisory lock."""
    wanted = await asyncio.to_thread(_wanted, package)
    async with transaction(pool) as tx:
        await tx.execute("set local lock_timeout = '60s'")
        await unlimited(tx)
        await tx.execute("select pg_advisory_xact_lock(hashtext($1))", f"trunkline.migrate.{schema}")
        await tx.execute(f'create schema if not exists "{schema}"')
        await tx.execute("create table if not exists schema_version (name text primary key, sha256 text not null)")
        applied = {r["name"]: r["sha256"] for r in await tx.fetch("select name, sha256 from schema_version")}
        for name, sha in applied.items():
            if name not in wanted or _sha(wanted[name]) != sha:
                raise UnknownSchema(schema, name)
        for name in (n for n in wanted if n not in applied):
            await tx.execute(wanted[name])
            await tx.execute("insert into schema_version values ($1, $2)", name, _sha(wanted[name]))


def _wanted(package: str) -> dict[str, str]:
    return {f"{p}/{name}": sql for p in ("trunkline_common", package) for name, sql in _migrations(p)}


def _migrations(package: str) -> list[tuple[str, str]]:
    folder = files(package).joinpath("migrations")
    return sorted((f.name, f.read_text()) for f in folder.iterdir() if f.name.endswith(".sql"))


def _sha(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()
