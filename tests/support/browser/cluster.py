"""A cluster with a dashboard, for who looks at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext

from polecat_kube.errors import NotFoundError
from polecat_kube.resources import BEAD, RIG, ResourceType
from polecat_local import install
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.control_plane import ControlPlaneOptions
from polecat_local.dashboard import dashboard_url, make_link
from polecat_local.demo.model import ScriptedModel
from polecat_local.demo.script import Plays, Step
from support.whole import Gates, Json, World

LOGIN_SECONDS = 60.0
_RBAC = "rbac.authorization.k8s.io"
ACCOUNT = ResourceType("", "v1", "serviceaccounts", "ServiceAccount")
ROLE = ResourceType(_RBAC, "v1", "roles", "Role")
ROLE_BINDING = ResourceType(_RBAC, "v1", "rolebindings", "RoleBinding")


@dataclass
class Watched(World):
    """A World that people can look at."""

    _token: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port of the dashboard; the same after a restart."""
        url = dashboard_url(self.cluster.data)
        assert url is not None, "the dashboard was never started"
        return url

    async def bead(self, name: str, steps: Sequence[Json], rig: str = "web", **spec: Any) -> Json:
        """Applies a bead whose agent plays the steps; they don't stand in its prompt, which the pages show."""
        phrase = f"Please do this, as {name} asks."
        self.model.plays = {**self.model.plays, phrase: tuple(Step.model_validate(step) for step in steps)}
        body = {
            "metadata": {"name": name},
            "spec": {"rigRef": {"name": rig}, "title": f"Work on {name}", "prompt": phrase, **spec},
        }
        self.made[name] = await self.api.create(BEAD, self.namespace, body)
        return self.made[name]

    async def link(self) -> str:
        """A one-time link, as `polecat dashboard` prints it."""
        return await make_link(self.cluster.data)

    async def token(self, account: str = install.USER_ACCOUNT, namespace: str = install.SYSTEM_NAMESPACE) -> str:
        """A new token of a service account."""
        data = self.cluster.data
        return await install.service_account_token(data.kubectl, data.kubeconfig, namespace, account, hours=1)

    async def person(self, name: str, rules: Sequence[Json] = ()) -> str:
        """A token of somebody new, who may do in our namespace what the RBAC rules say, and nothing elsewhere."""
        await self.api.create(ACCOUNT, self.namespace, {"metadata": {"name": name}})
        if rules:
            await self.api.create(ROLE, self.namespace, {"metadata": {"name": name}, "rules": list(rules)})
            binding = {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
            }
            await self.api.create(ROLE_BINDING, self.namespace, binding)
        return await self.token(name, self.namespace)

    async def tidy(self, keep_rigs: Collection[str]) -> None:
        """Deletes all beads and other rigs, and waits until no agent is left."""
        beads, _ = await self.api.list(BEAD, self.namespace)
        rigs, _ = await self.api.list(RIG, self.namespace)
        for resource, items in ((BEAD, beads), (RIG, rigs)):
            for item in items:
                if resource is BEAD or item["metadata"]["name"] not in keep_rigs:
                    with suppress(NotFoundError):
                        await self.api.delete(resource, self.namespace, item["metadata"]["name"])
        await self.quiet()

    async def sign_in(self, context: BrowserContext) -> None:
        """Gives a browser profile the session of the local user, without a look at the page."""
        self._token = self._token or await self.token()
        answer = await context.request.post(
            f"{self.origin}/api/login",
            data={"token": self._token},
            headers={"origin": self.origin},
            timeout=LOGIN_SECONDS * 1000,
        )
        assert answer.ok, f"{answer.status}: {await answer.text()}"


@asynccontextmanager
async def watched_cluster(
    directory: Path, remote: Path, plays: Plays | None = None, **settings: Any
) -> AsyncIterator[Watched]:
    """All parts, ready for rigs on `remote`; `settings` are those of ClusterSettings. Data goes into `directory`."""
    defaults: dict[str, Any] = {
        "data_dir": directory / "cluster",
        "run_dashboard": True,
        "control_plane": ControlPlaneOptions(unsafe_no_fsync=True),
        "drain_seconds": 5.0,
        "town_env": {"POLECAT_TOWN_HEARTBEAT_SECONDS": "2"},
    }
    async with AsyncExitStack() as stack:
        cluster = await LocalCluster.prepare(ClusterSettings(**(defaults | settings)), say=print)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        await cluster.wait_ready()
        model = await stack.enter_async_context(ScriptedModel(plays))
        gates = await stack.enter_async_context(Gates())
        api = await stack.enter_async_context(cluster.api())
        yield Watched(cluster, api, remote, model, gates)
