"""Bare repositories that do what they are told to do wrong, through their hooks."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.whole import make_remote

_PRE_RECEIVE = """#!/bin/sh
case "$(cat '{mode}')" in
reject) echo "this remote takes nothing now" >&2; exit 1 ;;
stall) sleep 3 ;;
esac
"""
_POST_RECEIVE = """#!/bin/sh
test "$(cat '{mode}')" = lie || exit 0
while read -r old new ref; do
    case "$old" in
    *[!0]*) git update-ref "$ref" "$old" "$new" ;;
    *) git update-ref -d "$ref" "$new" ;;
    esac
done
"""
"""Takes back what was just accepted."""


class MoodyRemote:
    """One repository; `mode` is `well`, `reject`, `lie` or `stall`."""

    def __init__(self, path: Path) -> None:
        self.path = make_remote(path)
        self._mode = path.with_suffix(".mode")
        self.set("well")
        for name, text in (("pre-receive", _PRE_RECEIVE), ("post-receive", _POST_RECEIVE)):
            hook = self.path / "hooks" / name
            hook.write_text(text.format(mode=self._mode))
            hook.chmod(0o755)
        subprocess.run(["git", "config", "http.receivepack", "true"], cwd=self.path, check=True)

    def set(self, mode: str) -> None:
        """From now on."""
        draft = self._mode.with_suffix(".new")
        draft.write_text(mode)
        draft.replace(self._mode)
