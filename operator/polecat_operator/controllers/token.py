"""The Secret with the token of one polecat."""

from __future__ import annotations

from polecat_kube.errors import AlreadyExistsError, NotFoundError
from polecat_kube.resources import SECRET
from polecat_operator.cache import ObjectKey
from polecat_operator.context import Context
from polecat_operator.tokens import Keys, token_secret
from polecat_operator.views import finished, is_deleting


class TokenController:
    """Makes each token once: a Secret that exists already is the same polecat's, as its name has the attempt in it."""

    def __init__(self, context: Context, keys: Keys) -> None:
        self._context = context
        self._keys = keys

    async def reconcile(self, key: ObjectKey) -> None:
        """Raises ApiError when a request failed and is worth another try."""
        context = self._context
        held = context.cache.polecats.items.get(key)
        if held is None or is_deleting(held.polecat) or finished(held.polecat) is not None:
            return
        context.fence.check()
        try:
            # Before the token: whoever has that finds what it is checked with.
            await self._keys.publish(key[0])
            context.fence.check()
            await context.api.create(SECRET, key[0], token_secret(held.polecat, self._keys.sign(held.polecat)))
        except (AlreadyExistsError, NotFoundError):
            return
