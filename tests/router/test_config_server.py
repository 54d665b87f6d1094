"""How a document comes to the owner of the tenant."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.config.v1.config_service_pb2 import ApplyConfigRequest, ApplyConfigResponse
from trunkline_common.auth import Caller, set_caller
from trunkline_common.errors import Refused
from trunkline_router import config
from trunkline_router.config_server import ConfigServer

from tests import kit

DOCUMENT = "teams: [{id: billing}]"


class Gate:
    """Keeps what the owner is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def ask(self, key: str, content: Any, _context: Any, _forward: Any) -> ApplyConfigResponse:
        """Any document is version 7."""
        self.asked.append((key, content.config))
        return ApplyConfigResponse(version=7)


async def test_a_document_is_read_once_and_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one takes half a second, in which everybody else would wait; the owner gets what was read."""
    gate, parse, readers = Gate(), config.parse, list[threading.Thread]()

    def watched(text: str, tenant: str, at: datetime | None = None) -> TenantConfig:
        readers.append(threading.current_thread())
        return parse(text, tenant, at)

    monkeypatch.setattr(config, "parse", watched)
    set_caller(Caller("acme", "admin", "root", ""))
    server = ConfigServer(gate, None)  # type: ignore[arg-type] # the owner is not there, and no other document
    answer = await server.ApplyConfig(ApplyConfigRequest(request_id=kit.new_id(), yaml=DOCUMENT), None)  # type: ignore[arg-type] # no call
    assert answer.version == 7
    assert gate.asked == [("acme", parse(DOCUMENT, "acme"))]
    await server.ApplyConfig(ApplyConfigRequest(yaml=DOCUMENT, validate_only=True), None)  # type: ignore[arg-type] # no call
    with pytest.raises(Refused, match="refused"):
        await server.ApplyConfig(ApplyConfigRequest(request_id=kit.new_id(), yaml="teams: 7"), None)  # type: ignore[arg-type] # no call
    assert len(gate.asked) == 1
    assert len(readers) == 3
    assert threading.main_thread() not in readers
