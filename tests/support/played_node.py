"""What scheduler and kubelet do with pods, done at the API by the test: this control plane has no node."""

from __future__ import annotations

from typing import Any

from kubernetes import client

from polecat_kube.api import KubeApi
from polecat_kube.resources import POD
from support.played_town import condition, eventually

Json = dict[str, Any]
NODE = "node-1"
CONTAINER = "town"


class PlayedNode:
    """Takes the pods of one namespace when it is told to."""

    def __init__(self, api: KubeApi, admin: client.ApiClient, namespace: str) -> None:
        self._api = api
        self._core = client.CoreV1Api(admin)
        self._namespace = namespace

    async def until_pods(self, *names: str) -> list[Json]:
        """The pods as soon as they are just these, none of them ending."""

        async def look() -> list[Json] | None:
            pods, _ = await self._api.list(POD, self._namespace)
            found = sorted(each["metadata"]["name"] for each in pods)
            ending = [each for each in pods if "deletionTimestamp" in each["metadata"]]
            return pods if found == sorted(names) and not ending else None

        return sorted(await eventually(look) or [], key=lambda each: str(each["metadata"]["name"]))

    async def until_other(self, pod: str, uid: str) -> Json:
        """The pod of this name as soon as it is another life."""

        async def look() -> Json | None:
            found = await self._api.get(POD, self._namespace, pod)
            return found if found is not None and found["metadata"]["uid"] != uid else None

        return await eventually(look) or {}

    async def until_ending(self, pod: str) -> None:
        """Comes back when somebody has asked for the end of a pod."""

        async def look() -> bool:
            found = await self._api.get(POD, self._namespace, pod)
            return found is not None and "deletionTimestamp" in found["metadata"]

        await eventually(look)

    async def refuse(self, pod: str, message: str) -> None:
        """The scheduler finds no node for it."""
        await self._status(pod, {"conditions": [condition("PodScheduled", "False", "Unschedulable", message)]})

    def take(self, pod: str) -> None:
        """The scheduler gives it to the node."""
        target = client.V1ObjectReference(api_version="v1", kind="Node", name=NODE)
        body = client.V1Binding(metadata=client.V1ObjectMeta(name=pod), target=target)
        # The answer is a Status, which the generated client does not expect.
        self._core.create_namespaced_pod_binding(pod, self._namespace, body, _preload_content=False)

    async def container(self, pod: str, state: Json, last: Json | None = None, *, restarts: int = 0) -> None:
        """How the container stands that is not ready."""
        await self._container(pod, state, last, restarts=restarts, ready=False)

    async def run(self, pod: str) -> str:
        """Its container runs and is ready; gives the pod's UID."""
        await self._container(pod, {"running": {}}, None, restarts=0, ready=True)
        found = await self._api.get(POD, self._namespace, pod)
        assert found is not None
        return str(found["metadata"]["uid"])

    async def _container(self, pod: str, state: Json, last: Json | None, *, restarts: int, ready: bool) -> None:
        told = {
            "name": CONTAINER,
            "image": "i",
            "imageID": "",
            "ready": ready,
            "restartCount": restarts,
            "state": state,
            "lastState": last or {},
        }
        conditions = [condition("PodScheduled", "True", "Scheduled"), condition("Ready", str(ready), "Told")]
        phase = "Running" if "running" in state else "Pending"
        await self._status(pod, {"phase": phase, "conditions": conditions, "containerStatuses": [told]})

    def finish(self, pod: str) -> None:
        """The kubelet has ended it."""
        self._core.delete_namespaced_pod(pod, self._namespace, grace_period_seconds=0)

    async def _status(self, pod: str, status: Json) -> None:
        await self._api.patch_merge(POD, self._namespace, pod, {"status": status}, subresource="status")
