"""Decisions: data in, data out. Nothing here reads a clock, the environment or the network."""
