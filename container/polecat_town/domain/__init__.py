"""Isolation of agent processes."""
