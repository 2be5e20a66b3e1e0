"""One supervisor on the real API server, with a real Git remote and a scripted model; the test is the operator."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import yaml

from polecat_api import protocol
from polecat_api.branches import build_branch
from polecat_api.names import object_name
from polecat_kube.api import KubeApi
from polecat_kube.errors import NotFoundError
from polecat_kube.resources import BEAD, CONFIG_MAP, EVENT, POLECAT, RIG, SECRET, TOWN
from polecat_local.demo.model import ScriptedModel
from polecat_local.install import TOWN_ACCOUNT, grant_town, service_account_token
from polecat_local.kubeconfig import write_kubeconfig
from support.control_plane import SharedControlPlane
from support.fake_agent import FAKE_KILO, Faults, install_fake
from support.town_made import Signer

POD = "main-0"
Json = dict[str, Any]
Script = Sequence[Json]

WORK: Script = (
    {"say": "I will do it.", "bash": "echo work > work.txt && git add work.txt && git commit -q -m 'Add work'"},
    {"done": "Added work.txt."},
)
"""An agent that does something and says so."""
LONG = "for i in $(seq 600); do sleep 0.1; done"
"""A command that takes a minute, if nobody ends it."""


class TownHarness:
    """Makes the objects that an operator would, runs the supervisor, and looks at what users see."""

    def __init__(self, plane: SharedControlPlane, api: KubeApi, namespace: str, directory: Path) -> None:
        self.plane = plane
        self.api = api
        self.namespace = namespace
        self.directory = directory
        self.data_dir = directory / "town"
        self.remote = directory / "remote.git"
        self.model = ScriptedModel()
        self.signer = Signer()
        self.kilo: Path = FAKE_KILO
        self.many = 10
        """How many agents a test starts that wants many."""
        self.patience_seconds = 60.0
        """How long to wait for what must happen; reached only when it never will."""
        self.pod_uid = "pod-uid-1"
        self.around: tuple[str, ...] = ()
        """The command in which the supervisor's is run."""
        self.town: asyncio.subprocess.Process | None = None
        self._log = directory / "town.log"

    # -- set-up ----------------------------------------------------------------------------------------------

    async def start(self, *, slots: int = 5, town: Json | None = None) -> None:
        """Remote, model, Town, keys, rights of the town's account; not yet the supervisor."""
        await self.model.start()
        await self._make_remote()
        scratch = self.directory / "access.yaml"
        await grant_town(self.plane.kubectl_path, self.plane.kubeconfig, self.namespace, scratch)
        token = await service_account_token(
            self.plane.kubectl_path, self.plane.kubeconfig, self.namespace, TOWN_ACCOUNT
        )
        connection = replace(self.plane.connection, token=token, namespace=self.namespace)
        write_kubeconfig(self.directory / "town.kubeconfig", connection, "town")
        await self.api.create(
            TOWN, self.namespace, {"metadata": {"name": "main"}, "spec": {"slots": slots, **(town or {})}}
        )
        keys = {"metadata": {"name": protocol.JWKS_CONFIG_MAP}, "data": {protocol.JWKS_KEY: self.signer.jwks()}}
        await self.api.create(CONFIG_MAP, self.namespace, keys)

    async def set_slots(self, slots: int) -> None:
        """How many polecats the pod may run."""
        await self.api.patch_merge(TOWN, self.namespace, "main", {"spec": {"slots": slots}})

    async def limit_memory(self, quantity: str) -> None:
        """How much one agent may use."""
        await self.api.patch_merge(TOWN, self.namespace, "main", {"spec": {"agentMemory": quantity}})

    async def _make_remote(self) -> None:
        await git(self.directory, "init", "-q", "--bare", "-b", "main", str(self.remote))
        work = self.directory / "seed"
        await git(self.directory, "clone", "-q", str(self.remote), str(work))
        (work / "README.md").write_text("sample\n")
        await git(work, "add", ".")
        await git(work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "Begin")
        await git(work, "push", "-q", "origin", "HEAD:main")

    async def stop(self) -> None:
        """Ends everything."""
        if self.town is not None and self.town.returncode is None:
            self.town.kill()
            await self.town.wait()
        for process in self.agents():
            with suppress(psutil.Error):
                process.kill()
        # Without a supervisor nobody else takes the finalizers off.
        for polecat in (await self.api.list(POLECAT, self.namespace))[0]:
            with suppress(NotFoundError):
                patch = [{"op": "remove", "path": "/metadata/finalizers"}]
                if polecat["metadata"].get("finalizers"):
                    await self.api.patch_json(POLECAT, self.namespace, polecat["metadata"]["name"], patch)
        await self.model.stop()

    # -- the supervisor --------------------------------------------------------------------------------------

    def spoil(self, faults: Faults) -> None:
        """Gives the fake agent faults; the real one stays as it is, slow to start and with habits of its own."""
        if self.kilo == FAKE_KILO:
            self.kilo = install_fake(self.directory / "kilo", faults)

    async def start_town(self, *, ready: bool = True, **settings: Any) -> None:
        """Starts the supervisor; `settings` are POLECAT_TOWN_ variables in lower case."""
        values = {
            "name": "main",
            "namespace": self.namespace,
            "pod_name": POD,
            "pod_uid": self.pod_uid,
            "data_dir": self.data_dir,
            "kilo_path": self.kilo,
            "terminate_seconds": 1,
            "lease_seconds": 1,
            "memory_check_seconds": 0.5,
            **settings,
        }
        env = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        env |= {f"POLECAT_TOWN_{key.upper()}": str(value) for key, value in values.items()}
        env["KUBECONFIG"] = str(self.directory / "town.kubeconfig")
        with self._log.open("ab") as log:
            self.town = await asyncio.create_subprocess_exec(
                *(*self.around, sys.executable, "-m", "polecat_town"),
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if ready:
            await self.until(self._pod_ready, "the pod is ready")

    async def _pod_ready(self) -> bool:
        assert self.town is not None
        assert self.town.returncode is None, self.log_text()
        entry = await self.pod_entry()
        return entry is not None and entry["ready"] and entry["uid"] == self.pod_uid

    async def pod_entry(self) -> Json | None:
        """What the pod says of itself in the Town."""
        town = await self.api.get(TOWN, self.namespace, "main")
        pods = ((town or {}).get("status") or {}).get("pods") or []
        return next((dict(pod) for pod in pods if pod["name"] == POD), None)

    async def kill_town(self) -> None:
        """SIGKILL, as the kernel would."""
        assert self.town is not None
        self.town.kill()
        await self.town.wait()

    async def drain_town(self) -> int:
        """SIGTERM; the exit code."""
        assert self.town is not None
        self.town.send_signal(signal.SIGTERM)
        return await self.town.wait()

    def log_text(self) -> str:
        """The end of what the supervisor printed."""
        return self._log.read_text()[-6000:] if self._log.exists() else ""

    # -- what the operator does ------------------------------------------------------------------------------

    async def rig(self, name: str = "web", **spec: Any) -> None:
        """A rig on the remote, with the scripted model."""
        model = {"provider": "openai-compatible", "name": "scripted", "endpoint": self.model.url}
        body = {
            "townRef": {"name": "main"},
            "repository": {"url": f"file://{self.remote}"},
            "model": model,
            **spec,
        }
        await self.api.create(RIG, self.namespace, {"metadata": {"name": name}, "spec": body})

    async def secret(self, name: str, values: dict[str, str]) -> None:
        """A Secret of the user."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        await self.api.create(SECRET, self.namespace, {"metadata": {"name": name}, "data": data})

    async def sling(
        self,
        bead: str,
        script: Script = WORK,
        *,
        name: str = "toast",
        rig: str = "web",
        attempt: int = 1,
        start_commit: str | None = None,
        token: bool = True,
        **limits: int,
    ) -> Json:
        """A bead whose agent plays `script`, and a Polecat for it, as the operator makes them."""
        found = await self.api.get(BEAD, self.namespace, bead)
        if found is None:
            prompt = f"Play it.\n\n```script\n{yaml.safe_dump(list(script))}```\n"
            spec = {"rigRef": {"name": rig}, "title": f"Title of {bead}", "prompt": prompt}
            found = await self.api.create(BEAD, self.namespace, {"metadata": {"name": bead}, "spec": spec})
        await self.api.patch_merge(BEAD, self.namespace, bead, {"status": {"polecat": name}}, "status")
        return await self.polecat(
            found, name=name, rig=rig, attempt=attempt, start_commit=start_commit, token=token, **limits
        )

    async def polecat(
        self,
        bead: Json,
        *,
        name: str = "toast",
        rig: str = "web",
        attempt: int = 1,
        start_commit: str | None = None,
        token: bool = True,
        **limits: int,
    ) -> Json:
        """A Polecat for a bead, and the Secret with its token."""
        uid = bead["metadata"]["uid"]
        full = object_name(rig, name)
        spec: Json = {
            "name": name,
            "rigRef": {"name": rig},
            "townRef": {"name": "main"},
            "beadRef": {"name": bead["metadata"]["name"], "uid": uid},
            "attempt": attempt,
            "pod": POD,
            "branch": str(build_branch("polecat", name, uid)),
            "baseBranch": "main",
            "title": bead["spec"]["title"],
            "model": "scripted",
            "limits": limits,
            "tokenSecretRef": {"name": protocol.token_secret_name(full)},
        }
        if start_commit:
            spec["startCommit"] = start_commit
        metadata = {"name": full, "labels": {protocol.LABEL_POD: POD}, "finalizers": [protocol.FINALIZER]}
        made = await self.api.create(POLECAT, self.namespace, {"metadata": metadata, "spec": spec})
        if token:
            await self.give_token(made)
        return made

    async def give_token(self, polecat: Json, value: str | None = None) -> None:
        """The Secret that the operator makes right after the Polecat."""
        spec = polecat["spec"]
        text = value or self.signer.token(polecat["metadata"]["uid"], spec["beadRef"]["uid"], spec["attempt"])
        secret = spec["tokenSecretRef"]["name"]
        await self.api.delete(SECRET, self.namespace, secret)
        await self.secret(secret, {protocol.TOKEN_KEY: text})

    async def delete(self, polecat: Json) -> None:
        """Asks for the deletion, and does not wait."""
        metadata = polecat["metadata"]
        await self.api.delete(POLECAT, self.namespace, metadata["name"], uid=metadata["uid"])

    # -- what users see --------------------------------------------------------------------------------------

    async def status(self, polecat: Json) -> Json:
        """The Polecat's status; empty when it is gone."""
        found = await self.api.get(POLECAT, self.namespace, polecat["metadata"]["name"])
        if found is None or found["metadata"]["uid"] != polecat["metadata"]["uid"]:
            return {}
        return dict(found.get("status") or {})

    async def condition(self, polecat: Json, type_: str) -> tuple[str, str]:
        """(status, reason) of a condition; two empty strings while there is none."""
        for entry in (await self.status(polecat)).get("conditions") or []:
            if entry["type"] == type_:
                return entry["status"], entry["reason"]
        return "", ""

    async def until_running(self, polecat: Json) -> Json:
        """Waits for Ready; gives the status."""

        async def running() -> bool:
            return await self.condition(polecat, "Ready") == ("True", "Running")

        await self.until(running, "the agent runs")
        return await self.status(polecat)

    async def until_finished(self, polecat: Json, seconds: float | None = None) -> Json:
        """Waits for the end; gives the status."""

        async def finished() -> bool:
            return (await self.condition(polecat, "Finished"))[0] == "True"

        await self.until(finished, "the polecat is finished", seconds)
        return await self.status(polecat)

    async def until_gone(self, polecat: Json) -> None:
        """Waits until the name is free again."""

        async def gone() -> bool:
            return await self.api.get(POLECAT, self.namespace, polecat["metadata"]["name"]) is None

        await self.until(gone, "the polecat is gone")

    async def remote_refs(self) -> dict[str, str]:
        """Commits by ref, as the remote has them."""
        lines = (await git(self.directory, "ls-remote", str(self.remote))).splitlines()
        return {ref: commit for commit, ref in (line.split("\t") for line in lines)}

    async def all_saved(self, polecats: Sequence[Json], *files: str) -> None:
        """Fails unless each was interrupted, and the remote has its saved commit with these files."""
        refs = await self.remote_refs()
        for polecat in polecats:
            status = await self.status(polecat)
            assert await self.condition(polecat, "Finished") == ("True", "Interrupted")
            assert refs[status["savedRef"]] == status["savedCommit"]
            saved = (await git(self.remote, "ls-tree", "--name-only", status["savedCommit"])).split()
            assert set(files) <= set(saved)

    def journal(self, polecat: Json) -> list[Json]:
        """The events of the attempt."""
        spec = polecat["spec"]
        path = self.data_dir / "streams" / spec["beadRef"]["uid"] / f"{spec['attempt']}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def kinds(self, polecat: Json) -> list[str]:
        """The kinds of the attempt's events."""
        return [event["kind"] for event in self.journal(polecat)]

    def worktree(self, polecat: Json) -> Path:
        """Where the polecat works."""
        uid = polecat["metadata"]["uid"].replace("-", "")[:8]
        spec = polecat["spec"]
        return self.data_dir / "rigs" / spec["rigRef"]["name"] / spec["name"] / uid / "worktree"

    def agents(self, uid: str | None = None) -> list[psutil.Process]:
        """Living processes of polecats of this harness (of one, if `uid` is given)."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environ = process.environ()
                mine = environ.get("POLECAT_UID")
                home = environ.get("HOME", "")
                if mine and home.startswith(str(self.data_dir)) and uid in (None, mine):
                    found.append(process)
        return found

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float | None = None) -> None:
        """Waits for a condition; fails with the supervisor's log."""
        seconds = seconds or self.patience_seconds
        deadline = time.monotonic() + seconds
        while not await holds():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.log_text()}"
            await asyncio.sleep(0.05)

    async def events_of(self, bead: str) -> list[Json]:
        """Events about a bead."""
        listed, _ = await self.api.list(EVENT, self.namespace)
        return [event for event in listed if event["involvedObject"]["name"] == bead]


async def git(cwd: Path, *arguments: str) -> str:
    """Runs Git, as the test itself; gives its output."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
