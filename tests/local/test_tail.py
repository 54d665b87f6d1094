"""Records are shown as what they are."""

from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from trunkline.config.v1.config_pb2 import Pool, TenantConfig

from deploy.local import envfile, tail


def _record(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> ConsumerRecord:
    return ConsumerRecord("t", 3, 7, 1000, 0, b"k", value, None, 1, len(value or b""), headers)


def test_a_message_is_decoded_as_declared() -> None:
    config = TenantConfig(tenant="demo", version=2, pools=[Pool(id="p")])
    shown = tail.describe(_record(config.SerializeToString()), tail.decoder("trunkline.config.v1"))
    assert shown["value"] == {"tenant": "demo", "version": "2", "pools": [{"id": "p"}]}
    assert (shown["key"], shown["partition"], shown["offset"]) == ("k", 3, 7)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, None), (b"plain", "plain"), (b"\xff\x00", "base64:/wA="), (b'{"a":1}', '{"a":1}')]
)
def test_bytes_are_shown_as_text_where_they_are_text(value: bytes | None, shown: object) -> None:
    assert tail.describe(_record(value), tail.decoder("trunkline.inbound.dlq.v1"))["value"] == shown


def test_json_is_shown_as_json_whatever_is_declared() -> None:
    record = _record(b'{"a": 1}', (("content-type", b"application/cloudevents+json"),))
    assert tail.describe(record, tail.decoder("trunkline.ingress.v1"))["value"] == {"a": 1}


def test_what_cannot_be_decoded_is_shown_too() -> None:
    shown = tail.describe(_record(b"\xff\xff"), tail.decoder("trunkline.config.v1"))
    assert shown["value"] == {"undecodable": "base64://8="}


def test_without_a_stack_it_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        tail.main(["trunkline.config.v1", "--folder", str(tmp_path)])
    assert end.value.code == 2
    assert "make up" in capsys.readouterr().err


def test_the_env_file_is_read_as_written(tmp_path: Path) -> None:
    env = {"DATABASE_URL": "postgresql://u:a=b@h/x", "INGEST_GRPC": "127.0.0.1:1"}
    envfile.write(env, tmp_path)
    assert envfile.read(tmp_path) == env
    assert envfile.read(tmp_path / "none") == {}
