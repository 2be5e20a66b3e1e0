"""Git over SSH on loopback: the real `git-upload-pack` and `git-receive-pack` behind a server with one host key."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh
import pytest

ssh_client = pytest.mark.skipif(shutil.which("ssh") is None, reason="this machine has no ssh client")
_COMMANDS = ("git-upload-pack", "git-receive-pack")


@dataclass(frozen=True)
class SshKey:
    """A pair of keys, as text."""

    private: str
    public: str


def make_key(kind: str = "ssh-ed25519", form: str = "openssh", passphrase: str | None = None) -> SshKey:
    """A new pair. Forms: `openssh` (without a passphrase), `pkcs1-pem`, `pkcs8-pem`."""
    key = asyncssh.generate_private_key(kind)
    return SshKey(key.export_private_key(form, passphrase).decode(), key.export_public_key().decode())


CLOSED_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABC5fU+c2+
2UDgT8RvEouhgwAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIG30bPi3khNjIOj8
3xyrit/82WEzhu7lBIy6OlRuqj1OAAAAkEYE6tL/e+qUw7qR2Am/e186EZtH8WP91Kicha
myyEL1D28sAb5F6Oeuql4wlPmb5D0kU7XLvaCDwCXeHnz7NbP+sYytg5/YgSwvrasVFZQT
eYFI56wnUrkAy7t1VVIwfvF6mzf9A+jdunEa6jLK7FJvzQt2xXaoTPvkliWeGEWOMUSYbw
iqHKf+GqVk57ly7w==
-----END OPENSSH PRIVATE KEY-----
"""
"""Of `ssh-keygen -t ed25519 -N 'a passphrase'`; the key belongs to nothing."""


class SshServer:
    """`async with SshServer(root)`: serves the bare repositories in `root` to those whose keys it has let in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.served: list[str] = []
        """The commands that were run for clients."""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What is waited for before a command is run, with its client connected."""
        self._admitted: set[str] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def url(self, repository: str) -> str:
        """Of a repository in `root`."""
        return f"ssh://git@127.0.0.1:{self.port}/{repository}"

    @property
    def known_hosts(self) -> str:
        """The line that `ssh-keyscan` would print."""
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode()}"

    def admit(self, *keys: SshKey) -> None:
        """From now on these, and no others, are let in."""
        self._admitted = {key.public.split()[1] for key in keys}

    async def change_host_key(self) -> None:
        """The same place, with another host key."""
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        await self._close()
        await self._listen()

    async def _listen(self) -> None:
        admitted = self

        class Guard(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                return key.export_public_key().decode().split()[1] in admitted._admitted

        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=Guard,
            server_host_keys=[self.host_key],
            process_factory=self._serve,
            encoding=None,
        )
        self.port = self._acceptor.get_port()

    async def _close(self) -> None:
        assert self._acceptor is not None
        self._acceptor.close()
        await self._acceptor.wait_closed()

    async def _serve(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        words = shlex.split(client.command or "")
        if len(words) != 2 or words[0] not in _COMMANDS:
            client.stderr.write(b"only Git is served here\n")
            client.exit(1)
            return
        if self.meanwhile is not None:
            await self.meanwhile()
        self.served.append(words[0])
        environment = {"GIT_PROTOCOL": client.env["GIT_PROTOCOL"]} if "GIT_PROTOCOL" in client.env else {}
        process = await asyncio.create_subprocess_exec(
            "git",
            words[0].removeprefix("git-"),
            str(self.root / words[1].lstrip("/")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", **environment},
        )
        await client.redirect(stdin=process.stdin, stdout=process.stdout, stderr=process.stderr)
        client.exit(await process.wait())
        await client.wait_closed()
