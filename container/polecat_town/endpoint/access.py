"""Who may read streams: whoever the cluster's own rules allow to `get polecats/stream` in the town's namespace."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum

from polecat_api import GROUP, protocol
from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError
from polecat_kube.resources import POLECAT
from polecat_kube.reviews import Access, Reviews, User
from polecat_town.endpoint.tokens import unverified_claims

log = logging.getLogger(__name__)
_AT_ONCE = 4
"""Questions to the API server at the same time: strangers must not hold up the supervisor's own."""


class Verdict(Enum):
    """What a reader is answered, as an HTTP status."""

    ALLOWED = 200
    UNKNOWN = 401
    FORBIDDEN = 403
    UNDECIDED = 503


class StreamAccess:
    """Asks the API server, which remembers nothing for us: answers hold for at most a minute."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._for_streams = Reviews(api, [protocol.TOKEN_AUDIENCE_STREAMS])
        self._for_server = Reviews(api)
        self._access = Access("get", GROUP, POLECAT.plural, namespace, "stream")
        self._asking = asyncio.Semaphore(_AT_ONCE)

    async def check(self, token: str | None) -> Verdict:
        """Whether the bearer may read. Nothing of the token is ever logged."""
        if token is None:
            return Verdict.UNKNOWN
        reviews = self._for_streams if protocol.TOKEN_AUDIENCE_STREAMS in _audiences(token) else self._for_server
        try:
            async with self._asking:
                user: User | None = await reviews.identify(token)
                if user is None:
                    return Verdict.UNKNOWN
                return Verdict.ALLOWED if await reviews.allowed(user, self._access) else Verdict.FORBIDDEN
        except ApiError as error:
            log.warning("who asks for a stream can't be found out: %s", error)
            return Verdict.UNDECIDED


def _audiences(token: str) -> list[str]:
    """For whom a JWT says that it is: only to know what to ask the API server."""
    given = unverified_claims(token).get("aud")
    listed = given if isinstance(given, list) else [given]
    return [each for each in listed if isinstance(each, str)]
