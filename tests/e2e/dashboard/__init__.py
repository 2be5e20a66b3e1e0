"""The dashboard in a real browser. A package, so that its cluster ends with its last test."""
