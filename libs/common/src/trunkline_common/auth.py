"""Who calls: a bearer token (JWT, RS256 or EdDSA) checked against a key set. There is no mode without it."""

from __future__ import annotations

import asyncio
import json
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import jwt

from trunkline_common.errors import Refused

Role = Literal["agent", "supervisor", "admin", "integrator", "service"]
ALGORITHMS = ["RS256", "EdDSA"]
LEEWAY_SECONDS = 30
ANY_TENANT = "*"
REMEMBER_SECONDS, REMEMBER_TOKENS = 60.0, 4096  # how long, and how many, verified tokens are known again


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the token names. `tenant` is bound: nothing in a request can change it."""

    tenant: str
    role: Role
    subject: str
    token: str


_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """The caller of the request being handled."""
    return _caller.get()


def set_caller(who: Caller) -> None:
    """Bind the caller to the running request."""
    _caller.set(who)


def unauthenticated(detail: str) -> Refused:
    """The answer to a missing or bad token."""
    return Refused("UNAUTHENTICATED", "UNAUTHENTICATED", f"bearer token refused: {detail}", metadata={"detail": detail})


class Authenticator:
    """Verifies tokens. `jwks` is a file (read again when a key id is unknown) or an https URL (cached)."""

    def __init__(self, jwks: str, issuer: str, audience: str) -> None:
        self._jwks, self._issuer, self._audience = jwks, issuer, audience
        self._remote = jwt.PyJWKClient(jwks, cache_keys=True, timeout=5) if jwks.startswith("https://") else None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._verified: dict[str, tuple[float, dict[str, object]]] = {}

    async def verify(self, authorization: str, wanted_tenant: str = "") -> Caller:
        """The caller of an `authorization` header. `wanted_tenant` counts only for a service's token of any tenant."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("send authorization: Bearer <JWT>")
        return _caller_of(await self._claims(token), token, wanted_tenant)

    async def _claims(self, token: str) -> dict[str, object]:
        """The claims of a good token; one that was verified is known again for a minute, never beyond its exp."""
        known_until, claims = self._verified.get(token, (0.0, {}))
        if time.time() < known_until:
            return claims
        claims = await self._verify(token)
        if len(self._verified) >= REMEMBER_TOKENS:
            self._verified.clear()
        self._verified[token] = min(time.time() + REMEMBER_SECONDS, float(str(claims["exp"]))), claims
        return claims

    async def _verify(self, token: str) -> dict[str, object]:
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise unauthenticated(str(error)) from error
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        if self._remote is not None:
            return await asyncio.to_thread(self._remote.get_signing_key, kid)
        if kid not in self._keys:
            found = await asyncio.to_thread(Path(self._jwks).read_text)
            self._keys = {k.key_id or "": k for k in jwt.PyJWKSet.from_dict(json.loads(found)).keys}
        if kid not in self._keys:
            raise unauthenticated("unknown key id")
        return self._keys[kid]


def _caller_of(claims: dict[str, object], token: str, wanted_tenant: str) -> Caller:
    role, tenant = claims.get("role"), claims.get("tenant")
    if role not in get_args(Role):
        raise unauthenticated(f"claim role must be one of {', '.join(get_args(Role))}")
    if not isinstance(tenant, str) or not tenant:
        raise unauthenticated("claim tenant is missing")
    if tenant == ANY_TENANT:
        if role != "service" or not wanted_tenant:
            raise unauthenticated("a token of any tenant needs role service and metadata trunkline-tenant")
        tenant = wanted_tenant
    return Caller(tenant, role, str(claims["sub"]), token)  # type: ignore[arg-type] # checked against get_args above
