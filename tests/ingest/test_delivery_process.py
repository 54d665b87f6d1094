"""The real delivery process between the outbound topic and a provider that fails, hangs and recovers."""

from __future__ import annotations

import secrets
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_pb2 import ChannelAccount, TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_FAILED, DELIVERY_STATUS_SENT, InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline_common.faultpoints import CrashPoint
from trunkline_common.kafka import Outgoing, Producer, partition_for

from deploy.local.services import Services, secrets_folder
from deploy.local.stack import Stack
from tests.doubles.graph import GraphDouble
from tests.faults.builds import PATIENCE_S, Build, FaultFile, sabotage
from tests.kit import eventually, read_topic

pytestmark = pytest.mark.stack
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Shop:
    """A tenant with two WhatsApp accounts whose messages share a partition, and the provider behind them."""

    def __init__(self, stack: Stack, services: Services, graph: GraphDouble, producer: Producer) -> None:
        self.stack, self.services, self.graph, self._producer = stack, services, graph, producer
        self.tenant = f"t-{uuid.uuid4().hex[:8]}"
        self.fault = FaultFile(stack.folder / "faults" / self.tenant)
        names = [f"9{n}" for n in range(200)]
        place = {name: partition_for(self._key(name), 24) for name in names}
        self.bad = names[0]
        self.good = next(name for name in names[1:] if place[name] == place[self.bad])

    def _key(self, account: str) -> bytes:
        return f"{self.tenant}/whatsapp/{account}".encode()

    async def register(self) -> None:
        accounts = [
            ChannelAccount(id=name, channel="whatsapp", team="support", secrets={"access_token": "graph"})
            for name in (self.bad, self.good)
        ]
        found = TenantConfig(tenant=self.tenant, version=1, accounts=accounts)
        await self._producer.send(
            Outgoing("trunkline.config.v1", f"{self.tenant}/1".encode(), found.SerializeToString()), timeout=15
        )

    async def start(self, build: Build = "") -> None:
        address = {"TRUNKLINE_WHATSAPP_BASE_URL": self.graph.url, "TRUNKLINE_INSTANCE": "delivery"}
        await self.services.start("delivery", env={**address, **self.fault.env, **sabotage(build)})

    async def write(self, account: str, *texts: str) -> None:
        """Have texts sent, as the router would; a text is also its message's id."""
        for text in texts:
            message = OutboundMessage(
                message_id=f"{self.tenant}-{account}-{text}",
                tenant=self.tenant,
                conversation_id=str(uuid.uuid4()),
                channel="whatsapp",
                account=account,
                to=Contact(address="+15550100"),
                content=Content(text=text),
                pool=f"{self.tenant}/main",
            )
            record = Outgoing(
                "trunkline.outbound.v1", self._key(account), message.SerializeToString(), {"traceparent": TRACE}
            )
            await self._producer.send(record, timeout=15)

    async def type(self, account: str, wamid: str) -> None:
        """Have it shown that an agent types, as the router would."""
        typing = TypingIndicator(
            on=True,
            tenant=self.tenant,
            conversation_id=str(uuid.uuid4()),
            channel="whatsapp",
            account=account,
            provider_message_id=wamid,
        )
        typing.created_at.GetCurrentTime()
        kind = {"ce_type": b"trunkline.outbound.v1.TypingIndicator"}
        record = Outgoing("trunkline.outbound.v1", self._key(account), typing.SerializeToString(), kind)
        await self._producer.send(record, timeout=15)

    def taken(self, account: str) -> list[str]:
        return [m.text for m in self.graph.received if m.phone_number_id == account]

    async def sent(self, account: str, count: int) -> list[str]:
        async def look() -> list[str]:
            self.services.process("delivery").check()
            found = self.taken(account)
            return found if len(found) >= count else []

        return await eventually(look, seconds=PATIENCE_S, what=f"{count} messages of {account}")

    async def receipts(self, count: int) -> list[tuple[InboundEvent, Any]]:
        async def look() -> list[tuple[InboundEvent, Any]]:
            records = await read_topic(self.stack.bootstrap, "trunkline.inbound.v1")
            found = [(InboundEvent.FromString(r.value), r) for r in records]
            mine = [(event, r) for event, r in found if event.tenant == self.tenant]
            return mine if len(mine) >= count else []

        return await eventually(look, seconds=PATIENCE_S, what=f"{count} receipts")


@pytest.fixture
async def closed_shop(stack: Stack, services: Services) -> AsyncIterator[Shop]:
    token = secrets.token_hex(16)
    async with (
        GraphDouble(access_token=token, app_secret=secrets.token_hex(16)) as graph,
        Producer(stack.bootstrap, "test") as producer,
    ):
        found = Shop(stack, services, graph, producer)
        (secrets_folder(stack.folder, found.tenant) / "graph").write_text(token)
        await found.register()
        yield found
        await services.stop_all()


@pytest.fixture
async def shop(closed_shop: Shop) -> Shop:
    await closed_shop.start()
    return closed_shop


async def test_order_is_kept_over_a_failing_provider_and_other_accounts_are_not_held_up(shop: Shop) -> None:
    shop.graph.fail(3, 503, account=shop.bad)
    texts = [f"text {n}" for n in range(6)]
    await shop.write(shop.bad, *texts)
    await shop.write(shop.good, *texts, "text 0")  # the last is a duplicate record

    assert await shop.sent(shop.good, 6) == texts
    assert shop.taken(shop.bad) == []  # its first message is still being tried again
    assert await shop.sent(shop.bad, 6) == texts

    receipts = await shop.receipts(12)
    assert {r.receipt.status for r, _ in receipts} == {DELIVERY_STATUS_SENT}
    assert len({r.receipt.message_id for r, _ in receipts}) == len(receipts) == 12
    assert {record.key for _, record in receipts} == {f"{shop.tenant}/main".encode()}
    assert {r.provider_message_id for r, _ in receipts} == {m.id for m in shop.graph.received}
    assert {dict(record.headers)["traceparent"] for _, record in receipts} == {TRACE}


async def test_a_refused_message_is_reported_and_the_next_one_is_sent(shop: Shop) -> None:
    shop.graph.refuse(1, account=shop.good)
    await shop.write(shop.good, "refused", "taken")
    assert await shop.sent(shop.good, 1) == ["taken"]
    receipts = {r.receipt.message_id.split("-")[-1]: r.receipt for r, _ in await shop.receipts(2)}
    assert receipts["refused"].status == DELIVERY_STATUS_FAILED
    assert receipts["refused"].error == "HTTP 400, code 131026"
    assert receipts["taken"].status == DELIVERY_STATUS_SENT


async def test_typing_is_shown_and_is_no_message(shop: Shop) -> None:
    """There is no receipt, each is shown once, and messages go on."""

    async def shown() -> bool:
        await shop.type(shop.good, f"wamid.{uuid.uuid4().hex}")  # again: on a busy machine one may come too late
        return bool(shop.graph.typing)

    await eventually(shown, what="an indicator shown")
    await shop.write(shop.good, "after")
    assert [r.receipt.message_id for r, _ in await shop.receipts(1)] == [f"{shop.tenant}-{shop.good}-after"]
    assert len(shop.graph.typing) == len(set(shop.graph.typing))


async def test_a_killed_process_loses_nothing_and_keeps_the_order(shop: Shop) -> None:
    texts = [f"text {n}" for n in range(5)]
    shop.graph.open.clear()
    await shop.write(shop.good, *texts)
    await eventually(_attempted(shop), what="an attempt in the air")
    await shop.services.kill("delivery", signal.SIGKILL)
    shop.graph.open.set()  # the provider takes what it was given, and nobody is there to note it
    await shop.start()

    assert list(dict.fromkeys(await shop.sent(shop.good, 6))) == texts
    assert shop.taken(shop.good).count("text 0") == 2  # at least once: nobody can know that it had been taken
    assert len(shop.taken(shop.good)) == 6
    assert len({r.receipt.message_id for r, _ in await shop.receipts(5)}) == 5


async def test_a_stopped_process_notes_what_is_in_the_air_so_that_it_is_sent_once(shop: Shop) -> None:
    shop.graph.open.clear()
    await shop.write(shop.good, "first", "second")
    await eventually(_attempted(shop), what="an attempt in the air")
    shop.services.process("delivery").send(signal.SIGTERM)
    await eventually(_released(shop), what="that no partition is owned")
    shop.graph.open.set()
    assert await shop.services.process("delivery").wait(20) == 0
    assert shop.taken(shop.good) == ["first"]

    await shop.start()
    assert await shop.sent(shop.good, 2) == ["first", "second"]
    assert len(await shop.receipts(2)) == 2


async def test_a_message_that_was_sent_while_the_database_refuses_to_note_it_is_not_sent_again(shop: Shop) -> None:
    shop.graph.open.clear()
    await shop.write(shop.good, "first", "second")
    await eventually(_attempted(shop), what="an attempt in the air")
    connection = await asyncpg.connect(shop.stack.database_url)
    try:
        async with connection.transaction():
            await connection.execute("lock table ingest.delivery_message in exclusive mode")
            shop.graph.open.set()
            await eventually(_kept(shop), what="a batch that could not be committed")
            assert shop.taken(shop.good) == ["first"]
    finally:
        await connection.close()
    assert await shop.sent(shop.good, 2) == ["first", "second"]
    assert len(await shop.receipts(2)) == 2


async def killed(
    shop: Shop, point: CrashPoint, nth: int = 1, *, first: Build = "", then: Build = "", again: bool = False
) -> list[str]:
    """Delivery kills itself with the first of four messages in hand and a second process goes on; what was written.

    `again` writes what is in hand a second time, as a relay of the router does that was killed before it deleted.
    """
    await shop.start(first)
    texts = [f"text {n}" for n in range(4)]
    await shop.write(shop.good, "before")
    await shop.receipts(1)
    shop.fault.arm("CRASH_AT", point, nth)
    await shop.write(shop.good, texts[0])
    await shop.fault.bites(shop.services.process("delivery"))
    await shop.start(then)
    await shop.write(shop.good, *texts[: int(again)], *texts[1:], "after")
    await eventually(_taken(shop, "after"), seconds=PATIENCE_S, what="the last message taken")
    return ["before", *texts, "after"]


def check_taken(taken: Sequence[str], texts: Sequence[str], *, twice: Sequence[str] = ()) -> None:
    """Each text once, in order; those in `twice` a second time right after."""
    assert set(texts) <= set(taken), "messages lost"
    expected = [copy for text in texts for copy in [text] * (1 + (text in twice))]
    assert list(taken) == expected, "messages sent twice or out of order"


@pytest.mark.faults
@pytest.mark.parametrize("point", ["batch.before_commit", "batch.after_commit", "relay.after_send"])
async def test_a_kill_at_any_point_loses_nothing_and_sends_once(closed_shop: Shop, point: CrashPoint) -> None:
    """Before and after the COMMIT that takes a message, and after its receipt is published: that one comes twice."""
    texts = await killed(closed_shop, point, again=point != "batch.before_commit")
    check_taken(closed_shop.taken(closed_shop.good), texts)
    receipts = await closed_shop.receipts(len(texts) + (point == "relay.after_send"))
    assert len({r.receipt.message_id for r, _ in receipts}) == len({r.event_id for r, _ in receipts}) == len(texts)


@pytest.mark.faults
async def test_what_was_sent_and_not_noted_before_a_kill_is_sent_again_and_receipted_once(closed_shop: Shop) -> None:
    """Killed before the COMMIT of the outcome: nobody can know that the provider has taken it."""
    texts = await killed(closed_shop, "batch.before_commit", nth=2)
    check_taken(closed_shop.taken(closed_shop.good), texts, twice=["text 0"])
    assert len({r.event_id for r, _ in await closed_shop.receipts(len(texts))}) == len(texts)


@pytest.mark.faults
async def test_a_delivery_that_commits_its_offset_first_loses_messages(closed_shop: Shop) -> None:
    texts = await killed(closed_shop, "batch.before_commit", first="commit_first")
    with pytest.raises(AssertionError, match="messages lost"):
        check_taken(closed_shop.taken(closed_shop.good), texts)


@pytest.mark.faults
async def test_a_delivery_that_forgets_message_ids_sends_copies(closed_shop: Shop) -> None:
    texts = await killed(closed_shop, "batch.after_commit", then="no_dedupe", again=True)
    with pytest.raises(AssertionError, match="messages sent twice"):
        check_taken(closed_shop.taken(closed_shop.good), texts)


def _taken(shop: Shop, text: str) -> Any:
    async def look() -> bool:
        return text in shop.taken(shop.good)

    return look


def _attempted(shop: Shop) -> Any:
    async def look() -> bool:
        return shop.graph.attempts > 0

    return look


def _released(shop: Shop) -> Any:
    async def look() -> bool:
        connection = await asyncpg.connect(shop.stack.database_url)
        try:
            owned = "select count(*) from ingest.consumer_partition where grp = 'delivery' and owner <> ''"
            return int(await connection.fetchval(owned)) == 0
        finally:
            await connection.close()

    return look


def _kept(shop: Shop) -> Any:
    async def look() -> bool:
        return "batch kept, trying again" in shop.services.process("delivery").tail(2)

    return look
