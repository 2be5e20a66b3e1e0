"""What can go wrong on a user's own machine. Each message is one sentence that says what to do."""

import errno


class LocalError(Exception):
    """Something about this machine keeps us from going on; the text is shown to the user as it is."""


class NoBinariesError(LocalError):
    """No provider could serve the control plane's binaries; the text lists what each of them said."""


class KiloUnavailableError(LocalError):
    """The pinned Kilo CLI could not be installed, or does not run."""


class DataDirInUseError(LocalError):
    """Another `polecat up` holds the data directory."""


class ProcessFailedError(LocalError):
    """A process we started ended when it should not have; carries the end of its log."""


class NotReadyError(LocalError):
    """Something was started, lives, but did not become ready in time."""


def describe_os_error(error: OSError, doing: str) -> str:
    """One sentence for an operating system error met while `doing` something (a gerund phrase)."""
    where = f" ({error.filename})" if error.filename and str(error.filename) not in doing else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full while {doing}{where}: free some space and try again"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"no permission to write while {doing}{where}: choose a directory of your own"
        case _:
            return f"{error.strerror or error} while {doing}{where}"
