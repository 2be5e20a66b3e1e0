"""Which parts of the machine every agent may read: the system, and the programs on PATH."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store",
    "/run/systemd/resolve", "/proc", "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm",
)  # fmt: skip
"""Read-only. No /home, /root, /var, /run or /tmp: there lie secrets, sockets and other people's files."""
DEVICES = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts",
)  # fmt: skip
SHARED_MEMORY = "/dev/shm"  # noqa: S108
"""Semaphores and shared memory of one program lie here under unguessable names: usable, but not to be listed."""

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
TOOL_VARIABLES = ("PYENV_ROOT", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "JAVA_HOME", "GOROOT", "GOTOOLCHAIN")
REGISTRY_VARIABLES = (
    "PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY", "npm_config_registry", "GOPROXY",
)  # fmt: skip
"""URLs of hosts from which agents get packages."""
NETWORK_VARIABLES = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "PIP_CERT", "GOSUMDB",
    *REGISTRY_VARIABLES,
)  # fmt: skip
PASSED_ON = (*CERTIFICATE_VARIABLES, *TOOL_VARIABLES, *NETWORK_VARIABLES, "TZ")
"""Variables of the supervisor that agents get too, unless they hold credentials."""

_PROGRAM_PARTS = (
    "bin", "sbin", "shims", "lib", "lib64", "libexec", "include", "versions", "installs", "plugins", "toolchains",
    "pyenv.d", "version", "settings.toml", "share/uv", "share/pipx",
)  # fmt: skip
"""What may be read of a prefix right below a home directory (`~/.local`, `~/.cargo`): the rest can hold secrets."""


def readable(environ: Mapping[str, str], home: Path, data_dir: Path) -> Iterator[Path]:
    """All directories and files that agents may read and run, `data_dir` excepted wherever it lies."""
    for path in (*map(Path, SYSTEM), *_programs(environ, home), *_named_files(environ)):
        yield from _except(path, data_dir.resolve())


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables among `PASSED_ON` that are set and don't carry credentials in a URL."""
    return {key: environ[key] for key in PASSED_ON if environ.get(key) and "@" not in environ[key]}


def tool_homes(home: Path) -> dict[str, str]:
    """Variables for tools that look for their installation in the user's home, as agents have another one."""
    return {"RUSTUP_HOME": str(home / ".rustup")} if (home / ".rustup").is_dir() else {}


def _named_files(environ: Mapping[str, str]) -> Iterator[Path]:
    for key in CERTIFICATE_VARIABLES:
        if environ.get(key):
            yield Path(environ[key])


def _programs(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    entries = [Path(entry) for entry in environ.get("PATH", "").split(":") if entry.startswith("/")]
    for entry in entries:
        yield from prefix_of(entry, home)
    for key in ("RUSTUP_HOME", "JAVA_HOME", "GOROOT"):
        if environ.get(key):
            yield from prefix_of(Path(environ[key]) / "bin", home)
    if any(entry.name == "bin" and entry.parent.name == ".cargo" for entry in entries):
        yield from prefix_of(home / ".rustup" / "bin", home)


def prefix_of(programs: Path, home: Path) -> Iterator[Path]:
    """What belongs to a directory of programs: its installation prefix, as far as it is safe to read."""
    directory = _resolved(programs)
    if directory is None:
        return
    home = home.resolve()
    prefix = directory.parent if directory.name in ("bin", "sbin", "shims") else directory
    if prefix == home or prefix in home.parents:
        yield directory
    elif prefix.parent == home:
        yield directory
        yield from (prefix / part for part in _PROGRAM_PARTS if (prefix / part).exists())
    else:
        yield prefix
    base = _base_python(prefix)
    if base is not None and base != directory:
        yield from prefix_of(base, home)


def _base_python(prefix: Path) -> Path | None:
    """Where the interpreter of a virtual environment lives."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.partition("=")[::2] for line in lines)
    return next((Path(value.strip()) for key, value in values.items() if key.strip() == "home"), None)


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except OSError:
        return None


def _except(path: Path, forbidden: Path) -> Iterable[Path]:
    """`path`, or, when `forbidden` lies in it, everything beside the way there."""
    resolved = _resolved(path)
    if resolved is None or resolved == forbidden or forbidden in resolved.parents:
        return
    if resolved not in forbidden.parents:
        yield resolved
        return
    try:
        children = sorted(resolved.iterdir())
    except OSError:
        return
    for child in children:
        yield from _except(child, forbidden)
