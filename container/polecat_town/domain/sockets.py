"""A filter of system calls that closes the ways round Landlock's rules for TCP.

Landlock looks at `connect` on TCP sockets. Three ways lead past that: sockets of other protocols that reach TCP
servers (MPTCP falls back to plain TCP; SMC and virtual machine sockets), a connection that is opened by the first
`send` (TCP Fast Open), and io_uring, which makes sockets without any of these calls. They get the answers of a kernel
that lacks them, on which programs fall back. What needs no filter: TCP, UDP, ping, Unix sockets and netlink.

The program is classic BPF over `struct seccomp_data`, as `linux/seccomp.h` and `linux/filter.h` define them; numbers of
system calls are those of the kernel's tables for each machine.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_X32 = 0x40000000
_MSG_FASTOPEN = 0x20000000
FAMILIES = (socket.AF_UNIX, socket.AF_NETLINK)
"""Families whose protocols are none of ours to judge."""
INTERNET = (socket.AF_INET, socket.AF_INET6)
PROTOCOLS = (0, socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMPV6)


@dataclass(frozen=True, slots=True)
class _Calls:
    """Numbers of system calls on one kind of machine."""

    machine: int
    """The kernel's AUDIT_ARCH_… of it."""
    socket: int
    sends: tuple[tuple[int, int], ...]
    """Calls that send, and the place of their flags among the arguments."""
    io_uring_setup: int = 425
    socketcall: int | None = None
    """The one call for all of them, of 32-bit programs."""


_MACHINES: dict[str, tuple[_Calls, _Calls]] = {
    "x86_64": (
        _Calls(0xC000003E, 41, ((44, 3), (46, 2), (307, 3))),
        _Calls(0x40000003, 359, ((369, 3), (370, 2), (345, 3)), socketcall=102),
    ),
    "aarch64": (
        _Calls(0xC00000B7, 198, ((206, 3), (211, 2), (269, 3))),
        _Calls(0x40000028, 281, ((290, 3), (296, 2), (374, 3)), socketcall=102),
    ),
}
"""For each machine its own calls, and those of 32-bit programs that run on it."""


def socket_filter(machine: str) -> bytes | None:
    """The instructions for a machine as `platform.machine()` names it; None for one that is not known here."""
    if machine not in _MACHINES:
        return None
    own, small = _MACHINES[machine]
    body, other = b"".join(_judge(own)), b"".join(_judge(small))
    return b"".join(
        [
            _do(_LOAD, _MACHINE),
            _do(_JUMP_EQUAL, own.machine, 0, len(body) // 8),
            body,
            _do(_JUMP_EQUAL, small.machine, 0, len(other) // 8),
            other,
            _fail(errno.ENOSYS),
        ]
    )


def _judge(calls: _Calls) -> Iterator[bytes]:
    """What is made of one call; ends in a verdict on every way."""
    yield _do(_LOAD, _NUMBER)
    # Programs of the x32 ABI have numbers of their own under the same machine; they are all but extinct.
    yield _do(_JUMP_AT_LEAST, _X32, 0, 1) + _fail(errno.ENOSYS)
    yield _do(_JUMP_EQUAL, calls.io_uring_setup, 0, 1) + _fail(errno.ENOSYS)
    if calls.socketcall is not None:
        yield _do(_JUMP_EQUAL, calls.socketcall, 0, 1) + _fail(errno.ENOSYS)
    for number, place in calls.sends:
        flags = _argument(place) + _do(_JUMP_SET, _MSG_FASTOPEN, 0, 1) + _fail(errno.EOPNOTSUPP) + _do(_RETURN, _ALLOW)
        yield _do(_JUMP_EQUAL, number, 0, len(flags) // 8) + flags
    yield _do(_JUMP_EQUAL, calls.socket, 1, 0) + _do(_RETURN, _ALLOW)
    yield _argument(0)
    for family in FAMILIES:
        yield _do(_JUMP_EQUAL, family, 0, 1) + _do(_RETURN, _ALLOW)
    yield _do(_JUMP_EQUAL, INTERNET[0], 2, 0) + _do(_JUMP_EQUAL, INTERNET[1], 1, 0) + _fail(errno.EAFNOSUPPORT)
    yield _argument(2)
    for protocol in PROTOCOLS:
        yield _do(_JUMP_EQUAL, protocol, 0, 1) + _do(_RETURN, _ALLOW)
    yield _fail(errno.EPROTONOSUPPORT)


def _argument(place: int) -> bytes:
    """Loads the low half of an argument; all of ours are 32 bits wide, and the machines little-endian."""
    return _do(_LOAD, _ARGUMENTS + 8 * place)


def _fail(number: int) -> bytes:
    return _do(_RETURN, _ERROR | number)


def _do(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
