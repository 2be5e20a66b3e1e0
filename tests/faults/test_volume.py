"""I45: the town's volume is full, or read-only, while agents work."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from polecat_kube.resources import EVENT
from support.town_harness import Json, TownHarness

VOLUME_MIB = 128
RESERVE_MIB = 16
COMMIT = "git add -A && git commit -qm Work"
# Waits in its worktree, where nothing has to be written, until the test lets it go on.
GATE = "touch ../arrived; until [ -e ../go ]; do sleep 0.1; done"


class SmallVolume:
    """A volume of a few MiB for one supervisor, in a mount namespace of its own; the test looks in through /proc."""

    def __init__(self, harness: TownHarness) -> None:
        self._harness = harness
        harness.data_dir.mkdir()

    def mount(self, options: str = "rw") -> None:
        """The harness's supervisor will run on it."""
        harness = self._harness
        mount = f'mount -t tmpfs -o size={VOLUME_MIB}m,mode=700,{options} polecat "$0" && exec "$@"'
        harness.around = ("unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(harness.data_dir))

    @property
    def path(self) -> Path:
        """The volume, as seen from outside."""
        town = self._harness.town
        assert town is not None
        return Path(f"/proc/{town.pid}/root{self._harness.data_dir}")

    def fill(self) -> None:
        """Leaves no byte."""
        with (self.path / "ballast").open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def clear(self) -> None:
        """There is room again."""
        (self.path / "ballast").unlink()

    def make_writable(self) -> None:
        """A volume that was mounted read-only is mounted anew."""
        town = self._harness.town
        assert town is not None
        enter = ("nsenter", f"--target={town.pid}", "--user", "--mount", "--preserve-credentials")
        # All options by name: among those of the mount table is a user that this namespace does not know.
        options = f"remount,rw,size={VOLUME_MIB}m,mode=700"
        words = [*enter, "mount", "--types", "tmpfs", "--options", options, "polecat", str(self._harness.data_dir)]
        subprocess.run(words, check=True, capture_output=True)

    def beside_worktree(self, polecat: Json) -> Path:
        """The directory in which a polecat's worktree is."""
        return self.path / self._harness.worktree(polecat).parent.relative_to(self._harness.data_dir)


@pytest.fixture
def volume(watched_harness: TownHarness) -> SmallVolume:
    """Not mounted yet."""
    tried = subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "polecat",
            os.fspath(watched_harness.directory),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"the kernel lets ordinary users mount nothing, not even in their own namespace: {tried.stderr}")
    return SmallVolume(watched_harness)


async def says(harness: TownHarness, reason: str) -> None:
    """Until the pod says so in the Town."""

    async def look() -> bool:
        return ((await harness.pod_entry()) or {}).get("reason") == reason

    await harness.until(look, f"the pod says {reason}")


async def work(harness: TownHarness, volume: SmallVolume, bead: str, name: str) -> Json:
    """A polecat that has committed something and waits at its gate."""
    script = [{"bash": f"echo 1 > {bead}.txt && {COMMIT} && {GATE}"}, {"done": "ok"}]
    polecat = await harness.sling(bead, script, name=name)
    await harness.until_running(polecat)

    async def arrived() -> bool:
        return (volume.beside_worktree(polecat) / "arrived").exists()

    await harness.until(arrived, "the agent waits at its gate")
    return polecat


async def test_i45_a_full_disk_is_told_and_waited_for(watched_harness: TownHarness, volume: SmallVolume) -> None:
    """The disk was full: agents failed again and again, their work was lost, and nobody was told why."""
    harness = watched_harness
    volume.mount()
    await harness.start_town(volume_check_seconds=0.5, reserve_mib=RESERVE_MIB, heartbeat_seconds=1)
    goes_on = await work(harness, volume, "goes-on", "toast")
    deleted = await work(harness, volume, "deleted", "maple")
    crashed = await work(harness, volume, "crashed", "shadow")
    volume.fill()
    await says(harness, "DiskFull")
    new = await harness.sling("new", name="birch")
    await harness.delete(deleted)
    for process in harness.agents(crashed["metadata"]["uid"]):
        with suppress(psutil.Error):
            process.kill()

    async def told() -> bool:
        events, _ = await harness.api.list(EVENT, harness.namespace)
        mine = [e for e in events if e["involvedObject"]["uid"] == deleted["metadata"]["uid"]]
        return any(each["reason"] == "SaveFailed" for each in mine)

    async def stopping() -> bool:
        return (await harness.condition(deleted, "Ready"))[1] == "Stopping"

    await harness.until(told, "an Event says that the work can't be saved")
    await harness.until(stopping, "its condition says that it is being stopped")
    assert "claim" not in await harness.status(new), "nothing new is begun"
    volume.clear()
    await says(harness, "Ok")
    await harness.until_gone(deleted)
    saved = [ref for ref in await harness.remote_refs() if deleted["spec"]["beadRef"]["uid"] in ref]
    assert saved, "the work of the deleted one is on the remote"
    await harness.until_finished(crashed)
    assert await harness.condition(crashed, "Finished") == ("True", "Interrupted"), "no attempt is used up"
    (volume.beside_worktree(goes_on) / "go").touch()
    for polecat in (goes_on, new):
        await harness.until_finished(polecat)
        assert await harness.condition(polecat, "Finished") == ("True", "Done")


async def test_i45_a_read_only_volume_is_told_and_waited_for(watched_harness: TownHarness, volume: SmallVolume) -> None:
    """The volume came up read-only, the supervisor died again and again, and nobody was told why."""
    harness = watched_harness
    volume.mount("ro")
    await harness.start_town(ready=False, volume_check_seconds=0.5)
    waiting = await harness.sling("waiting")
    await says(harness, "VolumeNotWritable")
    entry = await harness.pod_entry()
    assert entry is not None and not entry["ready"] and "Read-only" in entry["message"]
    assert harness.town is not None and harness.town.returncode is None
    volume.make_writable()
    await harness.until_finished(waiting)
    assert await harness.condition(waiting, "Finished") == ("True", "Done")
