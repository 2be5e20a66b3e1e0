"""A program with the argv, environment, HTTP API and events of `kilo serve`, that starts in 50 ms and takes 15 MB.

It runs a real loop: it asks the model of its configuration, runs `bash` calls in the session's directory and calls
the tools of remote MCP servers. Besides `bash` and those it offers the tools `fake_allocate` {mebibytes},
`fake_exit` {code}, `fake_kill` {signal}, `fake_ignore_term` and `fake_print` {text}, so that a script can ask for a
fault of the process itself.
"""

import dataclasses
import json
import shutil
from pathlib import Path

_HERE = Path(__file__).parent
FAKE_KILO = _HERE / "bin" / "kilo"
"""The program, without faults."""


@dataclasses.dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with a process at its start."""

    start_delay_seconds: float = 0.0
    """How long it takes to become ready beyond what it needs."""
    hang_at_start: bool = False
    """Never becomes ready."""
    exit_code: int | None = None
    """Exits with this at once."""
    print_garbage: bool = False
    """Prints bytes that are no text."""
    ignore_term: bool = False
    """Does not end on SIGTERM."""
    version_fails: bool = False
    """`--version` exits with 127."""


def install_fake(directory: Path, faults: Faults | None = None) -> Path:
    """A copy of the program in `directory` (made if need be) that has these faults; gives its path.

    The copy is needed because faults are read from a file: a town passes nothing of its environment on. Call
    again with other faults: processes that start from then on have those.
    """
    for part in ("bin", "fake_kilo"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_HERE / part, directory / part, dirs_exist_ok=True, ignore=ignored)
    draft = directory / "faults.json.new"
    draft.write_text(json.dumps(dataclasses.asdict(faults or Faults())))
    draft.replace(directory / "faults.json")
    return directory / "bin" / "kilo"
