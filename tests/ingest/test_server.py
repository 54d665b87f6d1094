"""IngestService: what is asked of a message, and the answer while Kafka is down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.ingest.v1.ingest_service_pb2 import PublishMessageRequest
from trunkline.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline_common import rpc
from trunkline_common.auth import Authenticator
from trunkline_ingest import server

from deploy.local.keys import AUDIENCE, ISSUER, Keys, Role
from tests.ingest.given import NOW, FakePublisher, config, directory


class Caller:
    """Calls the real server, whose publisher is in memory."""

    def __init__(self, stub: Any, keys: Keys, publisher: FakePublisher) -> None:
        self._stub, self._keys, self.publisher = stub, keys, publisher

    async def publish(self, role: Role = "integrator", caller_of: str = "acme", **fields: Any) -> Any:
        """Publish a good message, but for the fields given."""
        good: dict[str, Any] = {
            "account": "own-app",
            "message_id": "1",
            "thread_key": "t",
            "contact": Contact(address="ida"),
            "content": Content(text="hi"),
        }
        token = self._keys.mint(role, caller_of, "crm", timedelta(hours=1))
        request = PublishMessageRequest(message=IngressMessage(**{**good, **fields}))
        return await self._stub.PublishMessage(request, metadata=[("authorization", f"Bearer {token}")], timeout=5)

    async def refused(self, **fields: Any) -> tuple[str, str, set[str]]:
        """(status code, reason, wrong fields) of a call that is refused."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.publish(**fields)
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        status = rpc_status.from_call(error.value)
        for detail in status.details if status else ():
            detail.Unpack(info)
            detail.Unpack(bad)
        return error.value.code().name, info.reason, {v.field for v in bad.field_violations}


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    """A server that knows tenant acme."""
    keys, publisher = Keys(tmp_path), FakePublisher()
    service = server.service(directory(config()), publisher, lambda: NOW)
    async with (
        rpc.serve("127.0.0.1:0", Authenticator(str(keys.jwks), ISSUER, AUDIENCE), [service]) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield Caller(IngestServiceStub(channel), keys, publisher)


async def test_the_same_message_is_one_event(caller: Caller) -> None:
    first, again = await caller.publish(), await caller.publish(role="service")
    assert (first.event_id, first.conversation_id) == (again.event_id, again.conversation_id)
    event = caller.publisher.events[0]
    assert (event.event_id, event.tenant, event.channel, event.pool) == (first.event_id, "acme", "app", "acme/default")
    assert caller.publisher.messages[0].key == b"acme/default"


async def test_kafka_down_is_unavailable(caller: Caller) -> None:
    caller.publisher.down = True
    assert (await caller.refused())[:2] == ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")


@pytest.mark.parametrize("role", ["agent", "supervisor", "admin"])
async def test_only_integrators_and_services_publish(caller: Caller, role: Role) -> None:
    assert (await caller.refused(role=role))[:2] == ("PERMISSION_DENIED", "ROLE_FORBIDDEN")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"account": ""}, {"message.account"}),
        ({"message_id": "", "thread_key": ""}, {"message.message_id", "message.thread_key"}),
        ({"contact": None}, {"message.contact.address"}),
        ({"thread_key": "  "}, {"message.thread_key"}),
        ({"content": Content()}, {"message.content"}),
        ({"tenant": "other"}, {"message.tenant"}),
        ({"language": "German, mostly"}, {"message.language"}),
        ({"priority": "gold"}, {"message.priority"}),
        ({"tags": [""]}, {"message.tags"}),
        ({"attributes": {"n": "7" * 1001}}, {"message.attributes.n"}),
    ],
)
async def test_wrong_fields_are_named(caller: Caller, fields: dict[str, Any], wrong: set[str]) -> None:
    assert await caller.refused(**fields) == ("INVALID_ARGUMENT", "INVALID_REQUEST", wrong)


async def test_an_account_of_nobody_is_not_found(caller: Caller) -> None:
    assert (await caller.refused(account="x"))[:2] == ("NOT_FOUND", "ACCOUNT_NOT_FOUND")


async def test_the_tenant_is_the_tokens(caller: Caller) -> None:
    assert (await caller.refused(caller_of="other"))[:2] == ("FAILED_PRECONDITION", "TENANT_NOT_CONFIGURED")
    assert (await caller.publish(tenant="acme")).event_id
    assert caller.publisher.events[0].tenant == "acme"


async def test_text_is_cleaned(caller: Caller) -> None:
    await caller.publish(content=Content(text="e\u0301\x00"))
    assert caller.publisher.events[0].message.content.text == "é"


async def test_what_is_known_of_the_conversation_goes_with_it(caller: Caller) -> None:
    await caller.publish(language="de", tags=["vip"], attributes={"order": "7"}, priority="urgent")
    found = caller.publisher.events[0].message
    assert (found.language, list(found.tags), dict(found.attributes), found.priority) == (
        "de",
        ["vip"],
        {"order": "7"},
        "urgent",
    )
