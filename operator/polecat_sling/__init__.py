"""Beads from what people write: titles, a Markdown list, YAML; checked as a whole before the first one is made."""
