"""One text in either of its two forms."""

from __future__ import annotations

from pathlib import Path

from polecat_sling.draft import Draft
from polecat_sling.markdown_text import parse_markdown
from polecat_sling.yaml_text import looks_like_yaml, parse_yaml

YAML_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
MARKDOWN_SUFFIXES = frozenset({".md", ".markdown"})


def read_text(rig: str, text: str, source: str, file: str = "") -> list[Draft]:
    """The beads in a text, read as the file's suffix says, else as it looks. Raises InputError."""
    suffix = Path(file).suffix.lower()
    if suffix in YAML_SUFFIXES or (suffix not in MARKDOWN_SUFFIXES and looks_like_yaml(text)):
        return parse_yaml(text, source, rig)
    return parse_markdown(text, source)
