"""What somebody may see and do, answered by the API server's own rules for that very user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from polecat_api import GROUP
from polecat_dashboard.state.scope import KINDS, Scope
from polecat_kube.reviews import Access, Reviews, User

ACTIONS = {
    "create": ("create", "beads"),
    "edit": ("patch", "beads"),
    "delete": ("delete", "beads"),
    "prompt": ("get", "beads"),
}
"""What the page offers, and the verb and resource that the API server will ask for."""


class Permissions:
    """Questions of the pages, as reviews."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews

    async def scope(self, user: User, namespaces: Iterable[str]) -> Scope:
        """All that the user may list, looking at these namespaces."""
        places = sorted(namespaces)
        everywhere = await self._each(user, [self._list(kind) for kind in KINDS])
        all_kinds = frozenset(kind for kind, may in zip(KINDS, everywhere, strict=True) if may)
        asked = [(kind, place) for kind in KINDS if kind not in all_kinds for place in places]
        some = await self._each(user, [self._list(kind, place) for kind, place in asked])
        return Scope(
            everywhere=all_kinds,
            places=frozenset(where for where, may in zip(asked, some, strict=True) if may),
            streams=await self._streams(user, places),
        )

    async def may_get(self, user: User, kind: str, namespace: str, name: str) -> bool:
        """Whether the user may read this very object."""
        return await self._reviews.allowed(user, Access("get", GROUP, kind, namespace, name=name))

    async def may_read_stream(self, user: User, namespace: str) -> bool:
        """Whether the user may read what agents say and do there."""
        return await self._reviews.allowed(user, self._stream(namespace))

    async def actions(self, user: User, namespace: str) -> dict[str, bool]:
        """What the page may offer the user there; the API server decides once more when it is done."""
        answers = await self._each(
            user, [Access(verb, GROUP, resource, namespace) for verb, resource in ACTIONS.values()]
        )
        return {**dict(zip(ACTIONS, answers, strict=True)), "stream": await self.may_read_stream(user, namespace)}

    async def _streams(self, user: User, places: list[str]) -> frozenset[str]:
        if await self._reviews.allowed(user, self._stream("")):
            return frozenset({"*"})
        answers = await self._each(user, [self._stream(place) for place in places])
        return frozenset(place for place, may in zip(places, answers, strict=True) if may)

    async def _each(self, user: User, questions: list[Access]) -> list[bool]:
        return list(await asyncio.gather(*(self._reviews.allowed(user, question) for question in questions)))

    @staticmethod
    def _list(kind: str, namespace: str = "") -> Access:
        return Access("list", GROUP, kind, namespace)

    @staticmethod
    def _stream(namespace: str) -> Access:
        return Access("get", GROUP, "polecats", namespace, subresource="stream")
