"""Builds the container image with whatever builder the machine has, and keeps it in the user's cache."""
