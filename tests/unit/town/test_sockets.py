"""The filter of system calls, run by an interpreter of its own: for machines that the tests don't run on, too."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from polecat_town.domain.sockets import socket_filter

X86, I386, ARM64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
FASTOPEN = 0x20000000


def verdict(machine: str, arch: int, number: int, *arguments: int) -> int:
    """The error that a system call gets; 0 when it is let through."""
    program = socket_filter(machine)
    assert program is not None
    data = struct.pack("<II8x6Q", number, arch, *arguments, *([0] * (6 - len(arguments))))
    code = list(struct.iter_unpack("=HBBI", program))
    place = accumulator = 0
    while True:
        operation, if_true, if_false, value = code[place]
        place += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x15:
                place += if_true if accumulator == value else if_false
            case 0x35:
                place += if_true if accumulator >= value else if_false
            case 0x45:
                place += if_true if accumulator & value else if_false
            case 0x06:
                return 0 if value == 0x7FFF0000 else value & 0xFFFF
            case _:
                raise AssertionError(operation)


@pytest.mark.parametrize(
    ("machine", "arch", "socket_", "sendto", "sendmsg", "sendmmsg"),
    [
        ("x86_64", X86, 41, 44, 46, 307),
        ("x86_64", I386, 359, 369, 370, 345),
        ("aarch64", ARM64, 198, 206, 211, 269),
        ("aarch64", ARM, 281, 290, 296, 374),
    ],
)
def test_what_is_let_through(machine: str, arch: int, socket_: int, sendto: int, sendmsg: int, sendmmsg: int) -> None:
    def judge(number: int, *arguments: int) -> int:
        return verdict(machine, arch, number, *arguments)

    stream, datagram = socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.SOCK_DGRAM
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (0, socket.IPPROTO_TCP):
            assert judge(socket_, family, stream, protocol) == 0
        assert judge(socket_, family, datagram, socket.IPPROTO_UDP) == 0
        for protocol in (262, socket.IPPROTO_SCTP, socket.IPPROTO_RAW, 33, 136):
            assert judge(socket_, family, stream, protocol) == errno.EPROTONOSUPPORT
    assert judge(socket_, socket.AF_UNIX, stream, 0) == 0
    assert judge(socket_, socket.AF_NETLINK, socket.SOCK_RAW, 9) == 0
    for family in (socket.AF_VSOCK, 43, socket.AF_PACKET, socket.AF_TIPC, socket.AF_ALG):
        assert judge(socket_, family, stream, 0) == errno.EAFNOSUPPORT
    assert judge(sendto, 3, 0, 1, socket.MSG_NOSIGNAL) == 0
    assert judge(sendto, 3, 0, 1, socket.MSG_NOSIGNAL | FASTOPEN) == errno.EOPNOTSUPP
    assert judge(sendmsg, 3, 0, FASTOPEN) == errno.EOPNOTSUPP
    assert judge(sendmsg, 3, 0, 0) == 0
    assert judge(sendmmsg, 3, 0, 1, FASTOPEN) == errno.EOPNOTSUPP
    assert judge(425, 1) == errno.ENOSYS
    assert judge(1, 1) == judge(0, 0) == 0


def test_what_machines_have_besides() -> None:
    assert verdict("x86_64", I386, 102, 1) == errno.ENOSYS
    assert verdict("x86_64", X86, 102) == 0  # another call there
    assert verdict("x86_64", X86, 0x40000000 | 41, socket.AF_INET, 1, 262) == errno.ENOSYS
    assert verdict("x86_64", ARM64, 198) == errno.ENOSYS
    assert socket_filter("riscv64") is None
