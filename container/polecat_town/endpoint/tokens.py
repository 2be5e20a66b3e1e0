"""Who an agent is: its JWT, verified with the operator's public keys."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from polecat_api import protocol
from polecat_town import metrics

log = logging.getLogger(__name__)
_REREAD_SECONDS = 5.0
"""How often at most the keys are read again because a token names an unknown one."""


class TokenRefusedError(Exception):
    """The token is not accepted; `cause` is one of a few words for the metric."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Whom a valid token speaks for."""

    polecat_uid: str
    bead_uid: str
    attempt: int


def parse_keys(jwks: str) -> dict[str, jwt.PyJWK]:
    """Public Ed25519 keys by `kid`; whatever else the text holds is left out."""
    keys: dict[str, jwt.PyJWK] = {}
    try:
        listed = json.loads(jwks).get("keys", [])
    except (ValueError, AttributeError):
        return keys
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519":
            continue
        try:
            keys[str(entry.get("kid"))] = jwt.PyJWK(entry, algorithm=protocol.TOKEN_ALGORITHM)
        except jwt.PyJWTError as error:
            log.warning("a public key of the operator can't be read: %s", error)
    return keys


def verify(
    token: str, keys: Mapping[str, jwt.PyJWK], audience: str, times: Sequence[float] | None = None
) -> AgentIdentity:
    """The identity in a token that is valid at one of these times (POSIX seconds; none: now).

    Raises TokenRefusedError.
    """
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise TokenRefusedError("malformed", "the token can't be read") from error
    if header.get("alg") != protocol.TOKEN_ALGORITHM:
        raise TokenRefusedError("algorithm", "the token is not signed as it must be")
    key = keys.get(str(header.get("kid")))
    if key is None:
        raise TokenRefusedError("unknown-key", "the token is signed with an unknown key")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[protocol.TOKEN_ALGORITHM],
            audience=audience,
            issuer=protocol.TOKEN_ISSUER,
            options={
                "require": ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        _check_times(float(claims["nbf"]), float(claims["exp"]), times or (time.time(),))
        return AgentIdentity(
            polecat_uid=str(claims["sub"]),
            bead_uid=str(claims[protocol.CLAIM_BEAD]),
            attempt=int(claims[protocol.CLAIM_ATTEMPT]),
        )
    except jwt.InvalidAudienceError as error:
        raise TokenRefusedError("audience", "the token is for another audience") from error
    except jwt.InvalidSignatureError as error:
        raise TokenRefusedError("signature", "the token's signature is wrong") from error
    except (jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
        raise TokenRefusedError("claims", f"the token's claims are not accepted: {error}") from error


def _check_times(not_before: float, expires: float, times: Sequence[float]) -> None:
    leeway = protocol.TOKEN_LEEWAY_SECONDS
    if not any(not_before <= now + leeway and expires > now - leeway for now in times):
        if all(expires <= now - leeway for now in times):
            raise TokenRefusedError("expired", "the token has expired")
        raise TokenRefusedError("claims", "the token is not valid yet")


class TokenVerifier:
    """Verifies tokens for this pod: valid, and of a polecat that it runs now."""

    def __init__(
        self,
        read_keys: Callable[[], Awaitable[str]],
        is_current: Callable[[AgentIdentity], bool],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`read_keys` gives the JWKS text, and may raise what the API server raises."""
        self._read_keys = read_keys
        self._is_current = is_current
        self._clock = clock
        self._wall_clock = wall_clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._offset = wall_clock() - clock()

    def _times(self) -> tuple[float, float]:
        """Now, and now as it would be had the clock not been set since the start: tokens of before a jump stay
        valid, and those made after it are valid too.
        """
        return self._wall_clock(), self._offset + self._clock()

    async def identify(self, token: str | None, audience: str = protocol.TOKEN_AUDIENCE_AGENT) -> AgentIdentity:
        """Whom the token speaks for. Raises TokenRefusedError, which is counted and logged without the token."""
        try:
            if not token:
                raise TokenRefusedError("missing", "no token")
            try:
                identity = verify(token, self._keys, audience, self._times())
            except TokenRefusedError as error:
                if error.cause != "unknown-key" or not self._may_reread():
                    raise
                self._read_at = self._clock()
                self._keys = parse_keys(await self._read_keys())
                identity = verify(token, self._keys, audience, self._times())
            if not self._is_current(identity):
                raise TokenRefusedError("not-current", "the token's polecat does not run here any more")
        except TokenRefusedError as error:
            metrics.REFUSED_TOKENS.labels(error.cause).inc()
            log.warning("request of an agent refused: %s", error)
            raise
        return identity

    def _may_reread(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at >= _REREAD_SECONDS


def unverified_claims(token: str) -> Mapping[str, Any]:
    """What a JWT says of itself, believed by nobody: to tell one token from another. Empty for anything else."""
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return {}
