"""Tokens of this machine: who has the key set can verify them, and only this machine can make them."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from deploy.local import token
from deploy.local.keys import AUDIENCE, ISSUER, ROLES, Keys, Role


def _verified(text: str, jwks: Path) -> dict[str, object]:
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(jwks.read_text())).keys}
    key = keys[jwt.get_unverified_header(text)["kid"]]
    claims: dict[str, object] = jwt.decode(text, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
    return claims


@pytest.mark.parametrize("role", ROLES)
def test_a_token_verifies_against_the_key_set(tmp_path: Path, role: Role) -> None:
    keys = Keys(tmp_path)
    claims = _verified(keys.mint(role, "demo", "ana", timedelta(hours=1)), keys.jwks)
    assert (claims["role"], claims["tenant"], claims["sub"]) == (role, "demo", "ana")
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 3600


def test_a_token_of_other_keys_does_not_verify(tmp_path: Path) -> None:
    ours, theirs = Keys(tmp_path / "ours"), Keys(tmp_path / "theirs")
    with pytest.raises(KeyError):
        _verified(theirs.mint("admin", "demo", "eve", timedelta(hours=1)), ours.jwks)


def test_an_old_token_does_not_verify(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with pytest.raises(jwt.ExpiredSignatureError):
        _verified(keys.mint("agent", "demo", "ana", timedelta(seconds=-1)), keys.jwks)


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first = Keys(tmp_path)
    again = Keys(tmp_path)
    assert _verified(first.mint("agent", "demo", "ana", timedelta(hours=1)), again.jwks)
    assert stat.S_IMODE((tmp_path / "keys" / "private.pem").stat().st_mode) == 0o600
    assert "d" not in json.loads(first.jwks.read_text())["keys"][0]


def test_the_command_prints_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = token.main(["--role", "supervisor", "--tenant", "t", "--subject", "sam", "--folder", str(tmp_path)])
    claims = _verified(capsys.readouterr().out.strip(), tmp_path / "keys" / "jwks.json")
    assert (status, claims["role"], claims["tenant"], claims["sub"]) == (0, "supervisor", "t", "sam")


@pytest.mark.parametrize("arguments", [["--role", "king"], ["--hours", "0"], ["--hours", "x"]])
def test_bad_use_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        token.main(arguments)
    assert end.value.code == 2
    assert "usage" in capsys.readouterr().err
