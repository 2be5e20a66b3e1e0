"""One control plane for a whole pytest session, shared by all its workers.

It is held by a process of its own (this file run as a program), since the worker that comes first may end
first. Each worker holds a shared lock; the holder looks whether it gets that lock alone, which means that no
worker is left, however it ended, and then stops everything and removes the directory.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polecat_kube.connection import Connection, from_kubeconfig
from polecat_local.cache import Cache
from polecat_local.control_plane import ControlPlane, ControlPlaneOptions
from polecat_local.install import shipped_manifests
from polecat_local.paths import make_private
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries

START_SECONDS = 900.0
"""Long enough for the first build of the programs; `make setup` does that before."""
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class SharedControlPlane:
    """The running control plane, as administrator. CRDs and RBAC rules are applied."""

    kubeconfig: Path
    kubectl_path: Path
    data_dir: Path

    @property
    def connection(self) -> Connection:
        """For clients."""
        return from_kubeconfig(self.kubeconfig)


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl as administrator, in one namespace unless told otherwise."""

    plane: SharedControlPlane
    namespace: str

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs it and gives its standard output; a failure fails the test with what it wrote."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs what must fail, and gives the error text."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr

    def run(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs it, whatever comes of it."""
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.plane.data_dir),
            "KUBECONFIG": str(self.plane.kubeconfig),
            "KUBECACHEDIR": str(self.plane.data_dir / "kubectl-cache"),
        }
        return subprocess.run(
            [str(self.plane.kubectl_path), f"--namespace={self.namespace}", *arguments],
            input=stdin,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@contextmanager
def shared_control_plane(environ: Mapping[str, str] = os.environ) -> Iterator[SharedControlPlane]:
    """Joins the session's control plane, starting it if this is the first worker."""
    run_id = environ.get("PYTEST_XDIST_TESTRUNUID", f"pid{os.getpid()}")
    home = Path(tempfile.gettempdir()) / f"polecat-tests-{os.getuid()}-{run_id}"
    plane = SharedControlPlane(
        kubeconfig=home / "plane" / "kubeconfig",
        kubectl_path=home / "plane" / "bin" / "kubectl",
        data_dir=home / "plane",
    )
    starting = _open_locked(home / "start.lock", fcntl.LOCK_EX)
    users = _open_locked(home / "users.lock", fcntl.LOCK_SH)
    try:
        try:
            if not (home / "ready").exists():
                _start_holder(home)
        finally:
            os.close(starting)
        yield plane
    finally:
        os.close(users)


def _open_locked(path: Path, kind: int) -> int:
    """Opens and locks the file that `path` names when the lock is had: an ending holder removes it."""
    while True:
        make_private(path.parent, "test")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, kind)
        try:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _start_holder(home: Path) -> None:
    log = home / "holder.log"
    with log.open("wb") as output:
        holder = subprocess.Popen(
            # -P: the modules beside this file are not to be taken for those of the standard library.
            [sys.executable, "-P", __file__, str(home)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not (home / "ready").exists():
        if holder.poll() is not None or time.monotonic() > deadline:
            holder.kill()
            holder.wait()
            said = log.read_text()
            shutil.rmtree(home, ignore_errors=True)
            raise RuntimeError(f"the control plane did not start:\n{said}")
        time.sleep(POLL_SECONDS)


async def _hold(home: Path) -> None:
    binaries = await control_plane_binaries(Cache(), Progress())
    plane = ControlPlane(home / "plane", binaries, ControlPlaneOptions(unsafe_no_fsync=True), print)
    await plane.start(shipped_manifests())
    (home / "ready").touch()
    try:
        while not _nobody_left(home):
            await asyncio.sleep(POLL_SECONDS)
    finally:
        (home / "ready").unlink(missing_ok=True)
        await plane.stop()
        shutil.rmtree(home, ignore_errors=True)


def _nobody_left(home: Path) -> bool:
    """Takes both locks if nobody has either, and keeps them until this process ends."""
    descriptors: list[int] = []
    for name in ("start.lock", "users.lock"):
        descriptors.append(os.open(home / name, os.O_RDWR | os.O_CLOEXEC))
        try:
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for descriptor in descriptors:
                os.close(descriptor)
            return False
    return True


if __name__ == "__main__":
    asyncio.run(_hold(Path(sys.argv[1])))
