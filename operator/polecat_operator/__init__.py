"""The operator: decides which bead gets which polecat, and keeps the books of attempts and outcomes."""
