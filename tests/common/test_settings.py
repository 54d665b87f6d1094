"""Settings come from the environment only, and the start stops at the first bad one, naming all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from trunkline_common.settings import CommonSettings, GrpcSettings, load

GOOD = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "DATABASE_URL": "postgresql://postgres@localhost:5432/postgres",
    "TRUNKLINE_JWKS": "jwks.json",
    "TRUNKLINE_JWT_ISSUER": "https://id.example",
    "TRUNKLINE_JWT_AUDIENCE": "trunkline",
    "TRUNKLINE_PAGE_KEY_FILE": "page.key",
}


@pytest.fixture(name="env", autouse=True)
def _env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for field in GrpcSettings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_complete_environment_loads() -> None:
    """Everything else has a default."""
    found = load(GrpcSettings)
    assert (found.kafka, found.page_key_file, found.log_level) == ("localhost:9092", Path("page.key"), "INFO")


def test_every_missing_variable_is_named_at_once(env: pytest.MonkeyPatch) -> None:
    """With what it is for."""
    env.delenv("DATABASE_URL")
    env.delenv("TRUNKLINE_JWKS")
    with pytest.raises(SystemExit) as stopped:
        load(GrpcSettings)
    said = str(stopped.value.code)
    assert "DATABASE_URL: not set (PostgreSQL" in said
    assert "TRUNKLINE_JWKS: not set (File or https URL" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRUNKLINE_TRACE_RATIO", "2"), ("TRUNKLINE_SESSION_TIMEOUT_MS", "10"), ("TRUNKLINE_DRAIN_SECONDS", "soon")],
)
def test_a_bad_value_stops_the_start_and_names_the_variable(env: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Not the field, which nobody outside knows."""
    env.setenv(name, value)
    with pytest.raises(SystemExit, match=name):
        load(CommonSettings)


def test_settings_do_not_change() -> None:
    """One frozen object, read once."""
    with pytest.raises(ValidationError):
        load(CommonSettings).kafka = "elsewhere:9092"


def test_every_setting_says_what_it_is_for() -> None:
    """The name and the description are what a person sees when it is missing."""
    for cls in (CommonSettings, GrpcSettings):
        assert all(f.alias and f.description for f in cls.model_fields.values())
