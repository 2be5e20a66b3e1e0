"""The agent: a `kilo serve` process and the way to talk to it."""
