"""The soak: random work and faults from one seed, watched by the oracle, and books that are closed at the end."""
