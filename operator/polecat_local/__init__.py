"""The embedded control plane: where its binaries come from, how it runs, and `polecat up` on top of it."""
