"""A local web server as an async context manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, web

from tests.doubles.faults import Faults


class WebDouble(Faults, ABC):
    """`routes` says what it serves; `url` where it is while the block lasts; `http` calls back."""

    def __init__(self) -> None:
        super().__init__()
        self.url = ""

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """What is served."""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.add_routes(self.routes())
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self.http = ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.set()
        await self.http.close()
        await self._runner.cleanup()
