"""The demo: a sample repository, five pieces of work on it, and a scripted model that plays the agents."""
