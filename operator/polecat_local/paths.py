"""Which directories of the user's we keep things in."""

import os
from collections.abc import Mapping
from pathlib import Path

from polecat_local.errors import LocalError, describe_os_error


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CACHE_HOME/polecat`, or `~/.cache/polecat`. Raises LocalError when there is no home either."""
    return _xdg(environ, "XDG_CACHE_HOME", ".cache", "cache")


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/polecat`, or `~/.local/state/polecat`: where `polecat up` keeps a cluster."""
    return _xdg(environ, "XDG_STATE_HOME", ".local/state", "data")


def make_private(directory: Path, what: str) -> Path:
    """Makes `directory` (mode 0700) with its parents; raises LocalError with a sentence that says `what`."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
    except OSError as error:
        raise LocalError(describe_os_error(error, f"making the {what} directory {directory}")) from error
    return directory


def write_private(path: Path, content: str | bytes) -> None:
    """Writes a file that only its owner can read (0600), all of it or nothing."""
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise LocalError(describe_os_error(error, f"writing {path}")) from error


def _xdg(environ: Mapping[str, str], variable: str, below_home: str, what: str) -> Path:
    if value := environ.get(variable, ""):
        if not Path(value).is_absolute():
            raise LocalError(f"{variable} is {value!r}: it must be an absolute path")
        return Path(value) / "polecat"
    home = environ.get("HOME", "")
    if not home or not Path(home).is_absolute():
        raise LocalError(f"there is no {what} directory: neither {variable} nor HOME is set")
    return Path(home) / below_home / "polecat"
