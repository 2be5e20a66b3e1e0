"""What goes wrong with the process itself, read from `faults.json` beside `bin/` at each start."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "faults.json"
GARBAGE = b"\x00\xff\xfe{]} \x1b[31mpanic\x1b[0m: \xc3\n"


def read() -> dict[str, Any]:
    """The faults that are switched on; none without the file. For the keys see `support.fake_agent.Faults`."""
    try:
        faults: dict[str, Any] = json.loads(FILE.read_text())
        return faults
    except FileNotFoundError:
        return {}


def at_start(faults: dict[str, Any], version: bool) -> None:
    """Plays the faults of a start; `version` if the process was only asked for its version."""
    if version:
        if faults.get("version_fails"):
            sys.stderr.write("cannot execute: required file not found\n")
            sys.exit(127)
        return
    state["ignores_term"] = bool(faults.get("ignore_term"))
    signal.signal(signal.SIGTERM, _terminate)
    if faults.get("print_garbage"):
        os.write(1, GARBAGE * 20)
    if faults.get("start_delay_seconds"):
        time.sleep(faults["start_delay_seconds"])
    if faults.get("exit_code") is not None:
        sys.stderr.write("Error: the fake agent was told to exit\n")
        sys.exit(faults["exit_code"])
    while faults.get("hang_at_start"):
        signal.pause()


state: dict[str, Any] = {"ignores_term": False, "memory": []}


def _terminate(_number: int, _frame: object) -> None:
    if not state["ignores_term"]:
        os._exit(0)


def on_request(name: str, args: dict[str, Any]) -> str:
    """The tools `fake_…`, which no real agent has; they are offered so that scripts can ask for a fault."""
    if name == "fake_allocate":
        size = int(args["mebibytes"]) << 20
        block = bytearray(size)
        block[::4096] = b"x" * len(block[::4096])
        state["memory"].append(block)
        return f"allocated {size >> 20} MiB"
    if name == "fake_exit":
        os._exit(int(args.get("code", 1)))
    if name == "fake_kill":
        os.kill(os.getpid(), int(args.get("signal", signal.SIGKILL)))
        return "survived"
    if name == "fake_ignore_term":
        state["ignores_term"] = True
        return "SIGTERM is ignored from now on"
    if name == "fake_print":
        os.write(1, str(args.get("text", "")).encode() + b"\n")
        return "printed"
    raise ValueError("no such tool: " + name)


TOOLS = ("fake_allocate", "fake_exit", "fake_kill", "fake_ignore_term", "fake_print")
