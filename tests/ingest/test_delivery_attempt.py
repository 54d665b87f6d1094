"""One attempt, its pauses, and what outlives the state of a partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_pb2 import ChannelAccount, TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_FAILED, DELIVERY_STATUS_SENT, InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_ingest import ids
from trunkline_ingest.channels.form import ADAPTER
from trunkline_ingest.channels.sending import SendContext, SendFailed, SendRefused, Sent
from trunkline_ingest.delivery import secrets
from trunkline_ingest.delivery_attempt import Attempts, Provider
from trunkline_ingest.delivery_policy import GIVE_UP_AFTER, LONGEST_ASKED, LONGEST_PAUSE, MOST_ATTEMPTS, next_attempt
from trunkline_ingest.delivery_store import Finished, New, Outcome, Postponed, Waiting
from trunkline_ingest.delivery_wire import parse, receipt

from tests.ingest.intake_samples import NOW, tenants

MESSAGE = OutboundMessage(
    message_id="m-1",
    tenant="acme",
    conversation_id="c-1",
    channel="whatsapp",
    account="shop",
    to=Contact(address="+15550100"),
    content=Content(text="hi"),
    pool="acme/main",
)
WAITING = Waiting(MESSAGE, "", NOW, 0, NOW)
CONFIG = TenantConfig(tenant="acme", version=1, accounts=[ChannelAccount(id="shop", channel="whatsapp")])


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - NOW).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "retry_after", "pause"),
    [
        (1, None, 1),
        (2, None, 2),
        (5, None, 16),
        (9, None, 256),
        (10, None, LONGEST_PAUSE.total_seconds()),
        (19, None, LONGEST_PAUSE.total_seconds()),
        (1, 30.0, 30),
        (9, 30.0, 256),
        (1, 1e9, LONGEST_ASKED.total_seconds()),
        (1, -5.0, 1),
        (MOST_ATTEMPTS, None, None),
        (MOST_ATTEMPTS, 5.0, None),
    ],
)
def test_pauses_double_up_to_five_minutes_and_end_after_twenty_attempts(
    attempts: int, retry_after: float | None, pause: float | None
) -> None:
    assert seconds(next_attempt(attempts, NOW, NOW, retry_after)) == pause


def test_a_message_older_than_the_limit_is_given_up_at_its_first_failure() -> None:
    assert next_attempt(1, NOW - GIVE_UP_AFTER, NOW, None) is None
    assert next_attempt(1, NOW - GIVE_UP_AFTER + timedelta(seconds=1), NOW, None) is not None


def provider(answer: Callable[[], Sent], *configs: TenantConfig) -> Provider:
    async def send(_message: OutboundMessage, _account: ChannelAccount, _context: SendContext) -> Sent:
        return answer()

    context = SendContext(http=None, whatsapp_base_url="", twilio_base_url="", smtp_relay="", secret=lambda *_: "")  # type: ignore[arg-type] # the fake does not use it
    return Provider({"whatsapp": replace(ADAPTER, send=send)}, tenants(*configs or (CONFIG,)), context, lambda: NOW)


def failing(error: Exception) -> Provider:
    def answer() -> Sent:
        raise error

    return provider(answer)


async def test_a_message_that_the_provider_took_is_finished() -> None:
    outcome = await provider(lambda: Sent("wamid.1")).attempt(replace(WAITING, attempts=2))
    assert outcome == Finished(MESSAGE, 3, "wamid.1", "", "")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SendRefused("HTTP 400, code 131026"), Finished(MESSAGE, 1, "", "HTTP 400, code 131026", "")),
        (SendFailed("HTTP 503"), Postponed("m-1", 1, NOW + timedelta(seconds=1))),
        (SendFailed("HTTP 429", 40), Postponed("m-1", 1, NOW + timedelta(seconds=40))),
        (TimeoutError(), Postponed("m-1", 1, NOW + timedelta(seconds=1))),
        (aiohttp.ServerDisconnectedError(), Postponed("m-1", 1, NOW + timedelta(seconds=1))),
        (KeyError("a defect of the channel"), Postponed("m-1", 1, NOW + timedelta(seconds=1))),
    ],
)
async def test_a_refusal_ends_a_message_and_anything_else_postpones_it(error: Exception, outcome: Outcome) -> None:
    assert await failing(error).attempt(WAITING) == outcome


async def test_the_last_failed_attempt_ends_a_message_with_its_reason() -> None:
    outcome = await failing(SendFailed("HTTP 503")).attempt(replace(WAITING, attempts=MOST_ATTEMPTS - 1))
    assert outcome == Finished(MESSAGE, MOST_ATTEMPTS, "", "HTTP 503", "")


async def test_a_channel_that_cannot_send_refuses() -> None:
    own = OutboundMessage()
    own.CopyFrom(MESSAGE)
    own.channel = "crm"
    outcome = await provider(lambda: Sent("")).attempt(replace(WAITING, message=own))
    assert outcome == Finished(own, 1, "", "channel crm cannot send", "")


async def test_an_account_that_is_not_configured_yet_is_waited_for() -> None:
    nobody = provider(lambda: Sent(""), TenantConfig(tenant="acme", version=1))
    assert isinstance(await nobody.attempt(WAITING), Postponed)


async def test_an_attempt_that_outlives_its_sender_is_not_made_twice() -> None:
    made, taken = [], asyncio.Event()

    async def attempt(waiting: Waiting) -> Outcome:
        made.append(waiting.message.message_id)
        await taken.wait()
        return Finished(waiting.message, 1, "wamid.1", "", "")

    attempts = Attempts(attempt)
    first = asyncio.ensure_future(attempts.outcome(WAITING))
    await asyncio.sleep(0)
    first.cancel()
    again = asyncio.ensure_future(attempts.outcome(WAITING))
    taken.set()
    assert (await again, made) == (Finished(MESSAGE, 1, "wamid.1", "", ""), ["m-1"])
    assert await attempts.settle(1) == [await again]
    attempts.drop_done()
    assert await attempts.settle(1) == []


async def test_an_attempt_that_takes_too_long_is_left_behind() -> None:
    async def attempt(_waiting: Waiting) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    attempts = Attempts(attempt)
    sender = asyncio.ensure_future(attempts.outcome(WAITING))
    await asyncio.sleep(0)
    assert await attempts.settle(0.01) == []
    sender.cancel()
    attempts.cancel()


def test_receipts_carry_pool_and_message_and_an_id_that_the_providers_own_receipt_has() -> None:
    sent = receipt(Finished(MESSAGE, 1, "wamid.1", "", ""), NOW)
    event = InboundEvent.FromString(sent.value or b"")
    assert sent.key == b"acme/main"
    assert event.event_id == ids.event_id("acme", "whatsapp", "shop", "wamid.1", "receipt.sent")
    assert (event.conversation_id, event.receipt.message_id) == ("c-1", "m-1")
    assert event.receipt.status == DELIVERY_STATUS_SENT

    failed = InboundEvent.FromString(receipt(Finished(MESSAGE, 3, "", "HTTP 400", ""), NOW).value or b"")
    assert failed.event_id == ids.event_id("acme", "whatsapp", "shop", "m-1", "receipt.failed")
    assert (failed.receipt.status, failed.receipt.error) == (DELIVERY_STATUS_FAILED, "HTTP 400")


def test_an_outbound_record_that_names_no_pool_is_invalid() -> None:
    def record(value: bytes | None) -> Record:
        return Record("trunkline.outbound.v1", 0, 7, b"k", value, {}, 0, "trace")

    new = parse(record(MESSAGE.SerializeToString()))
    assert isinstance(new, New)
    assert (new.message_id, new.place, new.account, new.traceparent) == ("m-1", 7, "acme/whatsapp/shop", "trace")
    nameless = OutboundMessage()
    nameless.CopyFrom(MESSAGE)
    nameless.pool = ""
    for value, detail in (
        (nameless.SerializeToString(), "missing: pool"),
        (b"\xff", "OutboundMessage"),
        (None, "missing"),
    ):
        with pytest.raises(InvalidMessage, match=detail):
            parse(record(value))


def test_secrets_are_read_anew_and_only_from_the_tenants_own_folder(tmp_path: Path) -> None:
    for tenant in ("acme", "other"):
        (tmp_path / "in" / tenant).mkdir(parents=True)
    (tmp_path / "outside").write_text("x")
    (tmp_path / "in" / "shared").write_text("x")
    (tmp_path / "in" / "other" / "theirs").write_text("x")
    read = secrets(tmp_path / "in")
    for value in ("one", "two"):
        (tmp_path / "in" / "acme" / "token").write_text(f"{value}\n")
        assert read("acme", "token") == value
    for name in ("theirs", "../other/theirs", "../shared", "../../outside", "", ".", "..", str(tmp_path / "outside")):
        with pytest.raises(SendFailed):
            read("acme", name)
    for tenant in ("", ".", "..", "../in/acme", "acme/../acme", str(tmp_path / "in" / "acme")):
        with pytest.raises(SendFailed):
            read(tenant, "token")
