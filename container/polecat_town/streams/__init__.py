"""What agents do, as it happens: redacted, numbered, written down, and read by any number of readers."""
