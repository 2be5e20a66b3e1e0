"""Household money in a text file."""

__version__ = "0.1.0"
