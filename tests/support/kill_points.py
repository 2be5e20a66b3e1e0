"""Where a supervisor can be killed: before each thing that it does to the world, as the interpreter itself tells.

A kill leaves what is on disk, what the API server has, and processes. So a world is copied before each effect, and a
new supervisor that begins from the copy is one whose predecessor was killed there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CHANGES = frozenset(
    {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_ONLY_READS = frozenset(
    {"rev-parse", "for-each-ref", "merge-base", "cat-file", "rev-list", "ls-remote", "diff", "ls-tree"}
)
"""Git commands that change nothing."""
_FOR_PEOPLE = re.compile(r"/(streams|logs)/")
"""Journals and logs: what a supervisor does next doesn't depend on them."""
_BEGUN_ANEW = re.compile(r"/\.store-\w+/.|/home/.+/$")
"""Drafts, and the empty folders of a home."""
_MOMENTS = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?|\"pid\": ?\d+|tmp_\w+|\.store-\w+")
_VOLATILE = frozenset({"index", "ORIG_HEAD", "COMMIT_EDITMSG", "FETCH_HEAD"})

_watchers: list[tuple[str, Callable[[str], None]]] = []
_hooked = False


@contextlib.contextmanager
def before_each_effect(directory: Path, call: Callable[[str], None]) -> Iterator[None]:
    """Calls `call(what)` before each change of a file below `directory`, and before each process that is started."""
    global _hooked  # noqa: PLW0603 - a hook of the interpreter stays for good
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    entry = (f"{directory}/", call)
    _watchers.append(entry)
    try:
        yield
    finally:
        _watchers.remove(entry)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    directory, call = _watchers[-1]
    what = _described(event, arguments, directory)
    if what is not None:
        # What the copying does itself is no effect of the supervisor.
        watchers, _watchers[:] = list(_watchers), []
        try:
            call(what)
        finally:
            _watchers[:] = watchers


def _described(event: str, arguments: tuple[Any, ...], directory: str) -> str | None:
    """The effect in a few words; None for what is no effect on the world."""
    if event == "subprocess.Popen":
        words = [os.fsdecode(word) for word in arguments[1]]
        if words[0] == "git" and _ONLY_READS & set(words):
            return None
        return f"run {' '.join(word for word in words if not word.startswith(('-', '{')))[-60:]!r}"
    if event != "open" and event not in _CHANGES:
        return None
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
        return None
    paths = [os.fsdecode(path) for path in arguments if isinstance(path, str | bytes | os.PathLike)]
    inside = [path for path in paths if path.startswith(directory)]
    if not inside or _FOR_PEOPLE.search(inside[0]):
        return None
    if event == "os.mkdir" and os.path.exists(inside[0]):  # noqa: PTH110
        return None
    return f"{event} {inside[0].removeprefix(directory)}"


def fingerprint(directory: Path) -> str:
    """Equal for worlds from which a new supervisor goes on in the same way: without moments and process ids.

    Of the files of state only the names count; see World.key.
    """
    total = hashlib.sha256()
    for folder, folders, files in os.walk(directory):
        folders.sort()
        inside = folder[len(str(directory)) :] + "/"
        if _FOR_PEOPLE.search(inside) or _BEGUN_ANEW.search(inside):
            continue
        total.update(_MOMENTS.sub(b"", inside.encode()))
        for name in sorted(files):
            path = f"{folder}/{name}"
            if name in _VOLATILE or name.endswith(".json.new"):
                continue
            total.update(_MOMENTS.sub(b"", name.encode()))
            if os.path.islink(path):  # noqa: PTH114 - strings: thousands of files
                total.update(os.readlink(path).encode())  # noqa: PTH115
            elif "/objects/" not in inside and "/state/" not in inside and not name.endswith(".lock"):
                with open(path, "rb") as file:  # noqa: PTH123
                    total.update(_MOMENTS.sub(b"", file.read()))
    return total.hexdigest()


def without_moments(text: str) -> str:
    """A text without times and process ids."""
    return _MOMENTS.sub(b"", text.encode()).decode()


def copy_world(source: Path, target: Path) -> None:
    """Replaces `target` by a copy of `source`."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, symlinks=True)
