"""What a process inside of a domain gets at: `python -I -S tries.py WHAT`, as the domain's program.

WHAT is JSON: `{"files": […], "pid": PID, "port": PORT}`: files and directories that it may not read, a process that
it may not touch, a TCP port that it may not connect to. It prints a JSON list of what it reached all the same, in
words. It does no harm: it reads a byte, sends signal 0, and connects to loopback.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
import sys

IPPROTO_MPTCP = 262
MSG_FASTOPEN = 0x20000000
IO_URING_SETUP = 425
HELD = (errno.EACCES, errno.EPERM)


def reads(path: str) -> bool:
    """Whether a file or directory can be read; one that does not exist can't."""
    with contextlib.suppress(OSError):
        if os.path.isdir(path):  # noqa: PTH112 - quick to start is all here
            return bool(os.listdir(path)) or True  # noqa: PTH208
        with open(path, "rb") as file:  # noqa: PTH123
            return bool(file.read(1)) or not path.startswith("/proc")
    return False


def connects(port: int, protocol: int, *, by_sending: bool) -> bool:
    """Whether a connection to a port of loopback is tried at all; nobody need listen there."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as plug:
            plug.settimeout(5)
            if by_sending:
                plug.sendto(b"x", MSG_FASTOPEN, ("127.0.0.1", port))
            else:
                plug.connect(("127.0.0.1", port))
    except OSError as error:
        return error.errno not in (*HELD, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP)
    return True


def main() -> None:
    """Tries everything."""
    what = json.loads(sys.argv[1])
    reached = [f"reads {path}" for path in what["files"] if reads(path)]
    pid = what["pid"]
    reached += [f"reads the supervisor's {file}" for file in ("environ", "mem", "maps") if reads(f"/proc/{pid}/{file}")]
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        reached.append("signals the supervisor")
    if port := what["port"]:
        for protocol, by_sending, words in (
            (0, False, "TCP"),
            (IPPROTO_MPTCP, False, "MPTCP"),
            (0, True, "TCP Fast Open"),
        ):
            if connects(port, protocol, by_sending=by_sending):
                reached.append(f"connects to port {port} by {words}")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(IO_URING_SETUP, 0, None) < 0 and ctypes.get_errno() not in (*HELD, errno.ENOSYS):
            reached.append("uses io_uring")
    print(json.dumps(reached))


if __name__ == "__main__":
    main()
