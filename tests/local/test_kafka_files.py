"""The cache is complete or empty, and once it is complete nothing is fetched."""

import sys
from pathlib import Path

import pytest

from deploy.local import kafka_files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUNKLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _fetch(scratch: Path) -> Path:
    jars = scratch / "jars"
    jars.mkdir()
    (jars / "kafka.jar").touch()
    return jars


def test_an_interrupted_fetch_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(scratch: Path) -> Path:
        _fetch(scratch)
        raise KeyboardInterrupt

    monkeypatch.setattr(kafka_files, "_fetch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kafka_files.kafka_jars()
    assert list(cache.iterdir()) == []


def test_a_filled_cache_is_used_without_the_fetcher(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_files, "_fetch", _fetch)
    first = kafka_files.kafka_jars()
    monkeypatch.undo()
    monkeypatch.setenv("TRUNKLINE_CACHE", str(cache))
    monkeypatch.setitem(sys.modules, "jgo", None)
    assert kafka_files.kafka_jars() == first
    assert [file.name for file in first.iterdir()] == ["kafka.jar"]


def test_of_two_fetches_at_once_one_is_kept(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        (folder / folder.name).touch()
    kafka_files.publish(theirs, tmp_path / "final")
    kafka_files.publish(ours, tmp_path / "final")
    assert [file.name for file in (tmp_path / "final").iterdir()] == ["theirs"]
