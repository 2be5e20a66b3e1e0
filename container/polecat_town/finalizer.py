"""Takes our finalizer off a Polecat; its name is free from then on."""

from __future__ import annotations

from polecat_api.polecat import Polecat
from polecat_api.protocol import FINALIZER
from polecat_kube.api import JsonPatch, KubeApi
from polecat_kube.errors import ConflictError, NotFoundError
from polecat_kube.resources import POLECAT


async def drop_finalizer(api: KubeApi, polecat: Polecat, *, unclaimed: bool = False) -> None:
    """Removes it from this very Polecat, with `unclaimed` only while nobody has claimed it.

    Nothing happens if it is not there any more. Raises what the API server raises.
    """
    uid, namespace, name = polecat.metadata.uid, polecat.metadata.namespace, polecat.metadata.name
    latest: Polecat | None = polecat
    while latest is not None and latest.metadata.uid == uid:
        finalizers = latest.metadata.finalizers
        if FINALIZER not in finalizers or (unclaimed and latest.status.claim is not None):
            return
        path = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
        patch: JsonPatch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            *([{"op": "test", "path": "/status", "value": None}] if unclaimed else []),
            {"op": "test", "path": path, "value": FINALIZER},
            {"op": "remove", "path": path},
        ]
        try:
            await api.patch_json(POLECAT, namespace, name, patch)
        except NotFoundError:
            return
        except ConflictError:
            found = await api.get(POLECAT, namespace, name)
            latest = Polecat.model_validate(found) if found else None
            continue
        return
