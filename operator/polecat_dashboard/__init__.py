"""The dashboard: every agent's work live in a browser, for people who may see it, by the cluster's own rules."""
