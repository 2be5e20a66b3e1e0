"""The life of one polecat: a pure step machine, and the actions that carry it out."""
