"""What agents reach on loopback (tools, model), and what operations read (health, metrics)."""
