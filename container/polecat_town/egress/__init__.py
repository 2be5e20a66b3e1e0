"""The way out: a proxy on loopback through which agents reach the world, and nothing of the cluster."""
