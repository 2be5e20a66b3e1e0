"""Looks at the embedded town's volume and at this machine's processes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psutil

from polecat_api.untrusted import Json
from polecat_cli.doctor.facts import Local, MarkedProcess
from polecat_cli.doctor.saved_refs import saved_refs
from polecat_kube.api import KubeApi
from polecat_kube.errors import NotFoundError
from polecat_kube.resources import POLECAT, RIG, TOWN, ResourceType
from polecat_local.cluster import TownIdentity, choose_town
from polecat_local.datadir import DataDir

MARKER = "POLECAT_UID"
"""Environment variable of all processes of an agent: the UID of its Polecat."""
LOST_FOLDER = ".lost"
_UID8 = re.compile(r"^[0-9a-f]{8}$")


async def gather_local(api: KubeApi, data: DataDir, unknown: list[str]) -> Local:
    """What is on the volume; what could not be looked at goes to `unknown`. Raises ApiError."""
    before = await _polecat_uids(api)
    directories, lost = await asyncio.to_thread(_directories, data.town)
    processes = await asyncio.to_thread(marked_processes, data.town)
    # Before and after: what was made, or cleared away, while we looked, is no finding.
    uids = before | await _polecat_uids(api)
    towns = [TownIdentity(each["metadata"]["namespace"], each["metadata"]["name"]) for each in await _all(api, TOWN)]
    namespace = choose_town(towns).namespace
    urls = {
        rig["metadata"]["name"]: str(rig["spec"]["repository"]["url"])
        for rig in await _all(api, RIG)
        if rig["metadata"]["namespace"] == namespace
    }
    return Local(
        directories=tuple(directories),
        lost=tuple(lost),
        saved=tuple(await saved_refs(data.town / "rigs", urls, unknown)),
        processes=tuple(processes),
        uids=frozenset(uids),
    )


async def _all(api: KubeApi, resource: ResourceType) -> list[Json]:
    try:
        items, _ = await api.list(resource)
    except NotFoundError:
        return []
    return items


async def _polecat_uids(api: KubeApi) -> set[str]:
    return {each["metadata"]["uid"] for each in await _all(api, POLECAT)}


def _directories(town: Path) -> tuple[list[tuple[Path, str]], list[Path]]:
    """Directories of polecats (`rigs/<rig>/<name>/<uid8>`), and what lies in `.lost`."""
    found = [(path, path.name) for path in sorted(town.glob("rigs/*/*/*")) if _is_polecats(path)]
    return found, sorted(town.glob(f"rigs/*/{LOST_FOLDER}/*"))


def _is_polecats(path: Path) -> bool:
    return path.parent.name != LOST_FOLDER and _UID8.match(path.name) is not None and path.is_dir()


def marked_processes(town: Path) -> list[MarkedProcess]:
    """Living processes with the marker that work on this volume: another cluster may have agents here too."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            uid = environment.get(MARKER)
            places = (environment.get("HOME", ""), process.cwd() if uid else "")
            if uid and any(Path(place).is_relative_to(town) for place in places if place):
                found.append(MarkedProcess(process.pid, uid, process.name()))
        except (psutil.Error, OSError):
            continue
    return found
