"""Runs a program inside a domain: `python -I -S launch.py DOMAIN PROGRAM [ARGUMENT…]`.

DOMAIN is JSON: `{"rw": […], "ro": […], "by_name": […], "network": …, "sockets": …, "nice": …, "parent": PID}`.
`network` is "open", "closed" (no TCP) or the descriptor of a ruleset (`network.py`), `sockets` a filter of system
calls in hexadecimal (`sockets.py`), `nice` what is added to the niceness; parent 0 means whoever started it.
A program of its own, on the standard library alone, as code between fork and exec of a threaded process may
deadlock, and as Landlock can only be entered by the process itself. The environment is passed on as it is.

The program's process enters the domain, can't gain privileges, leaves no core file, makes files for its own user
only, keeps no descriptor but 0, 1 and 2, and is the first to be ended when the kernel runs out of memory. As root it
also gives up all capabilities but those that concern ownership and modes of files: with CAP_PERFMON or CAP_SYS_PTRACE
it could read the environment of processes outside of its domain.

This process stays outside, as leader of a session and as its warden: whatever the program starts is and remains
below it, daemons too, however they hide. It buries them, passes SIGTERM on to the program, ends all that is left when
the program ends, and then ends in the same way. When its own parent dies (also when that is killed) it ends everything.

Numbers are those of the kernel's `linux/landlock.h`, `linux/prctl.h` and `linux/capability.h`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import stat
import sys

TYPE_CHECKING = False  # that of `typing`, whose import would double the time that this program takes to begin
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

CANNOT_ENTER = 126
"""Exit code when the domain could not be entered; the program was not run."""
CANNOT_RUN = 127

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
LAST_CAPABILITY = 63
KEPT_CAPABILITIES = frozenset({0, 1, 3, 4, 6, 7})  # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID

SYS_CREATE_RULESET, SYS_ADD_RULE, SYS_RESTRICT_SELF = 444, 445, 446  # the same on all architectures
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH, RULE_NET_PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_REG = 1 << 8
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15
RIGHTS_BY_ABI = ((1, (1 << 13) - 1), (2, 1 << 13), (3, TRUNCATE), (5, IOCTL_DEV))
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ_RIGHTS = EXECUTE | READ_FILE | READ_DIR
BY_NAME_RIGHTS = READ_FILE | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE
SCOPES = 0b11  # abstract Unix sockets, signals
SCOPES_ABI = 6
BIND_TCP, CONNECT_TCP = 1, 2
NETWORK_ABI = 4
OPEN, CLOSED = "open", "closed"
OUT_OF_MEMORY_STEP = 300
"""Added to `oom_score_adj`, in thousandths of the memory: the supervisor, which saves the work, is to be spared."""
PARENT_DIED = signal.SIGUSR1
"""What the kernel sends a warden whose parent has died."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a warden passes on to its program."""

_libc = ctypes.CDLL(None, use_errno=True)


class _RulesetAttr(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


class _NetPortAttr(ctypes.Structure):
    _fields_ = [("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64)]


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def abi_version() -> int:
    """The version of the kernel's Landlock interface; 0 when there is none or it is switched off."""
    return max(0, int(_libc.syscall(SYS_CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION)))


def handled_rights(abi: int) -> int:
    """All file rights that a kernel of this version knows."""
    return sum(rights for since, rights in RIGHTS_BY_ABI if abi >= since)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Adds a rule for a file or everything below a directory; a path that doesn't exist needs none."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= FILE_RIGHTS
        if rights:
            rule = _PathBeneathAttr(rights, descriptor)
            _call(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _create_ruleset(files: int, network: int, scopes: int) -> int:
    attributes = _RulesetAttr(files, network, scopes)
    # older kernels refuse a structure with bytes set that they don't know; unset ones they accept
    return _call(SYS_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)


def create_connect_ruleset(ports: Iterable[int]) -> int:
    """A ruleset under which TCP connections go to these ports only; its descriptor. Raises OSError.

    Rules name single ports, so that all but a few are many rules: made once, it is passed on to each process.
    """
    ruleset = _create_ruleset(0, CONNECT_TCP, 0)
    rule = _NetPortAttr(CONNECT_TCP, 0)
    reference = ctypes.byref(rule)
    try:
        for port in ports:
            rule.port = port
            _call(SYS_ADD_RULE, ruleset, RULE_NET_PORT, reference, 0)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def enter(domain: dict[str, Any]) -> None:
    """Confines this process for good, as far as the kernel can. Raises OSError when it can and refuses."""
    if domain["sockets"]:
        _filter_system_calls(bytes.fromhex(domain["sockets"]))
    abi = abi_version()
    if abi < 1:
        return
    handled, network = handled_rights(abi), domain["network"]
    tcp = BIND_TCP | CONNECT_TCP if network == CLOSED and abi >= NETWORK_ABI else 0
    ruleset = _create_ruleset(handled, tcp, SCOPES if abi >= SCOPES_ABI else 0)
    for path in domain["ro"]:
        _allow(ruleset, path, READ_RIGHTS & handled)
    for path in domain["by_name"]:
        _allow(ruleset, path, BY_NAME_RIGHTS & handled)
    for path in domain["rw"]:
        _allow(ruleset, path, handled)
    _call(SYS_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    if isinstance(network, int):
        # After the small one: each layer is a copy of all rules before it.
        _call(SYS_RESTRICT_SELF, network, 0)
        os.close(network)


def _filter_system_calls(instructions: bytes) -> None:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    program = _FilterProgram(len(instructions) // 8, ctypes.cast(code, ctypes.c_void_p))
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _stand_back(niceness: int) -> None:
    """CPU and disk (whose priority follows from the niceness) go to others first, and memory is taken here first."""
    os.nice(niceness)
    for file, change in (("oom_score_adj", OUT_OF_MEMORY_STEP), ("autogroup", niceness)):
        try:
            with open(f"/proc/self/{file}", "r+") as own:  # noqa: PTH123 - quick to start is all here
                before = int(own.read().rpartition(" ")[2])
                own.seek(0)
                own.write(str(min(before + change, 1000 if file == "oom_score_adj" else 19)))
        except (OSError, ValueError):
            continue  # autogroups are an option of the kernel


def _drop_capabilities() -> None:
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in KEPT_CAPABILITIES and _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            code = ctypes.get_errno()
            if code == errno.EINVAL:  # past the last one that the kernel knows
                return
            if code != errno.EPERM:
                raise OSError(code, os.strerror(code))


def main() -> None:
    """Starts the program and watches over it to its end."""
    domain, command = json.loads(sys.argv[1]), sys.argv[2:]
    signal.signal(PARENT_DIED, _abandon)
    _libc.prctl(PR_SET_PDEATHSIG, PARENT_DIED, 0, 0, 0)
    if domain["parent"] and os.getppid() != domain["parent"]:
        sys.exit(CANNOT_ENTER)  # it died before the kernel knew of our wish
    if os.getsid(0) != os.getpid():
        os.setsid()
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    network = domain["network"]
    last = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if isinstance(network, int):
        os.closerange(3, network)
        os.closerange(network + 1, last)
    else:
        os.closerange(3, last)
    warden = os.getpid()
    program = os.fork()
    if program == 0:
        _become(domain, command, warden)
    if isinstance(network, int):
        os.close(network)
    for number in PASSED_ON:
        signal.signal(number, lambda number, _frame: os.kill(program, number))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):  # whoever reads the program's output waits for the program only
        os.dup2(nothing, descriptor)
    os.chdir("/")
    while True:
        ended, status = os.wait()
        if ended == program:
            break
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    _end_all()
    if os.WIFSIGNALED(status):
        killer = os.WTERMSIG(status)
        if killer != signal.SIGKILL:
            signal.signal(killer, signal.SIG_DFL)
        os.kill(warden, killer)
    os._exit(os.waitstatus_to_exitcode(status))


def _become(domain: dict[str, Any], command: list[str], warden: int) -> None:
    """Replaces this process by the program."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != warden:
        os._exit(CANNOT_ENTER)
    try:
        os.umask(0o077)
        _stand_back(domain["nice"])
        if os.geteuid() == 0:
            _drop_capabilities()
        if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "no_new_privs refused")
        enter(domain)
    except OSError as error:
        print(f"the isolation of {command[0]} cannot be set up: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(CANNOT_ENTER)
    for number in (PARENT_DIED, signal.SIGPIPE, signal.SIGXFSZ):  # ours, and those that Python ignores
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(CANNOT_RUN)


def _abandon(_number: int, _frame: object) -> None:
    _end_all()
    os._exit(128 + signal.SIGKILL)


def _end_all() -> None:
    """Kills all that is left below this process; children of those that die become its own, and follow."""
    while True:
        for child in _children():
            try:
                os.kill(child, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            os.wait()
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _children() -> list[int]:
    own, found = os.getpid(), []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names only
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - quick to start is all here
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if len(fields) > 1 and int(fields[1]) == own:
                found.append(int(entry))
    return found


if __name__ == "__main__":
    main()
