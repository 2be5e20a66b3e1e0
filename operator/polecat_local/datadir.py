"""One data directory: who runs on it now, and what is kept in it beside the control plane's own files."""

import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from polecat_local.errors import DataDirInUseError
from polecat_local.locking import FileLock
from polecat_local.paths import make_private, write_private


@dataclass(frozen=True)
class Runner:
    """The process that runs a cluster; the moment of its start tells it from a later one with the same id."""

    pid: int
    start_ticks: int
    """Since the machine booted: seconds since the epoch would change whenever the clock is set."""

    @classmethod
    def this_process(cls) -> "Runner":
        """The caller itself."""
        return cls(os.getpid(), _start_ticks(os.getpid()))

    def process(self) -> psutil.Process | None:
        """The process, if it still runs."""
        try:
            process = psutil.Process(self.pid)
            alive = _start_ticks(self.pid) == self.start_ticks and process.status() != psutil.STATUS_ZOMBIE
            return process if alive else None
        except (psutil.Error, OSError):
            return None


def _start_ticks(pid: int) -> int:
    """Field 22 of `/proc/PID/stat`, see proc(5). Raises OSError when there is no such process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


class DataDir:
    """Paths below one data directory, and the claim on it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = FileLock(self.path / "lock")

    @property
    def logs(self) -> Path:
        """Directory of `<process>.log` files."""
        return self.path / "logs"

    @property
    def town(self) -> Path:
        """The town's volume."""
        return self.path / "town"

    @property
    def kubeconfig(self) -> Path:
        """The user's kubeconfig."""
        return self.path / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """A kubectl of the control plane's own version, once it has been started."""
        return self.path / "bin" / "kubectl"

    @property
    def dashboard_port(self) -> Path:
        """Holds the port of the dashboard."""
        return self.path / "dashboard.port"

    @property
    def dashboard_socket(self) -> Path:
        """Where the dashboard gives one-time links to who may open it."""
        return self.path / "dashboard.sock"

    @property
    def dashboard_sessions(self) -> Path:
        """Who is signed in at the dashboard; browsers stay so when it is started again."""
        return self.path / "dashboard-sessions.sqlite"

    def is_new(self) -> bool:
        """Whether nothing but logs has been kept here yet; asked before `claim`."""
        try:
            return all(entry == self.logs for entry in self.path.iterdir())
        except FileNotFoundError:
            return True

    def clear(self) -> None:
        """Removes everything but the logs: after a first start that came to nothing."""
        for entry in self.path.iterdir():
            if entry == self.logs:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def claim(self) -> None:
        """Makes the directory and takes it for this process; raises DataDirInUseError if another has it."""
        make_private(self.path, "data")
        if not self._lock.try_acquire():
            runner = self.runner()
            by = f" by process {runner.pid}" if runner else ""
            raise DataDirInUseError(
                f"the data directory {self.path} is in use{by}: "
                "end it with `polecat down`, or give another one with --data-dir"
            )
        write_private(self.path / "up.pid", json.dumps(asdict(Runner.this_process())))

    def release(self) -> None:
        """Gives the directory back."""
        (self.path / "up.pid").unlink(missing_ok=True)
        self._lock.release()

    def runner(self) -> Runner | None:
        """Who runs on it; None when nobody does."""
        try:
            content = json.loads((self.path / "up.pid").read_text())
            runner = Runner(int(content["pid"]), int(content["start_ticks"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return runner if runner.process() is not None else None

    def pod_uid(self) -> str:
        """The identity of the town's process on this directory: as a pod's UID, but kept over restarts,
        since the volume is kept too."""
        file = self.path / "pod-uid"
        if not file.exists():
            write_private(file, str(uuid.uuid4()))
        return file.read_text().strip()


def kill_strays(directory: Path) -> list[int]:
    """SIGKILL to every process of ours that works in `directory` or has its home there; gives their ids.

    The end of a town ends its agents; this is for what they left behind when it could not.
    """
    killed: list[int] = []
    for process in psutil.process_iter():
        try:
            places = [process.cwd(), process.environ().get("HOME", "")]
            if process.pid != os.getpid() and any(Path(p).is_relative_to(directory) for p in places if p):
                process.kill()
                killed.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return killed
