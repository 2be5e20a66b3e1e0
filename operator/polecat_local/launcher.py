"""Runs a program that dies with its parent: `python -I -S launcher.py PARENT_PID PROGRAM [ARGUMENT…]`.

A program of its own, since code between fork and exec of a threaded Python process may deadlock. Asks the
kernel for SIGKILL when the parent is gone, even by SIGKILL; the request survives exec. The parent may have
died before the request was made, so it is looked at once more afterwards.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replaces this process by the program; ends with 127 and a sentence when that cannot be run."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606 - that is its purpose
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
