"""Who somebody is and what they may do, asked of the API server and remembered for a short while."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from polecat_kube.api import KubeApi
from polecat_kube.resources import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW

IDENTITY_SECONDS = 60.0
ACCESS_SECONDS = 30.0
REMEMBERED = 4096
"""How many answers are kept at most; the oldest go first."""
TOKEN_MAX_LENGTH = 16_384

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whom the API server knows, as a review names them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Access:
    """One question: may somebody do this? An empty namespace means all of them, an empty name any object."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    subresource: str = ""
    name: str = ""


class Remembered(Generic[V]):
    """Answers by key for `seconds`; whoever asks while a question is under way waits for its one answer.

    A question that fails is not remembered.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[Any, tuple[float, asyncio.Future[V]]] = OrderedDict()

    async def get(self, key: Any, ask: Callable[[], Awaitable[V]]) -> V:
        """The answer for `key`, from `ask` if none is remembered."""
        known = self._kept.get(key)
        if known is None or (known[1].done() and known[0] <= self._clock()):
            task = asyncio.ensure_future(ask())
            known = (self._clock() + self._seconds, task)
            self._kept[key] = known
            self._kept.move_to_end(key)
            task.add_done_callback(lambda done: self._forget_failure(key, done))
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        # Shielded: one asker that goes away must not end the question for the others.
        return await asyncio.shield(known[1])

    def knows(self, key: Any) -> bool:
        """Whether an answer for `key` is remembered or under way."""
        kept = self._kept.get(key)
        return kept is not None and (not kept[1].done() or kept[0] > self._clock())

    def forget(self, key: Any) -> None:
        """The next question for `key` is asked anew."""
        self._kept.pop(key, None)

    def _forget_failure(self, key: Any, done: asyncio.Future[V]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed and (kept := self._kept.get(key)) is not None and kept[1] is done:
            del self._kept[key]


class Reviews:
    """TokenReview and SubjectAccessReview. The service account of `api` must be allowed to create both.

    Tokens are remembered by their SHA-256 only. Errors are those of KubeApi.
    """

    def __init__(
        self, api: KubeApi, audiences: Sequence[str] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`audiences`: a token for one of them is accepted; the API server's own when empty."""
        self._api = api
        self._audiences = tuple(audiences)
        self._identities: Remembered[User | None] = Remembered(IDENTITY_SECONDS, clock)
        self._answers: Remembered[bool] = Remembered(ACCESS_SECONDS, clock)

    async def identify(self, token: str) -> User | None:
        """Whose token it is; None when the API server does not accept it."""
        if not token or len(token) > TOKEN_MAX_LENGTH or not token.isascii():
            return None
        return await self._identities.get(token_key(token), lambda: self._ask_identity(token))

    def knows(self, token: str) -> bool:
        """Whether it is remembered whose token this is, so that asking costs the API server nothing."""
        return self._identities.knows(token_key(token))

    async def allowed(self, user: User, access: Access) -> bool:
        """Whether the user may do it."""
        return await self._answers.get((user, access), lambda: self._ask_access(user, access))

    async def _ask_identity(self, token: str) -> User | None:
        spec: dict[str, Any] = {"token": token}
        if self._audiences:
            spec["audiences"] = list(self._audiences)
        answer = await self._api.create(TOKEN_REVIEW, None, {"spec": spec})
        status = answer.get("status") or {}
        user = status.get("user") or {}
        if not status.get("authenticated") or not user.get("username"):
            return None
        if self._audiences and not set(self._audiences) & set(status.get("audiences") or []):
            return None
        groups, extra = tuple(user.get("groups") or ()), user.get("extra") or {}
        return User(user["username"], user.get("uid", ""), groups, {key: tuple(extra[key]) for key in sorted(extra)})

    async def _ask_access(self, user: User, access: Access) -> bool:
        attributes = {
            "verb": access.verb,
            "group": access.group,
            "resource": access.resource,
            "subresource": access.subresource,
            "namespace": access.namespace,
            "name": access.name,
        }
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        answer = await self._api.create(SUBJECT_ACCESS_REVIEW, None, {"spec": spec})
        return bool((answer.get("status") or {}).get("allowed"))


def bearer(header: str | None) -> str | None:
    """The token in an Authorization header; None when there is none of that kind."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def token_key(token: str) -> str:
    """What a token is remembered by."""
    return hashlib.sha256(token.encode()).hexdigest()
