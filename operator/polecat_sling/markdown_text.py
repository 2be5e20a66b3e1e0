"""Beads from a Markdown list: each item is a title, and what is indented under it is its prompt."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field

from polecat_sling.draft import Draft, InputError

_ITEM = re.compile(r"^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)(?:\[([ xX])\][ \t]+)?(\S.*)$")
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_BREAK = re.compile(r"^ {0,3}([-*_][ \t]*){3,}$")


@dataclass
class _Item:
    line: int
    title: str
    done: bool
    prompt: list[str] = field(default_factory=list)


def parse_markdown(text: str, source: str) -> list[Draft]:
    """The items of the list in their order. Raises InputError, with the line, when a text is not such a list.

    Headings, and text before the first item or under a heading, are for people and left out; so are items that
    are ticked off (`- [x]`). An item without anything under it has its title as its prompt.
    """
    items: list[_Item] = []
    current: _Item | None = None
    fence = ""
    for number, line in enumerate(text.expandtabs(4).splitlines(), start=1):
        indented = line.startswith("  ") or not line.strip()
        if current is not None and (fence or indented):
            current.prompt.append(line)
            fence = _fence_after(line, fence)
        elif _BREAK.match(line) or line.startswith("#") or not line.strip():
            current = None if line.strip() else current
        elif match := _ITEM.match(line):
            current = _Item(number, _plain(match[5]), done=(match[4] or " ") in "xX")
            items.append(current)
        elif current is not None:
            raise InputError(
                f"{source} line {number}: this belongs to no item; indent it to make it part of the prompt of "
                f"{current.title!r}, or put a heading before it"
            )
    if not items:
        raise InputError(f"{source}: no list in it; each bead is an item such as `- Mend the parser`")
    return [_draft(item, source) for item in items if not item.done]


def _draft(item: _Item, source: str) -> Draft:
    prompt = textwrap.dedent("\n".join(item.prompt)).strip()
    return Draft(f"{source} line {item.line}", item.title, prompt or item.title)


def _fence_after(line: str, fence: str) -> str:
    """The mark that ends the code block which `line` opens or is in; empty outside of one."""
    match = _FENCE.match(line)
    if match is None:
        return fence
    if not fence:
        return match[1]
    return "" if match[1].startswith(fence) and not line.strip().strip(fence[0]) else fence


def _plain(title: str) -> str:
    """The title without emphasis around all of it."""
    title = title.strip()
    for mark in ("**", "__"):
        if title.startswith(mark) and title.endswith(mark) and len(title) > 2 * len(mark):
            return title[len(mark) : -len(mark)].strip()
    return title
