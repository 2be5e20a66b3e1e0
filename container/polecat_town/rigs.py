"""The rigs of the namespace: what users say of them, their stores, and their secrets."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from polecat_api import protocol
from polecat_api.conditions import Reason, Type, find_condition
from polecat_api.rig import Rig
from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError, ForbiddenError
from polecat_kube.resources import SECRET
from polecat_town.agent.config import OPENAI_COMPATIBLE
from polecat_town.errors import RepositoryError
from polecat_town.git.secret import hidden_values, read_secret
from polecat_town.git.store import Store
from polecat_town.git.types import Credentials, Remote
from polecat_town.settings import Settings

log = logging.getLogger(__name__)
Json = dict[str, Any]
RENEW_SECONDS = 10.0
"""How long to wait for credentials of now where those of before serve too."""


class Rigs:
    """Keeps up with the rigs. Secrets are read when they are used, so that they can be changed at any time."""

    def __init__(self, api: KubeApi, settings: Settings, on_change: Callable[[str], None]) -> None:
        """`on_change(rig)` is called when a rig came, went, has another spec, or has lost what was told of it."""
        self._api = api
        self._settings = settings
        self._on_change = on_change
        self._rigs: dict[str, Rig] = {}
        self._stores: dict[str, Store] = {}
        self._secrets: dict[str, set[str]] = {}
        self._learned: set[tuple[str, str]] = set()
        """(rig, Secret) of which values are known."""

    def observe(self, old: Json | None, new: Json | None) -> None:
        """Takes in a change that the watch has shown."""
        name = ((new or old) or {})["metadata"]["name"]
        if new is None:
            self._rigs.pop(name, None)
            self._on_change(name)
            return
        try:
            rig = Rig.model_validate(new)
        except ValidationError as error:
            log.error("rig %s can't be read: %s", name, error.errors()[0]["msg"])
            return
        before = self._rigs.get(name)
        self._rigs[name] = rig
        if before is None or (before.metadata.uid, before.spec) != (rig.metadata.uid, rig.spec):
            self._on_change(name)
        elif _is_told(before) and not _is_told(rig):
            # Somebody has edited the status; nothing starts on the rig until it is told again.
            self._on_change(name)

    def find(self, name: str) -> Rig | None:
        """The rig as last seen."""
        return self._rigs.get(name)

    def names(self) -> list[str]:
        """All rigs of this town."""
        return sorted(name for name, rig in self._rigs.items() if rig.spec.town_ref.name == self._settings.name)

    def endpoints(self) -> list[str]:
        """URLs of models that agents talk to themselves."""
        models = [rig.spec.model for rig in self._rigs.values() if rig.spec.town_ref.name == self._settings.name]
        return [each.endpoint for each in models if each.endpoint and each.provider != OPENAI_COMPATIBLE]

    def fetched(self) -> list[str]:
        """Rigs whose store this volume already has."""
        return [name for name in self.names() if (self._settings.rig_dir(name) / "store.git").is_dir()]

    def secrets(self, name: str) -> set[str]:
        """Values of the rig's Secrets, as far as they were read, those of before too: nobody may see them."""
        return self._secrets.get(name, set())

    async def learn_secrets(self, name: str) -> None:
        """Reads the rig's Secrets unless that was done: before anything is written that may hold their values.

        A Secret that is missing is told by whoever needs it. Raises RepositoryError when the town may not read it,
        and what the API server raises.
        """
        rig = self._rigs.get(name)
        if rig is None:
            return
        references = (rig.spec.repository.credentials_secret_ref, rig.spec.model.api_key_secret_ref)
        for secret in {reference.name for reference in references if reference is not None}:
            if (name, secret) not in self._learned:
                await self._secret(rig, secret)

    async def store(self, name: str) -> Store:
        """The rig's store, with the URL and credentials of now. One object for each rig.

        Raises RepositoryError when the rig is gone or its Secret is missing or malformed, and what the API server
        raises.
        """
        rig = self._rigs.get(name)
        if rig is None:
            raise RepositoryError(Reason.INVALID_REFERENCE, f"the rig {name} does not exist")
        remote = Remote(
            rig=name,
            url=rig.spec.repository.url,
            default_branch=rig.spec.repository.default_branch,
            branch_prefix=rig.spec.branch_prefix,
            credentials=await self._credentials(rig),
            names=tuple(rig.spec.polecats.names),
        )
        return self._store(name, remote)

    async def renew(self, name: str) -> None:
        """Gives a store that is in use the credentials of now, if they can be had; it keeps those of before else."""
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                await self.store(name)
        except (TimeoutError, RepositoryError, ApiError) as error:
            log.info("credentials of rig %s not read again: %s", name, error, extra={"rig": name})

    def store_without_remote(self, name: str) -> Store:
        """A store for work that must be saved here although its rig is gone or can't be asked."""
        known = self._stores.get(name)
        if known is not None:
            return known
        rig = self._rigs.get(name)
        url = rig.spec.repository.url if rig else ""
        branch = rig.spec.repository.default_branch if rig else "main"
        prefix = rig.spec.branch_prefix if rig else "polecat"
        return self._store(name, Remote(name, url, branch, prefix))

    async def api_key(self, rig: Rig) -> str | None:
        """The key of the rig's model; None if it names no Secret. Raises RepositoryError if that is missing."""
        reference = rig.spec.model.api_key_secret_ref
        if reference is None:
            return None
        values = await self._secret(rig, reference.name)
        key = (values or {}).get(protocol.API_KEY_SECRET_KEY, "").strip()
        if not key:
            raise RepositoryError(
                Reason.CREDENTIALS_MISSING,
                f"the Secret {reference.name} does not exist or has no key {protocol.API_KEY_SECRET_KEY}",
            )
        return key

    def _store(self, name: str, remote: Remote) -> Store:
        store = self._stores.get(name)
        if store is None:
            store = self._stores[name] = Store(self._settings.rig_dir(name), remote)
        elif store.remote != remote:
            store.use(remote)
        return store

    async def _credentials(self, rig: Rig) -> Credentials | None:
        reference = rig.spec.repository.credentials_secret_ref
        if reference is None:
            return None
        return read_secret(reference.name, await self._secret(rig, reference.name))

    async def _secret(self, rig: Rig, name: str) -> Mapping[str, str] | None:
        """The values of a Secret, from now on secret; None when it does not exist."""
        try:
            found = await self._api.get(SECRET, rig.metadata.namespace, name)
        except ForbiddenError as error:
            message = f"the town may not read the Secret {name}: {error.message}"
            raise RepositoryError(Reason.CREDENTIALS_MISSING, message) from error
        if found is None:
            return None
        values = decode_secret(found)
        hidden = hidden_values(values)
        self._secrets.setdefault(rig.metadata.name, set()).update(hidden)
        if hidden:
            self._learned.add((rig.metadata.name, name))
        return values


def _is_told(rig: Rig) -> bool:
    return find_condition(rig.status.conditions, Type.REPOSITORY_READY) is not None


def decode_secret(secret: Json | None) -> dict[str, str]:
    """The values of a Secret as text; empty for one that does not exist; values that are no text are left out."""
    values: dict[str, str] = {}
    for key, encoded in ((secret or {}).get("data") or {}).items():
        try:
            values[key] = base64.b64decode(encoded).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return values
