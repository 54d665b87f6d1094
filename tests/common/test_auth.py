"""Bearer tokens: signature by a key of the set, issuer, audience, time, role and tenant; nothing else gets in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm
from trunkline_common.auth import Authenticator, Caller
from trunkline_common.errors import Refused

ISSUER, AUDIENCE = "https://id.example", "trunkline"
Key = Ed25519PrivateKey | RSAPrivateKey


class Issuer:
    """Signs what it is asked to, with keys of its own."""

    def __init__(self, folder: Path) -> None:
        self.jwks = folder / "jwks.json"
        self.keys: dict[str, Key] = {"ed": Ed25519PrivateKey.generate()}
        self.publish()

    def publish(self) -> None:
        """Write the key set."""
        self.jwks.write_text(json.dumps({"keys": [_jwk(kid, key) for kid, key in self.keys.items()]}))

    def token(self, kid: str = "ed", headers: dict[str, Any] | None = None, **changed: Any) -> str:
        """A good token but for what is changed; None takes a claim away."""
        now = datetime.now(UTC)
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "role": "agent", "tenant": "acme"}
        claims |= {"iat": now, "exp": now + timedelta(minutes=5)} | changed
        kept = {name: value for name, value in claims.items() if value is not None}
        key = self.keys[kid]
        algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "RS256"
        return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid, **(headers or {})})

    def verify(self, token: str, tenant: str = "") -> Any:
        """What the product says to it."""
        return Authenticator(str(self.jwks), ISSUER, AUDIENCE).verify(f"Bearer {token}", tenant)


def _jwk(kid: str, key: Key) -> dict[str, Any]:
    if isinstance(key, Ed25519PrivateKey):
        return {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "EdDSA"}
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "RS256"}


@pytest.fixture(name="issuer")
def _issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


async def refusal(issuer: Issuer, token: str, tenant: str = "") -> str:
    """Why a token is refused."""
    with pytest.raises(Refused) as refused:
        await issuer.verify(token, tenant)
    assert (refused.value.code, refused.value.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    return refused.value.metadata["detail"]


async def test_a_good_token_names_its_caller(issuer: Issuer) -> None:
    """Tenant, role and subject are the token's."""
    token = issuer.token()
    assert await issuer.verify(token) == Caller("acme", "agent", "ana", token)


async def test_rs256_is_good_too(issuer: Issuer) -> None:
    """The other allowed algorithm."""
    issuer.keys["rsa"] = generate_private_key(65537, 2048)
    issuer.publish()
    assert (await issuer.verify(issuer.token("rsa"))).subject == "ana"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example"},
        {"aud": "another"},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
        {"role": None},
        {"role": "root"},
        {"role": ["agent"]},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": 7},
    ],
    ids=lambda changed: "-".join(f"{name}={value}" for name, value in changed.items()),
)
async def test_a_token_with_a_wrong_or_missing_claim_is_refused(issuer: Issuer, changed: dict[str, Any]) -> None:
    """Each claim by itself is enough."""
    assert await refusal(issuer, issuer.token(**changed))


async def test_a_token_just_expired_passes_within_the_leeway(issuer: Issuer) -> None:
    """Clocks differ by seconds, not by minutes."""
    now = datetime.now(UTC)
    assert await issuer.verify(issuer.token(exp=now - timedelta(seconds=20)))
    assert await refusal(issuer, issuer.token(exp=now - timedelta(seconds=40)))


async def test_an_unsigned_token_is_refused(issuer: Issuer) -> None:
    """alg none, with the key id of a good key."""
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    assert await refusal(issuer, jwt.encode(claims, "", algorithm="none", headers={"kid": "ed"}))


async def test_a_public_key_is_not_a_shared_secret(issuer: Issuer) -> None:
    """HS256 signed with the published key, the classic confusion of algorithms."""
    issuer.keys["rsa"] = generate_private_key(65537, 2048)
    issuer.publish()
    public = issuer.keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims, _ = issuer.token("rsa").split(".")
    header = _b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rsa"}).encode())
    signature = _b64(hmac.new(public, f"{header}.{claims}".encode(), hashlib.sha256).digest())
    assert await refusal(issuer, f"{header}.{claims}.{signature}")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_a_changed_claim_breaks_the_signature(issuer: Issuer) -> None:
    """An agent does not become an admin by editing."""
    header, _, signature = issuer.token().split(".")
    claims = {**jwt.decode(issuer.token(), options={"verify_signature": False}), "role": "admin"}
    assert await refusal(issuer, f"{header}.{_b64(json.dumps(claims).encode())}.{signature}")


async def test_a_key_of_somebody_else_is_refused(issuer: Issuer, tmp_path: Path) -> None:
    """The same key id does not help."""
    (tmp_path / "other").mkdir()
    assert await refusal(issuer, Issuer(tmp_path / "other").token())


async def test_an_unknown_key_id_is_refused_until_the_set_has_it(issuer: Issuer) -> None:
    """A new key is found without a restart: the file is read again."""
    auth = Authenticator(str(issuer.jwks), ISSUER, AUDIENCE)
    assert await auth.verify(f"Bearer {issuer.token()}")
    issuer.keys["next"] = Ed25519PrivateKey.generate()
    token = issuer.token("next")
    with pytest.raises(Refused, match="unknown key id"):
        await auth.verify(f"Bearer {token}")
    issuer.publish()
    assert (await auth.verify(f"Bearer {token}")).subject == "ana"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer not.a.token", "Bearer ééé"])
async def test_a_header_without_a_token_is_refused(issuer: Issuer, header: str) -> None:
    """There is no mode without a token."""
    with pytest.raises(Refused) as refused:
        await Authenticator(str(issuer.jwks), ISSUER, AUDIENCE).verify(header)
    assert refused.value.reason == "UNAUTHENTICATED"


async def test_any_tenant_is_for_services_that_name_one(issuer: Issuer) -> None:
    """role service and metadata trunkline-tenant, both."""
    token = issuer.token(role="service", tenant="*")
    assert (await issuer.verify(token, "globex")).tenant == "globex"
    assert await refusal(issuer, token)
    for role in ("agent", "supervisor", "admin", "integrator"):
        assert await refusal(issuer, issuer.token(role=role, tenant="*"), "globex")


async def test_metadata_does_not_change_the_tenant_of_a_token(issuer: Issuer) -> None:
    """A token of one tenant stays with it, also a service's."""
    for role in ("agent", "service"):
        assert (await issuer.verify(issuer.token(role=role), "globex")).tenant == "acme"
