"""A town on a cluster for one test: a namespace that enforces `restricted`, a remote, a model, gates."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.workspace.git_server import GitServer
from polecat_kube.api import KubeApi
from polecat_kube.resources import POD, RIG, SECRET, TOWN
from polecat_local.demo.model import ScriptedModel
from polecat_oracle.looking import agent_processes
from polecat_oracle.oracle import Oracle
from support.control_plane import Kubectl
from support.node.cluster import DATA_DIR, Cluster, apply
from support.town_harness import git
from support.whole import POLL_SECONDS, Gates, Json, World, condition, make_remote

TOWN_NAME = "main"
PASSWORD = "pa55-node-0123456789"
_LEVEL = "pod-security.kubernetes.io/enforce"
_GIT_SECRET = "git"


@dataclass
class NodeWorld(World):
    """As `World`, with towns in pods; `cluster` is a `Cluster`."""

    kubectl: Kubectl = field(kw_only=True)
    """In the test's namespace."""
    git_url: str = field(kw_only=True)

    async def town(self, *, wait: bool = True, **spec: Any) -> Json:
        """Applies the town, and waits until it is ready."""
        wanted = {
            "replicas": 1,
            "slots": 5,
            "agentMemory": "1Gi",
            # Little is asked for, so that a small machine has room; the limit is what counts.
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "7Gi"}},
            "storage": {"size": "1Gi"},
            **spec,
        }
        made = await self.api.create(TOWN, self.namespace, {"metadata": {"name": TOWN_NAME}, "spec": wanted})
        if wait:
            return await self.until(TOWN, TOWN_NAME, lambda town: condition(town, "Ready") == "True")
        return made

    async def rig(self, name: str = "web", **spec: Any) -> Json:
        """Applies a rig on the remote, with its password, and waits until it is ready."""
        if await self.api.get(SECRET, self.namespace, _GIT_SECRET) is None:
            secret = {"metadata": {"name": _GIT_SECRET}, "stringData": {"username": "ada", "password": PASSWORD}}
            await self.api.create(SECRET, self.namespace, secret)
        wanted = {
            "townRef": {"name": TOWN_NAME},
            "repository": {"url": self.git_url, "credentialsSecretRef": {"name": _GIT_SECRET}},
            "model": {"provider": "openai-compatible", "name": "scripted", "endpoint": self.model.url},
            **spec,
        }
        await self.api.create(RIG, self.namespace, {"metadata": {"name": name}, "spec": wanted})
        return await self.until(RIG, name, lambda rig: condition(rig, "Ready") == "True")

    async def arrived(self, *gates: str) -> None:
        """Until an agent waits at each of the gates."""
        await self.until_true(lambda: set(gates) <= self.gates.arrived, f"agents wait at {', '.join(gates)}")

    async def quiet(self) -> None:
        """Until no Polecat, and no process of one, is left."""
        async with asyncio.timeout(120):
            while await self.polecats():
                await asyncio.sleep(POLL_SECONDS)
        await self.until_true(lambda: not agent_processes(DATA_DIR), "all agents' processes are gone")

    async def run(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl says, in the test's namespace; agents are served meanwhile."""
        return await asyncio.to_thread(self.kubectl, *arguments, stdin=stdin)

    async def pod(self, ordinal: int = 0) -> Json | None:
        """A pod of the town; None while there is none of that name."""
        return await self.api.get(POD, self.namespace, f"{TOWN_NAME}-{ordinal}")

    async def pod_uid(self, ordinal: int = 0) -> str:
        """UID of a pod of the town; another one is another pod."""
        found = await self.pod(ordinal)
        assert found is not None
        return str(found["metadata"]["uid"])

    async def another_pod(self, than: str, ordinal: int = 0) -> None:
        """Until another pod has taken the place of the one with this UID."""
        await self.until(POD, f"{TOWN_NAME}-{ordinal}", lambda pod: pod["metadata"]["uid"] != than)

    async def restarts(self, ordinal: int = 0) -> int:
        """How often the pod's container was started again."""
        return _restarts(await self.pod(ordinal) or {})

    async def until_restarted(self, times: int, ordinal: int = 0) -> None:
        """Until the pod's container has been started again so often."""
        await self.until(POD, f"{TOWN_NAME}-{ordinal}", lambda pod: _restarts(pod) == times)


def _restarts(pod: Json) -> int:
    return sum(each["restartCount"] for each in pod.get("status", {}).get("containerStatuses", []))


@asynccontextmanager
async def node_world(cluster: Cluster, directory: Path, remote: Path | None = None) -> AsyncIterator[NodeWorld]:
    """All of it, with the oracle watching; the namespace is deleted at the end, whatever came of it."""
    namespace = f"t-{uuid.uuid4().hex[:10]}"
    remote = remote or make_remote(directory / "remote.git")
    await git(remote, "config", "http.receivepack", "true")
    kubectl = Kubectl(cluster.plane, namespace)
    kubectl_anywhere = Kubectl(cluster.plane, "default")
    fresh = [volume for volume in cluster.volumes() if not any(volume.iterdir())]
    labels = {_LEVEL: "restricted"}
    apply(cluster.plane, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}])
    host = cluster.machine_address
    async with AsyncExitStack() as stack:
        stack.callback(kubectl_anywhere, "delete", "namespace", namespace, "--wait=false")
        server = stack.enter_context(GitServer(remote.parent, {f"/{remote.name}": PASSWORD}, host=host))
        model = await stack.enter_async_context(ScriptedModel(host=host))
        gates = await stack.enter_async_context(Gates(host))
        api = await stack.enter_async_context(KubeApi(cluster.plane.connection, manager="test"))
        await stack.enter_async_context(Oracle(api, fresh, [remote], namespace, mounted_at=DATA_DIR))
        yield NodeWorld(
            cluster,  # type: ignore[arg-type]
            api,
            remote,
            model,
            gates,
            namespace,
            kubectl=kubectl,
            git_url=f"{server.url}/{remote.name}",
        )
