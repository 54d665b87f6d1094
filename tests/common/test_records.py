"""What goes to Kafka and comes back: partitions, CloudEvents headers, dead letters, floods of invalid records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from aiokafka.partitioner import DefaultPartitioner
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from hypothesis import given
from hypothesis import strategies as st
from trunkline_common import cloudevents
from trunkline_common.deadletters import Rejected, dead_letter
from trunkline_common.errors import InvalidMessage, PoisonFlood
from trunkline_common.kafka import Outgoing, Record, TopicPartition, partition_for
from trunkline_common.poison import Poison
from trunkline_common.processor import decode

TP = TopicPartition("trunkline.inbound.v1", 3)
AT = datetime(2026, 3, 2, 9, 0, 0, 250_000, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#: Hashes from the tests of the Java client (UtilsTest.testMurmur2), modulo 2**31 as toPositive does.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def record(offset: int = 7, value: bytes | None = b"\x00\xff") -> Record:
    """A record as read."""
    return Record(TP.topic, TP.partition, offset, b"acme/default", value, {"ce_id": b"e1", "odd": b"\xfe"}, 1700)


@pytest.mark.parametrize("key", JAVA, ids=bytes.decode)
def test_a_key_goes_where_the_java_client_puts_it(key: bytes) -> None:
    """Anything that produces to our topics and anything of ours agree."""
    for partitions in (1, 24, 100):
        assert partition_for(key, partitions) == (JAVA[key] & 0x7FFFFFFF) % partitions


@given(st.binary(max_size=64), st.integers(1, 100))
def test_a_key_goes_where_aiokafkas_partitioner_puts_it(key: bytes, partitions: int) -> None:
    """For any key."""
    every = list(range(partitions))
    assert partition_for(key, partitions) == DefaultPartitioner()(key, every, every)


def test_another_implementation_of_cloudevents_reads_our_headers() -> None:
    """The CloudEvents SDK sees every attribute, in binary mode."""
    found = cloudevents.headers(
        event_id="e1",
        message="trunkline.conversations.v1.OfferMade",
        source="router",
        subject="c1",
        time=AT,
        tenant="acme",
        traceparent=TRACE,
    )
    event = from_binary_event(KafkaMessage(headers=dict(found), key=b"c1", value=b"\x0a\xff"))
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": "e1",
        "type": "trunkline.conversations.v1.OfferMade",
        "source": "trunkline/router",
        "subject": "c1",
        "time": AT,
        "datacontenttype": "application/protobuf",
        "tenant": "acme",
        "traceparent": TRACE,
        "partitionkey": "c1",
    }
    assert event.get_data() == b"\x0a\xff"


def test_the_trace_is_in_the_hops_header_and_in_the_events_own() -> None:
    """And in neither where the fact was not traced."""
    traced = cloudevents.headers(event_id="", message="", source="", subject="", time=AT, tenant="", traceparent=TRACE)
    assert traced["traceparent"] == traced["ce_traceparent"] == TRACE.encode()
    plain = cloudevents.headers(event_id="", message="", source="", subject="", time=AT, tenant="")
    assert not {"traceparent", "ce_traceparent"} & set(plain)


def test_a_header_that_is_not_text_reads_as_what_it_can() -> None:
    """Headers come from strangers too."""
    assert cloudevents.text({"ce_type": b"\xffx"}, "ce_type").endswith("x")
    assert cloudevents.text({}, "ce_type") == ""


def test_a_dead_letter_is_the_record_as_it_was_and_why() -> None:
    """Key, value and headers byte for byte; the reason beside them."""
    found = dead_letter(Rejected(record(), "MISSING_FIELD", "event_id"), "trunkline.inbound.dlq.v1", "router")
    assert found == Outgoing(
        "trunkline.inbound.dlq.v1",
        b"acme/default",
        b"\x00\xff",
        {
            "ce_id": b"e1",
            "odd": b"\xfe",
            "dlq.reason": b"MISSING_FIELD",
            "dlq.detail": b"event_id",
            "dlq.group": b"router",
            "dlq.topic": b"trunkline.inbound.v1",
            "dlq.partition": b"3",
            "dlq.offset": b"7",
            "dlq.timestamp": b"1700",
        },
    )


def test_a_long_detail_is_cut() -> None:
    """A header is not the place for a document."""
    assert len(dead_letter(Rejected(record(), "X", "y" * 5000), "t", "g").headers["dlq.detail"]) == 1024


def test_records_that_do_not_decode_are_told_from_those_that_do() -> None:
    """In order, with reason and detail."""

    def parse(found: Record) -> int:
        if found.offset % 2:
            raise InvalidMessage("ODD", str(found.offset))
        return found.offset

    records = [record(offset) for offset in range(4)]
    parsed, rejected = decode(records, parse)
    assert parsed == [(records[0], 0), (records[2], 2)]
    assert rejected == [Rejected(records[1], "ODD", "1"), Rejected(records[3], "ODD", "3")]


def flood(batches: list[list[bool]]) -> int:
    """How many batches pass before the partition stops; True is an invalid record."""
    poison, offset = Poison(), 0
    for number, batch in enumerate(batches):
        records = [record(offset + place) for place in range(len(batch))]
        offset += len(batch)
        try:
            poison.check(TP, records, [Rejected(r, "X", "") for r, bad in zip(records, batch, strict=True) if bad])
        except PoisonFlood:
            return number
    return len(batches)


def test_fifty_invalid_records_in_a_row_stop_the_partition() -> None:
    """Over batches too; one good record between them begins the count anew."""
    assert flood([[True] * 49]) == 1
    assert flood([[True] * 50]) == 0
    assert flood([[True] * 30, [True] * 20]) == 1
    assert flood([[False] * 10_000, [True] * 49, [False], [True] * 49]) == 4


def test_more_than_one_percent_stops_the_partition_once_there_is_evidence() -> None:
    """Single defects pass, however early they come."""
    assert flood([[True], [False] * 10, [True]]) == 3
    assert flood([([False] * 99 + [True])] * 60) == 60
    assert flood([([False] * 89 + [True])] * 60) == 49


def test_records_refused_for_a_cause_of_their_own_stop_nobody() -> None:
    """One tenant without a configuration is no sign of a broken writer: the others of the partition go on (P6)."""
    records = [record(offset) for offset in range(200)]
    poison = Poison()
    poison.check(TP, records, [Rejected(r, "UNKNOWN_POOL", "", poison=False) for r in records])
    assert poison.invalid == 0


def test_a_stopped_partition_is_named() -> None:
    """For whoever is paged."""
    records = [record(offset) for offset in range(50)]
    with pytest.raises(PoisonFlood, match=r"trunkline.inbound.v1\[3\]: 50 of 50 records invalid"):
        Poison().check(TP, records, [Rejected(r, "X", "") for r in records])
