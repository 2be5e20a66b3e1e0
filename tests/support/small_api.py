"""An API server for one supervisor, small enough to be copied before each of its effects."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from polecat_kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from polecat_kube.resources import POLECAT, ResourceType

Json = dict[str, Any]


class SmallApi:
    """Objects by kind and name, with preconditions and finalizers; tells each change of a Polecat."""

    def __init__(self, objects: dict[tuple[str, str], Json], effect: Callable[[str], None]) -> None:
        """`effect` is called before each write."""
        self.objects = objects
        self.watch: Callable[[Json | None, Json | None], None] = lambda old, new: None
        self._effect = effect

    async def get(self, resource: ResourceType, namespace: str, name: str) -> Json | None:
        """As KubeApi."""
        return copy.deepcopy(self.objects.get((resource.kind, name)))

    async def create(self, resource: ResourceType, namespace: str, body: Json) -> Json:
        """As KubeApi."""
        name = body["metadata"]["name"]
        self._effect(f"create {resource.kind}")
        if (resource.kind, name) in self.objects:
            raise AlreadyExistsError("create", name)
        self.objects[resource.kind, name] = copy.deepcopy(body)
        return copy.deepcopy(body)

    async def patch_json(
        self, resource: ResourceType, namespace: str, name: str, patch: list[Json], subresource: str | None = None
    ) -> Json:
        """As KubeApi, for the patches that a supervisor makes."""
        self._effect(f"patch {resource.kind} {patch[-1]['op']} {patch[-1]['path']}")
        before = self.objects.get((resource.kind, name))
        if before is None:
            raise NotFoundError("patch", name)
        raw = copy.deepcopy(before)
        for step in patch:
            *parents, last = step["path"].strip("/").split("/")
            place: Any = raw
            for parent in parents:
                place = place[parent]
            if isinstance(place, list):
                if not int(last) < len(place) or (step["op"] == "test" and place[int(last)] != step["value"]):
                    raise ConflictError("patch", name)
                if step["op"] == "remove":
                    del place[int(last)]
            elif step["op"] == "test":
                if place.get(last) != step["value"]:
                    raise ConflictError("patch", f"{name}: {step['path']}")
            else:
                place[last] = copy.deepcopy(step["value"])
        self._put(resource.kind, name, raw)
        return copy.deepcopy(raw)

    def delete(self, kind: str, name: str) -> None:
        """The operator, or a person, asks for the deletion."""
        raw = copy.deepcopy(self.objects[kind, name])
        raw["metadata"].setdefault("deletionTimestamp", "2026-11-24T06:30:00Z")
        self._put(kind, name, raw)

    def _put(self, kind: str, name: str, raw: Json) -> None:
        before = self.objects[kind, name]
        gone = "deletionTimestamp" in raw["metadata"] and not raw["metadata"]["finalizers"]
        if gone:
            del self.objects[kind, name]
        else:
            self.objects[kind, name] = raw
        if kind == POLECAT.kind:
            self.watch(copy.deepcopy(before), None if gone else copy.deepcopy(raw))
