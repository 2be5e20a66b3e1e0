"""How this machine reaches package registries, as secrets of the build: none of it gets into the image."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_VARIABLES = frozenset(
    {
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_TRUSTED_HOST",
        "PIP_DEFAULT_TIMEOUT",
        "NPM_CONFIG_REGISTRY",
    }
)
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_PIP_FILES = (".config/pip/pip.conf", ".pip/pip.conf")
_APT_KEYS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")


def secrets(directory: Path, environ: Mapping[str, str]) -> dict[str, Path]:
    """Files by the names under which container/image/inside/network.sh looks for them.

    Written to `directory`, which is private, unless they exist as they are. Some may be missing.
    """
    environment = directory / "environment"
    environment.write_text(_exports(environ))
    environment.chmod(0o600)
    found = {
        "environment": environment,
        "ca": _first([*(environ.get(name, "") for name in _CA_VARIABLES), *_CA_FILES]),
        "pip": _first([environ.get("PIP_CONFIG_FILE", ""), *_below_home(environ, _PIP_FILES), "/etc/pip.conf"]),
        "npm": _first([environ.get("NPM_CONFIG_USERCONFIG", ""), *_below_home(environ, (".npmrc",)), "/etc/npmrc"]),
    }
    return {name: path for name, path in found.items() if path is not None}


def apt_options() -> list[str]:
    """What the machine's own apt is told about proxies, retries and dates, as `key=value`; empty without apt."""
    tool = shutil.which("apt-config")
    if tool is None:
        return []
    dump = subprocess.run([tool, "dump", "Acquire"], check=False, capture_output=True, text=True).stdout
    pairs = (line.rstrip(";").split(" ", 1) for line in dump.splitlines() if line.startswith(_APT_KEYS))
    return [f"{key}={value.strip(chr(34))}" for key, value in pairs if value != '""']


def _exports(environ: Mapping[str, str]) -> str:
    lines = [
        f"export {name}={shlex.quote(value)}" for name, value in sorted(environ.items()) if name.upper() in _VARIABLES
    ]
    options = " ".join(f"-o {option}" for option in apt_options())
    return "\n".join([*lines, f"APT_OPTIONS={shlex.quote(options)}", ""])


def _below_home(environ: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    home = environ.get("HOME", "")
    return [f"{home}/{name}" for name in names] if home else []


def _first(candidates: list[str]) -> Path | None:
    return next((Path(name) for name in candidates if name and Path(name).is_file()), None)
